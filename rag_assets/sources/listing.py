"""Which listing each kind of source uses."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from rag_assets import plugins
from rag_assets.lake.identity import data_version
from rag_assets.sources.declaration import Source
from rag_assets.sources.folder import FolderListing
from rag_assets.sources.found import Listing


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
def opened(source: Source) -> Iterator[Listing]:
    """The source, to be listed and read once; what that holds open is closed at the end."""
    # Imported when needed: a folder needs neither an HTTP client nor an object store's.
    with ExitStack() as stack:
        if source.is_of_others:
            kind: SourceKind = plugins.find(plugins.SOURCE_KINDS, source.kind)
            yield stack.enter_context(kind(source))
        elif source.kind == "folder":
            yield FolderListing(source)
        elif source.kind == "object_store":
            from rag_assets.sources.object_store import ObjectStoreListing

            yield ObjectStoreListing(source)
        elif source.kind == "archive":
            from rag_assets.sources.archive import ArchiveListing

            yield ArchiveListing(source, stack)
        else:
            from rag_assets.sources.fetch import Fetcher
            from rag_assets.sources.web import WebListing

            web = source.web
            fetcher = stack.enter_context(Fetcher(web.user_agent, allow_private=web.allow_private))
            spool = stack.enter_context(TemporaryDirectory(prefix="rag-assets-"))
            yield WebListing(source, fetcher, Path(spool))


def states(source: Source) -> dict[str, str]:
    """Each listed file's state by uri, to ask whether anything changed; no file is read.

    Raises:
        SourceError: the source cannot be listed.
    """
    with opened(source) as listing:
        return {file.uri: file.state for file in listing.files()}


def source_state(source: Source) -> str:
    """One hash of the whole listing, for a sensor. Of a web source: of its URLs."""
    return data_version(states(source).items())


def is_there(source: Source) -> bool:
    """Whether what ``where`` names exists; remote places are not asked and count as present."""
    path = Path(source.where)
    if source.is_of_others or source.is_remote:
        return True
    return path.is_dir() if source.kind == "folder" else path.is_file()
