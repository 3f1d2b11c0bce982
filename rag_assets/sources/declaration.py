"""The fields of a declared source, and the values that are refused.

A wrong value would otherwise fail later and less clearly. So every message names the field, what
was expected, and what was given.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from rag_assets import plugins
from rag_assets.errors import RagError
from rag_assets.lake.identity import bucket_of

Kind = Literal["folder", "object_store", "archive", "web"]  # and those that others bring
Enrich = Literal["none", "labels", "full"]
MAX_LABEL_CHARS = 40
MAX_SENTENCE_CHARS = 300
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
SECRET = re.compile(r"secret|token|passw|credential|connection_string|sas|(^|_|-)key$", re.I)


class SourceError(RagError):
    """A source is declared wrongly or cannot be read; the message says what to do."""


class SourceShrunkError(SourceError):
    """A source lists much less than what is stored; a person must confirm the deletions."""


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
    """One declared source; see ``rag_assets.sources.catalog`` for the fields."""

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

    def __post_init__(self) -> None:
        """Refuse what would fail later and less clearly."""
        if not isinstance(self.name, str) or not NAME.fullmatch(self.name):
            raise SourceError(
                f"a source's name must be lower-case letters, digits, - and _, got {self.name!r}"
            )
        if self.is_of_others and ":" not in str(self.kind):
            known = [*get_args(Kind), *plugins.names(plugins.SOURCE_KINDS)]
            if self.kind not in known:
                raise self.wrong("kind", f"one of {', '.join(known)}, or module:name", self.kind)
        if not isinstance(self.where, str) or not self.where:
            raise self.wrong("where", "a path or a URL", self.where)
        for name in ("include", "exclude"):
            patterns = getattr(self, name)
            is_list = isinstance(patterns, list | tuple)
            if not is_list or not all(isinstance(one, str) for one in patterns):
                raise self.wrong(name, "a list of glob patterns", patterns)
        # Frozen, but what Python or a record gives is to be of one form.
        object.__setattr__(self, "enrich", enrichment(self.enrich))
        types = document_types(self.name, self.document_types)
        object.__setattr__(self, "document_types", types)
        if self.enrich not in get_args(Enrich):
            raise self.wrong("enrich", "false, labels or full", self.enrich)
        _check_where(self)
        _check_storage(self, self.storage)
        if self.kind == "web":
            _check_web(self)
        elif self.web != WebOptions():
            raise self.wrong("web", f"no such block for kind {self.kind}", "one")
        if not isinstance(self.buckets, int) or isinstance(self.buckets, bool):
            raise self.wrong("buckets", "a power of two (1, 2, 4, ...)", self.buckets)
        try:
            bucket_of("", self.buckets)
        except ValueError as error:
            raise SourceError(f"source {self.name}: {error}") from error

    def wrong(self, name: str, expected: str, got: object) -> SourceError:
        """The error for a field of this source."""
        return SourceError(f"source {self.name}: {name} must be {expected}, got {got!r}")

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


def web_options(name: str, block: object) -> WebOptions:
    """The ``web`` block of source ``name``.

    Raises:
        SourceError: it is no mapping, or has a field that there is none of.
    """
    known = [one.name for one in fields(WebOptions)]
    if not isinstance(block, Mapping):
        raise SourceError(f"source {name}: web must be a block of fields, got {block!r}")
    for key in block:
        if key not in known:
            raise SourceError(
                f"source {name}: web.{key} is not a field; known: {', '.join(known)}. Remove "
                "it, or correct its spelling"
            )
    hosts = block.get("hosts", ())
    if not isinstance(hosts, list | tuple) or not all(
        isinstance(host, str) and host and "/" not in host for host in hosts
    ):
        raise SourceError(
            f"source {name}: web.hosts must be a list of hosts (docs.example.org, or with :port), "
            f"got {hosts!r}"
        )
    return WebOptions(**{**block, "hosts": tuple(host.lower() for host in hosts)})


def enrichment(value: object) -> object:
    """The ``enrich`` of a source as its field holds it: YAML's true and false have names."""
    if isinstance(value, bool):
        return "labels" if value else "none"
    return value


def document_types(name: str, block: object) -> dict[str, tuple[str, ...]]:
    """The ``document_types`` of source ``name``: label -> sentences.

    Raises:
        SourceError: it is no mapping of labels to sentences, or has a single label.
    """
    if not isinstance(block, Mapping):
        raise SourceError(
            f"source {name}: document_types must be a block of labels, each with a sentence that "
            f"describes such a document, got {block!r}"
        )
    found = {}
    for label, given in block.items():
        sentences = [given] if isinstance(given, str) else given
        if not _is_line(label, MAX_LABEL_CHARS):
            raise SourceError(
                f"source {name}: a label in document_types must be a text of at most "
                f"{MAX_LABEL_CHARS} characters on one line, got {label!r}"
            )
        if not (
            isinstance(sentences, list | tuple)
            and sentences
            and all(_is_line(one, MAX_SENTENCE_CHARS) for one in sentences)
        ):
            raise SourceError(
                f"source {name}: document_types.{label} must be a sentence (or a list of them) "
                f"of at most {MAX_SENTENCE_CHARS} characters, got {given!r}"
            )
        found[str(label)] = tuple(sentences)
    if len(found) == 1:
        raise SourceError(
            f"source {name}: document_types must name two labels or more, got {label!r} alone"
        )
    return found


def _is_line(value: object, at_most: int) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= at_most


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
    if source.kind in ("object_store", "archive") and (
        scheme in ("http", "https") or "::" in source.where
    ):
        raise source.wrong("where", "an object store's URI (for HTTP: kind web)", source.where)


def _check_storage(source: Source, storage: object) -> None:
    if not isinstance(storage, Mapping):
        raise source.wrong("storage", "a block of fields", type(storage).__name__)
    of_store = source.kind in ("object_store", "archive") and source.is_remote
    if storage and not (of_store or source.is_of_others):
        raise source.wrong("storage", "given for an object store's URI only", sorted(storage))
    for key, value in storage.items():
        is_public = value == "anon"  # as gcsfs wants to be told that there is no token
        in_url = isinstance(value, str) and "://" in value and urlsplit(value).password
        if in_url or (SECRET.search(str(key)) and not is_public):
            raise SourceError(
                f"source {source.name}: storage.{key} looks like a secret, and this file is no "
                "place for one; give it through the environment (AWS_ACCESS_KEY_ID, "
                "AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, ...)"
            )
        if isinstance(value, Mapping):
            _check_storage(source, value)


def _check_web(source: Source) -> None:
    web = source.web
    if source.buckets != 1:
        raise source.wrong("buckets", "1 for kind web, so that one run asks a site", source.buckets)
    if not isinstance(web.allow_private, bool):
        raise source.wrong("web.allow_private", "true or false", web.allow_private)
    if not _is_number(web.delay_s) or not 0 <= web.delay_s <= 60:
        raise source.wrong("web.delay_s", "seconds from 0 to 60", web.delay_s)
    for name in ("max_bytes", "max_pages"):
        value = getattr(web, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise source.wrong(f"web.{name}", "a whole number from 1 up", value)
    if not isinstance(web.user_agent, str) or not re.match(r"[a-zA-Z_-]+", web.user_agent):
        raise source.wrong("web.user_agent", "a text that begins with a word", web.user_agent)
    if not web.user_agent.isascii() or not web.user_agent.isprintable():
        raise source.wrong("web.user_agent", "printable ASCII", web.user_agent)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
