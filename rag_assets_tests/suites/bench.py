"""Tiny public sets for a laboratory; corpora are refreshed in this process."""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rag_assets.lake import generations
from rag_assets.lake.store import LakeStore
from rag_assets.settings import Settings
from rag_assets.sources.catalog import declared
from rag_assets_tests.evaluations.lab import SYLLABLES, Bench, prose
from rag_assets_tests.suites import corpora, mixed
from rag_assets_tests.suites.datasets import DATASETS
from rag_assets_tests.world import World, read_in_process


def ship(name: str, year: int, language: str = "en") -> dict[str, object]:
    text = f"The ferry {name} was built in {year}. {prose(name)}."
    return {"id": f"d-{name}", "title": name, "text": text, "lang": language}


def asked(name: str, year: int | None, **more: object) -> dict[str, object]:
    """When was a ship built; None: the documents do not say."""
    return {
        "id": f"q-{name}", "question": f"When was the ferry {name} built?",
        "answers": [] if year is None else [str(year)], "doc_ids": [f"d-{name}"],
        "answerable": year is not None, "lang": "en", **more,
    }  # fmt: skip


def write_lines(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(lines.encode()))


def write_qa(
    data: Path, name: str, documents: list[dict[str, object]], questions: list[dict[str, object]]
) -> None:
    home = data / DATASETS[name].folder
    write_lines(home / "documents.jsonl.gz", documents)
    write_lines(home / "questions.jsonl.gz", questions)


def ships(prefix: str, n: int) -> list[tuple[str, int]]:
    return [(f"{prefix}{SYLLABLES[i].capitalize()}", 1900 + 7 * i + len(prefix)) for i in range(n)]


def write_ships(
    data: Path, name: str, n: int, *, n_unanswerable: int = 0, **more: object
) -> list[tuple[str, int]]:
    """A set of n ships and a question about each; the last ones' years are not in the documents."""
    found = ships(name.replace("-", "").capitalize(), n)
    documents = [ship(*one) for one in found]
    questions = [asked(*one, **more) for one in found]
    for number in range(n - n_unanswerable, n):
        documents[number]["text"] = f"Of the ferry {found[number][0]}: {prose(found[number][0])}."
        questions[number] = asked(found[number][0], None, **more)
    write_qa(data, name, documents, questions)
    return found


def write_judged(data: Path, name: str, n: int) -> None:
    home = data / DATASETS[name].folder
    found = ships(name.capitalize(), n)
    rows = [ship(*one) for one in found]
    corpus = [{"_id": r["id"], "title": r["title"], "text": r["text"]} for r in rows]
    queries = [{"_id": f"q{i}", "text": f"ferry {one[0]}"} for i, one in enumerate(found)]
    write_lines(home / "corpus.jsonl.gz", corpus)  # type: ignore[arg-type]
    write_lines(home / "queries.jsonl.gz", queries)  # type: ignore[arg-type]
    (home / "qrels").mkdir()
    lines = [f"q{i}\td-{one[0]}\t1\n" for i, one in enumerate(found)]
    (home / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
    if DATASETS[name].has_claims:
        claims = [
            {"_id": f"q{i}", "claim": "x", "evidence": [{"label": "SUPPORT"}] * (i % 2)}
            for i in range(n)
        ]
        write_lines(home / "claims.jsonl.gz", claims)  # type: ignore[arg-type]


def refresh_here(home: Path, _settings: Settings, tell: Callable[[str], None]) -> None:
    """What ``rag refresh`` does in a home, in this process and with fakes for models."""
    (source,) = declared(home / "sources.yaml").values()
    world = World(home / "unused", LakeStore(str(home / "lake")), source.name)
    world.source, world.root = source, Path(source.where)
    generations.publish(world.store, world.refresh().generation)
    tell("refreshed (here)")


@pytest.fixture
def bench(tmp_path: Path, in_process: None, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(corpora, "_refresh", refresh_here)
    return Bench(tmp_path)


def shared(folder: Path, patch: pytest.MonkeyPatch) -> Bench:
    """A bench for a whole module of tests."""

    read_in_process(patch)
    patch.setattr(corpora, "_refresh", refresh_here)
    return Bench(folder)


@contextmanager
def mixed_and_golden(folder: Path) -> Iterator[Bench]:
    """A bench with the sets of ``mixed`` and golden questions on the live generation."""
    with pytest.MonkeyPatch.context() as patch:
        bench = shared(folder, patch)
        for name in mixed.SETS:
            write_ships(bench.data, name, 4, n_unanswerable=1)
        bench.golden("docs")
        yield bench
