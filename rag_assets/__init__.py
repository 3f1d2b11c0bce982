"""Document question answering as a dataflow: refresh sources into a lake, and ask it.

::

    from rag_assets import Answerer, Pipeline

    done = Pipeline("handbook", lake="lake").refresh()
    print(done.generation_id, done.stages["documents"])
    with Answerer.open("lake") as answerer:
        answer = answerer.answer("How many days of holiday are there?")
    print(answer.answer)
    for citation in answer.citations:
        print(citation.n, citation.uri, citation.quote)

The names of ``__all__`` are the public ones. Each is imported when it is first read: to import this
package costs nothing, and brings neither Dagster nor LanceDB.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from rag_assets.quick_imports import leave_out_rest_client

if TYPE_CHECKING:
    from rag_assets.answers.answer import Answer as Answer
    from rag_assets.answers.answerer import Answerer as Answerer
    from rag_assets.answers.filters import Filters as Filters
    from rag_assets.definitions import build_defs as build_defs
    from rag_assets.documents.readers.blocks import Block as Block
    from rag_assets.documents.readers.blocks import Extracted as Extracted
    from rag_assets.documents.readers.blocks import RejectedError as RejectedError
    from rag_assets.documents.readers.registry import Reader as Reader
    from rag_assets.documents.reading import Document as Document
    from rag_assets.documents.reading import read_document as read_document
    from rag_assets.errors import RagError as RagError
    from rag_assets.models.protocols import ChatModel as ChatModel
    from rag_assets.models.protocols import Completion as Completion
    from rag_assets.models.protocols import Embedder as Embedder
    from rag_assets.pipeline.refreshing import Pipeline as Pipeline
    from rag_assets.pipeline.refreshing import Refreshed as Refreshed
    from rag_assets.pipeline.stage import Stage as Stage
    from rag_assets.pipeline.stage import changed as changed
    from rag_assets.pipeline.stages import STAGES as STAGES
    from rag_assets.sources.declaration import Source as Source
    from rag_assets.sources.found import FoundFile as FoundFile
    from rag_assets.sources.found import Listing as Listing
    from rag_assets.sources.listing import SourceKind as SourceKind

_PLACES = {
    "Answer": "answers.answer",
    "Answerer": "answers.answerer",
    "Block": "documents.readers.blocks",
    "ChatModel": "models.protocols",
    "Completion": "models.protocols",
    "Document": "documents.reading",
    "Embedder": "models.protocols",
    "Extracted": "documents.readers.blocks",
    "Filters": "answers.filters",
    "FoundFile": "sources.found",
    "Listing": "sources.found",
    "Pipeline": "pipeline.refreshing",
    "RagError": "errors",
    "Reader": "documents.readers.registry",
    "Refreshed": "pipeline.refreshing",
    "RejectedError": "documents.readers.blocks",
    "STAGES": "pipeline.stages",
    "Source": "sources.declaration",
    "SourceKind": "sources.listing",
    "Stage": "pipeline.stage",
    "build_defs": "definitions",
    "changed": "pipeline.stage",
    "read_document": "documents.reading",
}
if not TYPE_CHECKING:  # a type checker takes the imports above
    __all__ = sorted(_PLACES)

leave_out_rest_client()  # here, because it has to come before any module that imports lancedb


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(_PLACES)
