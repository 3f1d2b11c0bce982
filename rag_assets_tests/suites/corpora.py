"""Public sets as ordinary sources: written to files, ingested by ``rag refresh``, in own lakes.

Each set has a home of its own below ``<home>/evaluations``: its files, its ``sources.yaml``, its
lake, its Dagster. Nothing of it is seen by the sources that people ask about, and any of these
homes can be looked at like any other: ``RAG_HOME=<home>/evaluations/scifact dagster dev``.
"""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import yaml

from rag_assets.enrichments import stage as enrichments
from rag_assets.enrichments.document_types import DOCUMENT_TYPES
from rag_assets.errors import CommandError
from rag_assets.evaluations.lab import Lab, Tell
from rag_assets.index.search import IndexReader
from rag_assets.lake.generations import live_generation
from rag_assets.lake.identity import data_version, value_hash
from rag_assets.lake.store import LakeError, LakeStore
from rag_assets.pipeline.stages import STAGES
from rag_assets.settings import Settings
from rag_assets_tests.suites.datasets import Document, write_corpus

READY = "evaluation_corpus"  # record of a set's lake: what it was ingested from and by


def ingested(
    lab: Lab, name: str, documents: Iterable[Document], *, enriched: bool = False
) -> LakeStore:
    """The lake that holds these documents as the source ``name``; refreshed if need be.

    Args:
        lab: whose ``evaluations`` folder holds the home, and whose engines are used.
        name: of the source and of its home.
        documents: all of them; what the home holds besides is deleted, as at any source.
        enriched: have the small model describe each document in full (1.4 s each on two cores).

    Raises:
        CommandError: the refresh failed.
    """
    home = lab.settings.evaluations / "corpora" / name
    listed = list(documents)
    store = LakeStore(str(home / "lake"))
    codes = [f"{stage.name}/{stage.version}" for stage in STAGES]
    if enriched:
        codes.append(enrichments.configuration(enrichments.Wanted(DOCUMENT_TYPES, True)))
    models = [[s.model_id, s.revision, s.max_model_len] for s in lab.profile.roles.values()]
    content = data_version((d.id, value_hash([d.title, d.text])) for d in listed)
    stamp = {"stamp": value_hash([content, enriched, codes, models])}
    if store.get_record(READY) != stamp:
        store.put_record(READY, {"stamp": ""})  # until it is whole again
        write_corpus(listed, home / "corpus")
        entry: dict[str, str | bool] = {"name": name, "kind": "folder", "where": "corpus"}
        entry |= {"enrich": "full" if enriched else False}
        (home / "sources.yaml").write_text(yaml.safe_dump({"sources": [entry]}), encoding="utf-8")
        lab.tell(f"ingesting {len(listed):,} documents of {name}")
        _refresh(home, lab.settings, lambda line: lab.tell(f"{name}: {line}"))
        store.put_record(READY, stamp)
    generation = live_generation(store)
    if generation is not None:
        counts = generation.counts
        lab.corpora[name] = (
            f"{generation.id}, {counts['documents']:,} documents, {counts['chunks']:,} chunks"
        )
    return store


def live_reader(store: LakeStore) -> IndexReader:
    """The live generation of a lake.

    Raises:
        LakeError: nothing is live in it.
    """
    generation = live_generation(store)
    if generation is None:
        raise LakeError(f"no generation is live in {store.uri}; run `rag refresh`")
    return IndexReader(store, generation)


def _refresh(home: Path, settings: Settings, tell: Tell) -> None:
    """``rag refresh`` in a home of its own, by the engines of this one."""
    env = {k: v for k, v in os.environ.items() if k not in ("RAG_LAKE", "RAG_POSTGRES_URL")}
    env |= {"RAG_HOME": str(home), "RAG_STATE": str(settings.state), "COLUMNS": "200"}
    env |= {"RAG_ANSWERER_PORT": "0"}  # nobody answers there: this index is not for the answerer
    with subprocess.Popen(
        [sys.executable, "-m", "rag_assets", "refresh"],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as process:  # fmt: skip
        lines: list[str] = []
        for line in process.stdout or ():
            lines = [*lines[-20:], line.rstrip()]
            if " of " in line and line.rstrip().endswith(")"):
                tell(line.strip())
    if process.returncode:
        raise CommandError(
            f"the refresh of {home} ended with {process.returncode}:\n" + "\n".join(lines)
        )
