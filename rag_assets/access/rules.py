"""``access.yaml`` in the home: keys, and who may read which sources and documents.

.. code-block:: yaml

    keys:
      - {name: ada, sha256: 5e88..., groups: [hr, finance], expires: 2027-06-30}
      - {name: chat, sha256: 9f2b..., acts_for: {user: X-OpenWebUI-User-Email}}
      - {name: gate, sha256: 03ac..., acts_for: {user: X-User, groups: X-Groups}}
      - {name: monitoring, sha256: 2c62..., operator: true}
    people:                          # whom a key that acts for others may name
      ada@example.org: [hr, finance]
    rules:                           # the first that holds a document decides
      - {uri: "handbook:hr/**", groups: [hr]}
      - {uri: "handbook:board.pdf", groups: [board]}
    sources:                         # for what no rule holds; a source not listed is nobody's
      handbook: everyone
      accounts: [finance]

"everyone" is whoever has a key. An operator reads everything, ``/admin`` and ``/metrics`` too.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rag_assets.access.views import Place, View
from rag_assets.yaml_files import read_mapping, validated

FILE = "access.yaml"
EVERYONE = "everyone"
_ALL_BELOW = "**"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_HASH = re.compile(r"[0-9a-f]{64}")
_GROUP = re.compile(r"[^\s,]+")
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_URI = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}:.+", re.DOTALL)
_UNSTORABLE = re.compile("[\\0\ud800-\udfff]")


def _group(text: str) -> str:
    if text == EVERYONE or not _GROUP.fullmatch(text):
        raise ValueError(
            f"expected a group's name without spaces and commas (or {EVERYONE} alone, "
            f"in place of the list), got {text!r}"
        )
    return text


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"expected letters, digits, '.', '_' and '-', got {text!r:.80}")
    return text


def _hash(text: str) -> str:
    if not _HASH.fullmatch(text):
        raise ValueError("expected the 64 hex digits that `rag keys add` writes")
    return text


def _header(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError(f"expected the name of an HTTP header, got {text!r}")
    return text


def _uri(text: str) -> str:
    head = text.removesuffix(_ALL_BELOW)
    is_right = (
        _URI.fullmatch(text)
        and "*" not in head
        and (head == text or head.endswith(("/", ":")))
        and not _UNSTORABLE.search(text)
    )
    if not is_right:
        raise ValueError(
            "expected the uri of a document, such as docs:plan.pdf, or of all below a "
            f"folder, such as docs:hr/**, got {text!r}"
        )
    return text


# A field that is written, and nothing behind it.
_NONE_YET = BeforeValidator(lambda given: () if given is None else given)
_EMPTY_YET = BeforeValidator(lambda given: {} if given is None else given)


def _readers(given: object) -> object:
    if given != EVERYONE and not isinstance(given, list | tuple):
        raise ValueError(f"expected {EVERYONE}, or a list of groups, got {given!r:.80}")
    return None if given == EVERYONE else given


Group = Annotated[str, AfterValidator(_group)]
Groups = Annotated[tuple[Group, ...], _NONE_YET]
Header = Annotated[str, AfterValidator(_header)]
Readers = Annotated[tuple[Group, ...] | None, BeforeValidator(_readers)]  # None: everyone


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ActsFor(_Part):
    """In which headers a key says for whom it asks; who holds it is believed."""

    user: Header
    groups: Header | None = None


class Key(_Part):
    """A key, of which the hash alone is kept; it ends with the day before ``expires``."""

    name: Annotated[str, AfterValidator(_name)]
    sha256: Annotated[str, AfterValidator(_hash)]
    groups: Groups = ()
    expires: date | None = None
    operator: bool = False
    acts_for: ActsFor | None = None


class Rule(_Part):
    """Who may read a document, or all below a folder."""

    uri: Annotated[str, AfterValidator(_uri)]
    groups: Readers

    @property
    def place(self) -> Place:
        """The rule as a place."""
        text = self.uri.removesuffix(_ALL_BELOW)
        return Place(text, text == self.uri, _set(self.groups))


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: of the key; "" where no key is needed.
        view: what may be read; None for everything.
    """

    name: str = ""
    view: View | None = None

    @property
    def is_operator(self) -> bool:
        """Whether everything may be read, and the process be told what to do."""
        return self.view is None


class Rules(_Part):
    """The file; see the module."""

    keys: Annotated[tuple[Key, ...], _NONE_YET] = ()
    people: Annotated[dict[str, Groups], _EMPTY_YET] = Field(default_factory=dict)
    rules: Annotated[tuple[Rule, ...], _NONE_YET] = ()
    sources: Annotated[dict[str, Readers], _EMPTY_YET] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _agree(self) -> "Rules":
        names = [key.name for key in self.keys]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"expected names that differ, got {sorted(twice)} twice")
        for at, later in enumerate(self.rules):
            for earlier in self.rules[:at]:
                if not earlier.place.is_whole and earlier.place.holds(later.place.text):
                    raise ValueError(
                        f"expected the narrower rule first: {later.uri} is never "
                        f"reached behind {earlier.uri}"
                    )
        return self

    @property
    def places(self) -> tuple[Place, ...]:
        """Rules, then sources: the first that holds a document decides."""
        return (
            *(rule.place for rule in self.rules),
            *(Place(f"{name}:", False, _set(of)) for name, of in self.sources.items()),
        )

    def readers(self, uri: str) -> frozenset[str] | None:
        """The groups that may read a document; None for everyone with a key."""
        first = next((place for place in self.places if place.holds(uri)), None)
        return frozenset() if first is None else first.groups

    def view(self, *groups: str) -> View:
        """What a member of these groups may read."""
        return View(self.places, frozenset(groups))

    def caller(self, headers: Mapping[str, str], today: date) -> Caller | None:
        """Who asks, by the headers of a request (names in lower case); None for nobody known.

        A key that acts for others, and names nobody, reads what its own groups may.
        """
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.casefold() != "bearer":
            return None
        wanted = hash_of(secret.strip())
        found = [key for key in self.keys if hmac.compare_digest(key.sha256, wanted)]
        if not found or (found[0].expires is not None and today >= found[0].expires):
            return None
        key = found[0]
        if key.operator:
            return Caller(key.name)
        return Caller(key.name, self.view(*self._groups(key, headers)))

    def _groups(self, key: Key, headers: Mapping[str, str]) -> tuple[str, ...]:
        acts_for = key.acts_for
        user = "" if acts_for is None else headers.get(acts_for.user.lower(), "").strip()
        if acts_for is None or not user:
            return key.groups
        told = "" if acts_for.groups is None else headers.get(acts_for.groups.lower(), "")
        named = tuple(filter(None, (name.strip() for name in told.split(","))))
        return (*self.people.get(user, ()), *named)


def hash_of(secret: str) -> str:
    """What is kept of a key; it has 32 random bytes, so a quick hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def read_rules(path: Path) -> Rules:
    """The rules in a file.

    Raises:
        YamlFileError: it cannot be read; one sentence for each wrong field.
    """
    data, lines = read_mapping(path)
    return validated(Rules, data, lines, path)


def _set(readers: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if readers is None else frozenset(readers)
