"""ZIP archives and the XML inside them, from strangers: bounded, offline, without entities."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lxml import etree
from lxml.etree import _Element

from rag_assets.documents.readers.blocks import RejectedError
from rag_assets.documents.readers.html.tree import tag_of
from rag_assets.documents.readers.metadata import facts, or_none

MAX_UNPACKED_BYTES = 500 * 2**20  # of all entries; more is a bomb, or nothing to read in one go
MAX_RATIO = 200  # unpacked to packed; deflate ends at 1032, where bombs are
MAX_SMALL_BYTES = 20 * 2**20  # up to here the ratio does not matter
MAX_ENTRIES = 20_000
_PROPERTIES = ("docProps/core.xml", "meta.xml")  # of Office, of OpenDocument


class Archive:
    """A ZIP file whose sizes have been checked before anything is unpacked.

    Raises:
        RejectedError: ``corrupt``, ``too large``, or ``encrypted`` if any entry has a password.
    """

    def __init__(self, data: bytes) -> None:
        with parsing("ZIP archive"):
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        self._entries = {entry.filename: entry for entry in self._zip.infolist()}
        _check_sizes(self._zip.infolist(), len(data))
        if any(entry.flag_bits & 1 for entry in self._zip.infolist()):
            raise RejectedError("encrypted", "an archive with a password; save it without one")

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    @property
    def names(self) -> list[str]:
        """Paths of the entries, in the archive's order."""
        return list(self._entries)

    def read(self, name: str) -> bytes:
        """An entry's bytes; zipfile unpacks no more than the size that was checked.

        Raises:
            RejectedError: ``corrupt`` for a missing or broken entry.
        """
        entry = self._entries.get(name)
        if entry is None:
            raise RejectedError("corrupt", f"expected {name} in the archive, it is missing")
        with parsing("ZIP archive"):
            return self._zip.read(entry)

    def xml(self, name: str) -> _Element:
        """The root of an entry's XML."""
        return parse_xml(self.read(name))

    def properties(self) -> dict[str, Any]:
        """Title, author, dates, language of an Office or OpenDocument file; what it states."""
        path = next((path for path in _PROPERTIES if path in self), None)
        if path is None:
            return {}
        stated = {tag_of(element): or_none(element.text) for element in self.xml(path).iter()}
        return facts(
            title=stated.get("title"),
            author=stated.get("initial-creator") or stated.get("creator"),
            created=stated.get("created") or stated.get("creation-date"),
            modified=stated.get("modified") or stated.get("date"),
            language=stated.get("language"),
        )


def parse_xml(data: bytes, *, recover: bool = False) -> _Element:
    """Root of an XML file; entities are left alone, nothing is fetched.

    With ``recover`` what is not well-formed is repaired; None where nothing can be repaired.

    Raises:
        RejectedError: ``corrupt``, also for trees deeper than libxml2's limit of 256.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, recover=recover
    )
    with parsing("XML"):
        return etree.fromstring(data, parser)


@contextmanager
def parsing(what: str) -> Iterator[None]:
    """Turn whatever a parser raises inside into ``corrupt``, naming ``what`` and its words."""
    try:
        yield
    except (RejectedError, MemoryError):
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise RejectedError("corrupt", f"broken {what}: {error}") from error
    # What third-party parsers raise on hostile bytes is anything: KeyError, AttributeError, ...
    except Exception as error:
        detail = f"broken {what}: {type(error).__name__}: {error}"
        raise RejectedError("corrupt", detail[:500]) from error


def _check_sizes(entries: list[zipfile.ZipInfo], packed: int) -> None:
    if len(entries) > MAX_ENTRIES:
        raise RejectedError(
            "too large", f"expected at most {MAX_ENTRIES:,} files in it, got {len(entries):,}"
        )
    unpacked = sum(entry.file_size for entry in entries)
    is_bomb = unpacked > MAX_SMALL_BYTES and unpacked > MAX_RATIO * packed
    if unpacked > MAX_UNPACKED_BYTES or is_bomb:
        raise RejectedError(
            "too large",
            f"{packed:,} bytes unpack to {unpacked:,}; at most {MAX_UNPACKED_BYTES:,} and "
            f"{MAX_RATIO} times the packed size are read",
        )
