"""The fields of a declared source, and the values that are refused.

A wrong value would otherwise fail later and less clearly. So every message names the field, what
was expected, and what was given.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from operator import attrgetter
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from rag_assets import plugins
from rag_assets.errors import RagError
from rag_assets.lake.identity import bucket_of
from rag_assets.sources.cron import is_cron

Kind = Literal["folder", "object_store", "archive", "web"]  # and those that others bring
Enrich = Literal["none", "labels", "full"]
IN_THE_LAKE = "the lake (it was added by --path)"
MAX_BUCKETS = 65_536  # each is a partition, of which Dagster advises at most 100,000 for an asset
MAX_WHOLE = 2**31 - 1  # decompressing takes no limit that is much larger
MAX_LABEL_CHARS = 40
MAX_SENTENCE_CHARS = 300
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
SECRET = re.compile(r"secret|token|passw|credential|connection_string|sas|(^|_|-)key$", re.I)
UNSTORABLE = re.compile("[\\0\ud800-\udfff]")  # in no path and no UTF-8
PASSWORD = re.compile("://[^/?#]*:[^/?#]+@")  # in a URL
# In a query; "key" alone is no secret, as pages are told apart by such.
QUERY_SECRET = re.compile(
    r"([?&;][^=&;#]*(?:secret|token|passw|credential|signature|(?:api|access)[_-]?key"
    r"|(?<=[?&;])(?:sig|sas))[^=&;#]*=)[^&;#]+",
    re.IGNORECASE,
)


def without_secrets(url: str) -> str:
    """A URL as it may be stored and shown: what its query keeps secret is starred."""
    return QUERY_SECRET.sub(r"\1***", url)


class SourceError(RagError):
    """A source is declared wrongly or cannot be read; the message says what to do."""


class SourceShrunkError(SourceError):
    """A source lists much less than what is stored; a person must confirm the deletions."""


class SourceGoneError(SourceError):
    """Nothing is where a source was; a person may say that what it held is to be deleted."""


@dataclass(frozen=True, slots=True)
class WebOptions:
    """How a web source is asked.

    Attributes:
        allow_private: also connect to loopback, private and other non-public addresses.
        delay_s: seconds between two requests to one host; a longer Crawl-delay wins.
        max_bytes: of one page, decompressed; more is refused.
        max_pages: of the whole source; a list that is longer is refused.
        hosts: further hosts (``host`` or ``host:port``) that pages and redirects may be on.
        user_agent: sent with each request; its first word is looked up in robots.txt.
    """

    allow_private: bool = False
    delay_s: float = 1.0
    max_bytes: int = 20_000_000
    max_pages: int = 10_000
    hosts: tuple[str, ...] = ()
    user_agent: str = "rag_assets"


@dataclass(frozen=True, slots=True)
class Source:
    """One declared source; see ``rag_assets.sources.catalog`` for the fields.

    ``declared_in`` is the file and line that declare it, or ``IN_THE_LAKE``; "" in a program.
    """

    name: str
    kind: str
    where: str
    include: tuple[str, ...] = ("**/*",)
    exclude: tuple[str, ...] = ()
    buckets: int = 1
    cron: str | None = None
    golden: str | None = None
    labels: str | None = None
    enrich: str = "labels"
    document_types: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    web: WebOptions = WebOptions()
    storage: Mapping[str, Any] = field(default_factory=dict, hash=False)
    declared_in: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """Bring what YAML, Python or a record gives to one form; refuse what is wrong."""
        one_form: dict[str, object] = {
            "web": _web_options(self),
            "document_types": _document_types(self),
        }
        if isinstance(self.enrich, bool):  # YAML's true and false have names
            one_form["enrich"] = "labels" if self.enrich else "none"
        for name in ("include", "exclude"):
            if isinstance(getattr(self, name), list):
                one_form[name] = tuple(getattr(self, name))
        for name, value in one_form.items():
            object.__setattr__(self, name, value)
        for name, (expected, is_right) in _EXPECTED.items():
            if not is_right(attrgetter(name)(self)):
                raise self.wrong(name, expected, attrgetter(name)(self))
        if self.is_of_others and not re.fullmatch(r"[\w.]+:\w+", self.kind):
            known = [*get_args(Kind), *plugins.names(plugins.SOURCE_KINDS)]
            if self.kind not in known:
                raise self.wrong("kind", f"one of {', '.join(known)}, or module:name", self.kind)
        _check_where(self)
        _check_storage(self, self.storage)
        if self.kind != "web" and self.web != WebOptions():
            raise self.wrong("web", f"no such block for kind {self.kind}", "one")
        if self.kind == "web" and self.buckets != 1:
            raise self.wrong("buckets", "1 for kind web: one run asks a site", self.buckets)

    def wrong(self, name: str, expected: str, got: object) -> SourceError:
        """The error for a field of this source."""
        return SourceError(f"source {self.name}: {name} must be {expected}, got {got!r:.200}")

    @property
    def remedy(self) -> str:
        """What to do where the source is not found: correct it where it is declared, or end it."""
        command = f"`rag sources remove {self.name}`"
        if self.declared_in == IN_THE_LAKE:
            return f"take the source out, which is declared in {IN_THE_LAKE}: {command}"
        place = self.declared_in or "your code"
        return f"correct 'where' in {place}, or take the source out there, then {command}"

    def gone(self, expected: str) -> SourceGoneError:
        """The error for a place where nothing is."""
        return SourceGoneError(
            f"source {self.name}: expected {expected} at {self.where}, and none can be seen there; "
            f"nothing was deleted. Bring it back, or {self.remedy}"
        )

    @property
    def is_of_others(self) -> bool:
        """Whether its kind is not one of the package's own; see ``sources.listing.SourceKind``."""
        return self.kind not in get_args(Kind)

    @property
    def is_remote(self) -> bool:
        """Whether ``where`` is a URI rather than a path on this machine."""
        return "://" in self.where

    @property
    def partitions(self) -> list[str]:
        """Its partition keys, ``<source>.<bucket>``."""
        return [f"{self.name}.{bucket}" for bucket in range(self.buckets)]

    def partition_of(self, uri: str) -> str:
        """The partition that holds this uri's document."""
        return f"{self.name}.{bucket_of(uri, self.buckets)}"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not UNSTORABLE.search(value)


def _is_file(value: object) -> bool:
    return value is None or (_is_text(value) and "://" not in str(value))


def _are_texts(value: object) -> bool:
    return isinstance(value, tuple) and all(_is_text(one) for one in value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_WHOLE


def _is_bucket_number(value: Any) -> bool:  # noqa: ANN401 - as a file gives it
    return _is_whole(value) and value <= MAX_BUCKETS and not value & (value - 1)


def _is_delay(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 60


def _is_line(value: object, at_most: int) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= at_most


_EXPECTED: Mapping[str, tuple[str, Callable[[Any], object]]] = {
    "name": (
        "lower-case letters, digits, - and _, at most 63 of them",
        lambda value: isinstance(value, str) and NAME.fullmatch(value),
    ),
    "kind": ("the name of a kind", _is_text),
    "where": ("a path or a URL", _is_text),
    "include": ("a list of glob patterns", _are_texts),
    "exclude": ("a list of glob patterns", _are_texts),
    "buckets": (f"a power of two (1, 2, 4, ...), at most {MAX_BUCKETS:,}", _is_bucket_number),
    "cron": (
        "a schedule of five fields, as '0 3 * * *' for 3 o'clock each night",
        lambda value: value is None or (isinstance(value, str) and is_cron(value)),
    ),
    "golden": ("the path of a file on this machine", _is_file),
    "labels": ("the path of a file on this machine", _is_file),
    "enrich": ("false, labels or full", lambda value: value in get_args(Enrich)),
    "web.allow_private": ("true or false", lambda value: isinstance(value, bool)),
    "web.delay_s": ("seconds from 0 to 60", _is_delay),
    "web.max_bytes": (f"a whole number from 1 up to {MAX_WHOLE:,}", _is_whole),
    "web.max_pages": (f"a whole number from 1 up to {MAX_WHOLE:,}", _is_whole),
    "web.user_agent": (
        "printable ASCII that begins with a word",
        lambda value: isinstance(value, str) and re.fullmatch(r"[a-zA-Z_-][ -~]*", value),
    ),
}


def _web_options(source: Source) -> WebOptions:
    """The ``web`` block; its values are looked at with the other fields'."""
    block = asdict(source.web) if isinstance(source.web, WebOptions) else source.web
    if not isinstance(block, Mapping):
        raise source.wrong("web", "a block of fields", block)
    known = [one.name for one in fields(WebOptions)]
    for key in block:
        if key not in known:
            raise SourceError(
                f"source {source.name}: web.{key} is not a field; known: {', '.join(known)}. "
                "Remove it, or correct its spelling"
            )
    hosts = block.get("hosts", ())
    if not isinstance(hosts, list | tuple) or not all(
        _is_text(host) and not re.search(r"[/\s@]", host) for host in hosts
    ):
        raise source.wrong("web.hosts", "a list of hosts (docs.example.org, or with :port)", hosts)
    return WebOptions(**{**block, "hosts": tuple(host.lower() for host in hosts)})


def _document_types(source: Source) -> dict[str, tuple[str, ...]]:
    """The ``document_types`` block: label -> sentences; no labels, or two and more."""
    block, found, spelled = source.document_types, dict[str, tuple[str, ...]](), dict[str, str]()
    if not isinstance(block, Mapping):
        expected = "a block of labels, each with a sentence that describes such a document"
        raise source.wrong("document_types", expected, block)
    for label, given in block.items():
        sentences = [given] if isinstance(given, str) else given
        if not _is_line(label, MAX_LABEL_CHARS):
            expected = f"a text of at most {MAX_LABEL_CHARS} characters on one line"
            raise source.wrong("a label in document_types", expected, label)
        plain = " ".join(label.split())
        if plain in spelled:
            both = f"{spelled[plain]!r} and {label!r}"
            raise source.wrong("document_types", "labels that differ by more than spaces", both)
        spelled[plain] = label
        is_list = isinstance(sentences, list | tuple) and bool(sentences)
        if not is_list or not all(_is_line(one, MAX_SENTENCE_CHARS) for one in sentences):
            expected = f"a sentence (or a list of them) of at most {MAX_SENTENCE_CHARS} characters"
            raise source.wrong(f"document_types.{label}", expected, given)
        found[label] = tuple(sentences)
    if len(found) == 1:
        raise source.wrong("document_types", "two labels or more", [*found])
    return found


def _check_where(source: Source) -> None:
    try:
        parts = urlsplit(source.where) if source.is_remote else None
        host = parts.hostname if parts is not None and (parts.port or 80) > 0 else None
    except ValueError as error:  # whose text may hold a password
        raise SourceError(
            f"source {source.name}: where must be a path or a URL, got a URL that cannot be read; "
            "correct its host and port"
        ) from error
    if parts is not None and (parts.username or parts.password):
        raise SourceError(
            f"source {source.name}: where must hold no user name or password; take them out, and "
            "give credentials through the environment"
        )
    if without_secrets(source.where) != source.where:
        raise SourceError(
            f"source {source.name}: the query of where holds what looks like a secret; lists and "
            "pages are asked for without any, so name an address that needs none"
        )
    scheme = "" if parts is None else parts.scheme.lower()
    if source.kind == "folder" and scheme:
        raise source.wrong("where", "a folder's path (for a URI: kind object_store)", source.where)
    if source.kind == "web" and scheme not in ("", "http", "https"):
        raise source.wrong("where", "an http(s) URL, or a file that lists URLs", source.where)
    if source.kind == "web" and scheme and not host:
        raise source.wrong("where", "a URL with a host", source.where)
    if source.kind == "object_store" and not scheme:
        raise source.wrong("where", "a URI such as s3://bucket/prefix", source.where)
    # Neither the address check nor the limits of kind web would hold for fsspec's own HTTP.
    of_store = source.kind in ("object_store", "archive")
    if of_store and (scheme in ("http", "https") or "::" in source.where):
        raise source.wrong("where", "an object store's URI (for HTTP: kind web)", source.where)


def _check_storage(source: Source, storage: object) -> None:
    if not isinstance(storage, Mapping):
        raise source.wrong("storage", "a block of fields", type(storage).__name__)
    of_store = source.kind in ("object_store", "archive") and source.is_remote
    if storage and not (of_store or source.is_of_others):
        raise source.wrong("storage", "given for an object store's URI only", [*storage])
    for key, value in storage.items():
        if not _is_text(key):
            raise source.wrong("storage", "a block of named fields", key)
        is_public = value == "anon"  # as gcsfs wants to be told that there is no token
        in_url = isinstance(value, str) and PASSWORD.search(value)
        if in_url or (SECRET.search(key) and not is_public):
            raise SourceError(
                f"source {source.name}: storage.{key} looks like a secret, and this file is no "
                "place for one; give it through the environment (AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, ...)"
            )
        if isinstance(value, Mapping):
            _check_storage(source, value)
