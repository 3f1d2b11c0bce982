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
    from rag_assets.answers.answer import Answer
    from rag_assets.answers.answerer import Answerer
    from rag_assets.definitions import build_defs
    from rag_assets.documents.readers.blocks import Block, Extracted, RejectedError
    from rag_assets.documents.readers.registry import Reader
    from rag_assets.documents.reading import Document, read_document
    from rag_assets.errors import RagError
    from rag_assets.models.protocols import ChatModel, Completion, Embedder
    from rag_assets.pipeline.refreshing import Pipeline, Refreshed
    from rag_assets.pipeline.stage import Stage, changed
    from rag_assets.pipeline.stages import STAGES
    from rag_assets.sources.declaration import Source
    from rag_assets.sources.found import FoundFile, Listing
    from rag_assets.sources.listing import SourceKind

_PLACES = {
    "Answer": "answers.answer",
    "Answerer": "answers.answerer",
    "Block": "documents.readers.blocks",
    "ChatModel": "models.protocols",
    "Completion": "models.protocols",
    "Document": "documents.reading",
    "Embedder": "models.protocols",
    "Extracted": "documents.readers.blocks",
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
__all__ = [
    "STAGES",
    "Answer",
    "Answerer",
    "Block",
    "ChatModel",
    "Completion",
    "Document",
    "Embedder",
    "Extracted",
    "FoundFile",
    "Listing",
    "Pipeline",
    "RagError",
    "Reader",
    "Refreshed",
    "RejectedError",
    "Source",
    "SourceKind",
    "Stage",
    "build_defs",
    "changed",
    "read_document",
]

leave_out_rest_client()  # here, because it has to come before any module that imports lancedb


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
