"""CocoIndex: files walked and remembered by its engine, LanceDB as target.

What it has no part for (a page's text, a chunker by tokens, a client of an OpenAI-compatible
embedder) is the floor's, each as a remembered function. Its state is in LMDB, so no server.
"""

import asyncio
import os
import pathlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import cocoindex as coco
import lancedb as plain_lancedb
import numpy as np
from cocoindex.connectors import lancedb, localfs
from cocoindex.resources.file import FileLike, PatternFilePathMatcher
from cocoindex.resources.schema import VectorSchema
from numpy.typing import NDArray

from rag_assets_tests.benchmarks.peers import plain

DATABASE: Any = coco.ContextKey("lance")
# Batches are made outside of any component, where a context cannot be asked.
GIVEN: dict[str, plain.Arm] = {}
FAILED: list[BaseException] = []  # CocoIndex goes on without a page that failed, and says only so


@dataclass
class Row:
    """A row of the target."""

    id: str
    page: str
    text: str
    vector: Annotated[NDArray[np.float32], VectorSchema(dtype=np.dtype("<f4"), size=384)]


@cache
def tokenizer(path: str) -> Any:  # noqa: ANN401 - tokenizers ships no types
    """The embedder's tokenizer."""
    return plain.load_tokenizer(path)


@cache
def readers() -> Any:  # noqa: ANN401 - an executor
    """Processes that read pages, started when there is one to read."""
    return plain.readers()


@coco.fn.as_async(memo=True, batching=True, max_batch_size=plain.EMBED_BATCH)
async def embed(texts: list[str]) -> list[NDArray[np.float32]]:
    """Vectors of texts, a request a batch."""
    return await asyncio.to_thread(plain.embed, GIVEN["arm"], texts)


@coco.fn(memo=True)
async def process_page(file: FileLike, table: lancedb.TableTarget[Row]) -> None:
    """The rows of one page."""
    try:
        await _declare_rows(file, table)
    except Exception as error:
        FAILED.append(error)
        raise


async def _declare_rows(file: FileLike, table: lancedb.TableTarget[Row]) -> None:
    arm = GIVEN["arm"]
    path = str(pathlib.Path(arm.pages) / file.file_path.path.name)
    loop = asyncio.get_running_loop()
    text = await loop.run_in_executor(readers(), plain.page_text, path)
    chunks = plain.chunks_of(path, text, tokenizer(arm.tokenizer), arm.max_tokens)
    vectors = await asyncio.gather(*(embed(chunk.text) for chunk in chunks))
    for chunk, vector in zip(chunks, vectors, strict=True):
        table.declare_row(row=Row(chunk.id, chunk.page, chunk.text, vector))


@coco.fn
async def pages_to_rows(pages: pathlib.Path) -> None:
    """All pages to the table."""
    table = await lancedb.mount_table_target(
        DATABASE, plain.TABLE, await lancedb.TableSchema.from_class(Row, primary_key=["id"])
    )
    files = localfs.walk_dir(
        pages, path_matcher=PatternFilePathMatcher(included_patterns=["*.html"])
    )
    await coco.mount_each(process_page, files.items(), table)


def refresh(arm: plain.Arm) -> Mapping[str, int]:
    """What changed into the table."""
    os.environ["COCOINDEX_DB"] = f"{arm.home}/state"
    GIVEN["arm"] = arm

    @coco.lifespan
    async def lifespan(builder: coco.EnvironmentBuilder) -> AsyncIterator[None]:
        builder.provide(DATABASE, await lancedb.connect_async(arm.lance))
        yield

    app = coco.App(coco.AppConfig(name="pages"), pages_to_rows, pages=pathlib.Path(arm.pages))
    app.update_blocking()
    if readers.cache_info().currsize:
        readers().shutdown()
    if FAILED:
        raise FAILED[0]
    return {"chunks": plain_lancedb.connect(arm.lance).open_table(plain.TABLE).count_rows()}


if __name__ == "__main__":
    plain.main(refresh)
