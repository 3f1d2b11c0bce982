"""Which listing each kind of source uses."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rag_assets.lake.identity import data_version
from rag_assets.sources.declaration import Source, SourceError
from rag_assets.sources.folder import FolderListing
from rag_assets.sources.foreign import SourceKind as SourceKind  # also importable from here
from rag_assets.sources.foreign import opened_by_others
from rag_assets.sources.found import Keep, Listing


@contextmanager
def opened(source: Source, keep: Keep = lambda digest, data: None) -> Iterator[Listing]:
    """The source, to be listed and read once; what that holds open is closed at the end.

    ``keep`` takes the bytes that come while files are examined, as those of pages do.
    """
    # Imported when needed: a folder needs neither an HTTP client nor an object store's.
    with ExitStack() as stack:
        if source.is_of_others:
            yield stack.enter_context(opened_by_others(source))
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
            yield WebListing(source, fetcher, keep)


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


def problem_of(source: Source) -> str:
    """Why a refresh would read nothing of a source; "" if it will, or only a request could tell."""
    if source.is_of_others or source.is_remote:
        return ""
    if source.kind == "web":
        return "" if os.path.isfile(source.where) else str(source.gone("a list of URLs"))
    try:
        with opened(source) as listing:
            return "" if listing.files() else no_file_found(source)
    except SourceError as error:
        return str(error)


def no_file_found(source: Source) -> str:
    """What a person should hear of a source that lists nothing."""
    chosen = source.include != ("**/*",) or source.exclude
    why = "nothing that include and exclude leave" if chosen else "hidden files are not read"
    return f"source {source.name}: no file found in {source.where} ({why})"
