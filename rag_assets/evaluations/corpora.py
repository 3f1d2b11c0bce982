"""Public sets as ordinary sources: written to files, ingested by ``rag refresh``, in own lakes.

Each set has a home of its own below ``<home>/evaluations``: its files, its ``sources.yaml``, its
lake, its Dagster. Nothing of it is seen by the sources that people ask about, and any of these
homes can be looked at like any other: ``RAG_HOME=<home>/evaluations/scifact dagster dev``.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import yaml

from rag_assets.chunks import stage as cut
from rag_assets.documents import stage as normalise
from rag_assets.duplicates import stage as collapse
from rag_assets.embeddings import stage as embed
from rag_assets.enrichments import stage as enrich
from rag_assets.enrichments.classification import SCHEMA, SYSTEM
from rag_assets.errors import CommandError
from rag_assets.evaluations.datasets import Document, write_corpus
from rag_assets.index import stage as build
from rag_assets.lake.identity import data_version, value_hash
from rag_assets.lake.store import LakeStore
from rag_assets.models.profiles import Profile
from rag_assets.sections import stage as structure
from rag_assets.settings import Settings
from rag_assets.sources import stage as ingest

READY = "evaluation_corpus"  # record of a set's lake: what it was ingested from and by
STAGES = (ingest, normalise, collapse, structure, cut, embed, enrich, build)

Tell = Callable[[str], None]


def ingested(
    name: str,
    documents: Iterable[Document],
    settings: Settings,
    profile: Profile,
    tell: Tell,
    *,
    enriched: bool = False,
) -> LakeStore:
    """The lake that holds these documents as the source ``name``; refreshed if need be.

    Args:
        name: of the source and of its home.
        documents: all of them; what the home holds besides is deleted, as at any source.
        settings: whose ``evaluations`` folder holds the home, and whose engines are used.
        profile: of the models.
        tell: told a line of progress.
        enriched: have the small model describe each document (1.4 s each on two cores).

    Raises:
        CommandError: the refresh failed.
    """
    home = settings.evaluations / "corpora" / name
    listed = list(documents)
    store = LakeStore(str(home / "lake"))
    codes = [stage.CODE_VERSION for stage in STAGES]
    codes += [value_hash([SYSTEM, SCHEMA])] if enriched else []
    models = [[s.model_id, s.revision, s.max_model_len] for s in profile.roles.values()]
    content = data_version((d.id, value_hash([d.title, d.text])) for d in listed)
    stamp = {"stamp": value_hash([content, enriched, codes, models])}
    if store.get_record(READY) == stamp:
        return store
    store.put_record(READY, {"stamp": ""})  # until it is whole again
    write_corpus(listed, home / "corpus")
    entry = {"name": name, "kind": "folder", "where": "corpus", "enrich": enriched}
    (home / "sources.yaml").write_text(yaml.safe_dump({"sources": [entry]}), encoding="utf-8")
    tell(f"ingesting {len(listed):,} documents of {name}")
    _refresh(home, settings, lambda line: tell(f"{name}: {line}"))
    store.put_record(READY, stamp)
    return store


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
