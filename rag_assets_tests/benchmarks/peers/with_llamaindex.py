"""LlamaIndex: IngestionPipeline with docstore upserts and deletes, LanceDB as vector store.

Pages are read as in the floor, in two processes, all of them each time: the pipeline learns what
changed by comparing texts. Its own splitter cuts, by the embedder's tokenizer; its cache of whole
runs, which a changed corpus never hits, is off; docstore and table are kept on disk between runs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import Document
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.vector_stores.lancedb import LanceDBVectorStore

from rag_assets_tests.benchmarks.peers.plain import (
    EMBED_BATCH,
    TABLE,
    Arm,
    load_tokenizer,
    main,
    page_texts,
)


class QuotingVectorStore(LanceDBVectorStore):
    """Its delete writes the id in double quotes, which lancedb 0.40 reads as a column's name."""

    def delete(self, ref_doc_id: str, **_: Any) -> None:  # noqa: ANN401 - as the base has it
        """Delete a document's rows."""
        quoted = ref_doc_id.replace("'", "''")
        self.table.delete(f"{self.doc_id_key} = '{quoted}'")


def refresh(arm: Arm) -> Mapping[str, int]:
    """What changed into the table."""
    tokenizer = load_tokenizer(arm.tokenizer)
    kept = Path(arm.home) / "docstore.json"
    docstore = (
        SimpleDocumentStore.from_persist_path(str(kept))
        if kept.is_file()
        else SimpleDocumentStore()
    )
    store = QuotingVectorStore(uri=arm.lance, table_name=TABLE, doc_id_key="page", mode="create")
    pipeline = IngestionPipeline(
        transformations=[
            SentenceSplitter(
                chunk_size=arm.max_tokens,
                chunk_overlap=0,
                tokenizer=lambda text: tokenizer.encode(text, add_special_tokens=False).ids,
            ),
            OpenAILikeEmbedding(
                model_name=arm.model,
                api_base=f"{arm.url}/v1",
                api_key="none",
                embed_batch_size=EMBED_BATCH,
                timeout=600.0,
            ),
        ],
        docstore=docstore,
        vector_store=store,
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
        disable_cache=True,
    )
    paths = arm.paths()
    pipeline.run(
        documents=[
            Document(text=text, id_=Path(path).name)
            for path, text in zip(paths, page_texts(paths), strict=True)
        ]
    )
    docstore.persist(str(kept))
    return {"chunks": store.table.count_rows()}


if __name__ == "__main__":
    main(refresh)
