"""Kinds of sources that other packages bring, held to what the package relies on.

Whatever they raise or give, it ends in a sentence that names the source and its kind, so that the
other sources go on.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from numbers import Integral
from typing import Protocol

from rag_assets import plugins
from rag_assets.errors import RagError
from rag_assets.sources.declaration import Source, SourceError
from rag_assets.sources.found import FoundFile, Listing, UnreadableError, storable_ns

log = logging.getLogger(__name__)


class SourceKind(Protocol):
    """Opens sources of a kind that is not the package's own.

    A source's ``kind`` names it: an entry point of the group ``rag_assets.source_kinds``, or
    ``module:attribute``. ``rag_assets.contracts.check_source_kind`` tests one.
    """

    def __call__(self, source: Source) -> AbstractContextManager[Listing]:
        """One look at the source; what the listing holds open is closed with it.

        Args:
            source: its ``storage`` is handed on as it was declared.

        Raises:
            SourceError: the source cannot be opened.
        """


@contextmanager
def opened_by_others(source: Source) -> Iterator[Listing]:
    """A source of another package's kind, to be listed and read once.

    Raises:
        SourceError: the kind is not installed, or cannot open the source.
    """
    with _named(source, "open it"):
        kind: SourceKind = plugins.find(plugins.SOURCE_KINDS, source.kind)
        manager = kind(source)
        if not isinstance(manager, AbstractContextManager):
            raise TypeError(f"expected a context manager, got {type(manager).__name__}")
        listing = manager.__enter__()
    try:
        yield _ForeignListing(source, listing)
    finally:
        # Told of no error, as it could withhold ours; and what was read by now is not lost.
        try:
            manager.__exit__(None, None, None)
        except Exception:
            log.exception("source %s: its kind %s cannot close it", source.name, source.kind)


@contextmanager
def _named(source: Source, doing: str, may_raise: type[RagError] = SourceError) -> Iterator[None]:
    """Turn whatever another package raises into a SourceError."""
    try:
        yield
    except (SourceError, may_raise):
        raise
    except Exception as error:
        said = str(error) if isinstance(error, RagError) else f"{type(error).__name__}: {error}"
        raise SourceError(
            f"source {source.name}: its kind {source.kind} failed to {doing}: {said}; nothing was "
            "deleted. Check the source; if it is as it should be, the package that brings the kind "
            "is to be corrected: rag_assets.contracts.check_source_kind tests it"
        ) from error


class _ForeignListing:
    """A listing of another package; what it gives is checked as it comes."""

    def __init__(self, source: Source, listing: Listing) -> None:
        self._source = source
        self._listing = listing

    @property
    def notices(self) -> Sequence[str]:
        """Its notices; those that cannot be had are one themselves, as the work is done."""
        try:
            with _named(self._source, "give its notices"):
                return [str(text) for text in self._listing.notices]
        except SourceError as error:
            return [str(error)]

    def files(self) -> Sequence[FoundFile]:
        """Every file, each once."""
        with _named(self._source, "list its files"):
            return self._checked(self._listing.files())

    def examine(
        self, files: Sequence[FoundFile], known: Mapping[str, FoundFile]
    ) -> Sequence[FoundFile]:
        """The files that are still there; no others."""
        with _named(self._source, "examine its files"):
            found = self._checked(self._listing.examine(files, known))
            asked = {file.uri for file in files}
            others = [file.uri for file in found if file.uri not in asked]
            if others:
                raise ValueError(f"expected those that it was given, got {others[0]!r}, too")
            return found

    def read(self, file: FoundFile) -> bytes:
        """The file's bytes."""
        with _named(self._source, f"read {file.uri}", may_raise=UnreadableError):
            try:
                data: object = self._listing.read(file)
            except (FileNotFoundError, PermissionError) as error:
                raise UnreadableError(f"cannot be read: {error}") from error
            if not isinstance(data, bytes):
                raise TypeError(f"expected bytes, got {type(data).__name__}")
            return data

    def _checked(self, files: Iterable[FoundFile]) -> list[FoundFile]:
        found: dict[str, FoundFile] = {}
        for file in files:
            if (problem := self._problem(file)) is not None:
                raise TypeError(problem)
            if file.uri in found:
                raise ValueError(f"expected each uri once, got {file.uri} twice")
            found[file.uri] = replace(file, mtime_ns=storable_ns(int(file.mtime_ns)))
        return [*found.values()]

    def _problem(self, file: object) -> str | None:
        """What is wrong with a listed file; its values go into a table as they are."""
        if not isinstance(file, FoundFile):
            return f"expected rag_assets.FoundFile, got {type(file).__name__}"
        for name in ("uri", "state", "raw_hash", "problem", "etag", "last_modified"):
            value = getattr(file, name)
            may_lack = value is None and name in ("problem", "etag", "last_modified")
            if not may_lack and not _is_utf8(value):
                return f"expected {name} to be a text that UTF-8 can hold, got {value!r:.200}"
        if not isinstance(file.path, str):
            return f"{file.uri}: expected path to be a text, got {file.path!r:.200}"
        for name in ("size", "mtime_ns"):
            value = getattr(file, name)
            is_whole = isinstance(value, Integral)
            if not is_whole or (name == "size" and not -(2**63) <= int(value) < 2**63):
                return f"{file.uri}: expected {name} to be a whole number, got {value!r:.99}"
        if not file.uri.startswith(f"{self._source.name}:"):
            return f"expected a uri {self._source.name}:<place>, got {file.uri!r:.200}"
        return None


def _is_utf8(value: object) -> bool:
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False
