"""The sample corpus, whole and with the real embedder, on a Ray cluster and in one process.

``python -m rag_assets_tests.sample_on_ray`` compares the two. The cluster has two nodes, its lake
is on an S3-compatible server and its runs are in PostgreSQL; the other's lake is a folder and its
runs are in SQLite. ``RAG_EXECUTOR=ray`` makes each step of the cluster's runs a job of its own. It
takes a few minutes, 4 GB and the embedder's weights (``rag models pull``). It is not a test of the
suite, as its engine would not fit beside the suite's three. Nothing is enriched, so that no small
model is needed.

All columns but the vectors are compared exactly. An engine packs texts into batches as they arrive,
and sums in another order differ in their last bits, so a vector has to point where the other does.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import typer

from rag_assets.lake.generations import live_generation
from rag_assets.lake.store import LakeStore
from rag_assets.orchestration.in_process import run_refresh_job
from rag_assets.orchestration.instance import open_instance
from rag_assets.orchestration.refreshing import borrowed_engines
from rag_assets.settings import CHECKOUT, load_settings
from rag_assets_tests.clusters import TwoNodes, two_nodes
from rag_assets_tests.servers import postgres_server, s3_server
from rag_assets_tests.tables import TABLES, content

BUCKET = "lakes"
N_PARTITIONS = 4
SOURCES = f"""
sources:
  - name: sample
    kind: folder
    where: {CHECKOUT}/data/sample/corpus
    golden: {CHECKOUT}/data/sample/golden.jsonl
    buckets: {N_PARTITIONS}
    enrich: false
"""
PORT_BASE = "8661"  # not the default: a developer's own engines may be running there
MIN_COSINE = 0.9999


@dataclass(frozen=True, slots=True)
class Difference:
    """Between the vectors of two lakes; 1 and 0 where they are the same."""

    n_vectors: int
    n_different: int
    min_cosine: float
    max_difference: float  # of one component


def compare(found: LakeStore, expected: LakeStore) -> tuple[dict[str, int], Difference]:
    """Rows of each table, and how far the vectors are apart.

    Raises:
        ValueError: a table lacks rows or has others; the first is named.
    """
    (ours, our_vectors), (theirs, their_vectors) = map(_split, (found, expected))
    if ours.keys() != theirs.keys():
        raise ValueError(f"expected {sorted(theirs)}; got {sorted(ours)}")
    for name, rows in theirs.items():
        if ours[name] != rows:
            row = next(iter(set(rows) ^ set(ours[name])), "rows in another number")
            raise ValueError(f"{name} differs, first in {row}")
    pairs = [(our_vectors[key], vector) for key, vector in their_vectors.items()]
    a, b = (np.asarray(side, np.float64) for side in zip(*pairs, strict=True))
    cosines = (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    gaps = np.abs(a - b).max(1)
    counts = {t: sum(len(r) for n, r in ours.items() if n.split("/")[0] == t) for t in TABLES}
    return counts, Difference(
        len(pairs), int((gaps > 0).sum()), float(cosines.min()), float(gaps.max())
    )


def _split(store: LakeStore) -> tuple[Mapping[str, list[str]], Mapping[str, list[float]]]:
    plain: dict[str, list[str]] = {}
    vectors: dict[str, list[float]] = {}
    for name, rows in content(store).items():
        plain[name] = []
        for row in map(json.loads, rows):
            if "vector" in row:
                vectors[f"{name}/{row['chunk_id']}"] = row.pop("vector")
            plain[name].append(json.dumps(row, sort_keys=True))
        plain[name].sort()
    return plain, vectors


def refresh(patch: pytest.MonkeyPatch, lake: LakeStore, launcher: str) -> float:
    """Refresh all partitions; returns the seconds that it took.

    Raises:
        RuntimeError: a run failed.
    """
    patch.setenv("RAG_LAKE", lake.uri)
    patch.setenv("RAG_RUN_LAUNCHER", launcher)
    partitions = [f"sample.{n}" for n in range(N_PARTITIONS)]
    began = time.monotonic()
    with open_instance() as instance:
        runs = run_refresh_job(instance, partitions, typer.echo)
    if errors := [f"{run.what}: {run.errors}" for run in runs if not run.succeeded]:
        raise RuntimeError("\n".join(errors))
    return time.monotonic() - began


def report(found: LakeStore, expected: LakeStore, nodes: TwoNodes, seconds: Sequence[float]) -> str:
    """What came of it, in lines.

    Raises:
        ValueError: the lakes differ by more than the vectors' last bits.
    """
    counts, difference = compare(found, expected)
    ours, theirs = live_generation(found), live_generation(expected)
    if ours is None or theirs is None or ours.data_version != theirs.data_version:
        raise ValueError("the published generations differ, or one was not published")
    recalls = [g.evaluation["candidate"]["recall"] for g in (ours, theirs)]
    text = "\n".join(
        [
            *(f"{name}: {n} rows, equal" for name, n in counts.items()),
            f"{difference.n_vectors} vectors, {difference.n_different} not the same to the bit; "
            f"lowest cosine {difference.min_cosine:.9f}, "
            f"largest difference of a component {difference.max_difference:.2e}",
            f"recall of the golden questions: {recalls[0]:.4f} and {recalls[1]:.4f}",
            f"{len(nodes.jobs().list_jobs())} Ray jobs on {len(nodes.nodes_used())} nodes, "
            f"{seconds[0]:.0f} s; in one process {seconds[1]:.0f} s",
        ]
    )
    if difference.min_cosine < MIN_COSINE:
        raise ValueError(f"vectors differ:\n{text}")
    return text


def main() -> None:
    """Start what it takes, refresh twice, compare."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in ("home", "s3"):
            (folder / name).mkdir()
        (folder / "home" / "sources.yaml").write_text(SOURCES)
        patch.setenv("RAG_HOME", str(folder / "home"))
        patch.setenv("RAG_PROFILE", "cpu")
        patch.setenv("RAG_ENGINE_PORT_BASE", PORT_BASE)
        patch.setenv("RAG_RUNS_AT_ONCE", "2")
        patch.setenv("DAGSTER_HOME", "")  # restored at the end, whatever sets it
        for name in ("RAG_STATE", "RAG_POSTGRES_URL"):
            patch.delenv(name, raising=False)
        stack.enter_context(borrowed_engines(load_settings(), typer.echo, ["embedder"]))
        local = LakeStore(str(folder / "home" / "lake"))
        local_s = refresh(patch, local, "default")
        for name, value in stack.enter_context(s3_server(folder / "s3", BUCKET)).items():
            patch.setenv(name, value)
        url = stack.enter_context(postgres_server())
        patch.setenv("RAG_POSTGRES_URL", url)
        nodes = stack.enter_context(two_nodes())
        remote = LakeStore(f"s3://{BUCKET}/sample")
        cluster_s = refresh(patch, remote, "ray")
        typer.echo(report(remote, local, nodes, (cluster_s, local_s)))


if __name__ == "__main__":
    main()
