import json
from pathlib import Path

import pytest

from rag_assets.enrichments import stage as enrich
from rag_assets.evaluations.golden import golden
from rag_assets.evaluations.labels import DATASET, ENRICHED, MAJORITY, classified, load_labels
from rag_assets.settings import CHECKOUT
from rag_assets.sources.catalog import Source, declared
from rag_assets.sources.golden import CaseError
from rag_assets_tests.evaluations.lab import Bench


def source(folder: Path, *lines: str) -> Source:
    path = folder / "labels.jsonl"
    path.write_text("\n".join(lines))
    return Source("docs", "folder", str(folder), labels=str(path))


def test_forms(tmp_path: Path) -> None:
    line = json.dumps({"document": "a/b.md", "types": ["report", "minutes"]})
    assert load_labels(source(tmp_path, line)) == {"docs:a/b.md": ("report", "minutes")}
    assert load_labels(Source("docs", "folder", str(tmp_path))) == {}


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="source docs: no labels at"):
        load_labels(Source("docs", "folder", str(tmp_path), labels=str(tmp_path / "absent")))


@pytest.mark.parametrize(
    "line", ["not JSON", "[]", "{}", '{"document": "a", "types": []}',
             '{"document": "a", "types": ["poem"]}', '{"types": ["report"]}'],
)  # fmt: skip
def test_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    right = json.dumps({"document": "a", "types": ["report"]})
    with pytest.raises(CaseError, match=r"labels\.jsonl, line 2: expected an object with document"):
        load_labels(source(tmp_path, right, line))


def test_the_sample_labels_every_document_that_is_read() -> None:
    (sample,) = declared(CHECKOUT / "data" / "sources.yaml").values()
    files = {
        f"sample:{path.relative_to(sample.where).as_posix()}"
        for path in Path(sample.where).rglob("*")
        if path.is_file()
    }
    labelled = set(load_labels(sample))
    assert labelled <= files
    assert len(files - labelled) == 2  # the two that are there to be rejected


def declare_labels(bench: Bench) -> None:
    lines = [{"document": "a.md", "types": ["report"]}, {"document": "b.md", "types": ["log"]},
             {"document": "gone.md", "types": ["log"]}]  # fmt: skip
    labels = bench.settings.home / "labels.jsonl"
    labels.write_text("\n".join(json.dumps(line) for line in lines))
    declared_now = json.loads(bench.settings.sources_file.read_text())
    declared_now["sources"][0]["labels"] = "labels.jsonl"
    bench.settings.sources_file.write_text(json.dumps(declared_now))


def test_enrichment_is_held_against_the_labels(bench: Bench) -> None:
    bench.golden("docs")
    declare_labels(bench)
    lab = bench.lab()
    (table,) = lab.store.partitions(enrich.TABLE.name)
    rows = lab.store.rows(enrich.TABLE.name, table)
    assert {row["document_type"] for row in rows} == {"guide"}  # what the fake says of all
    found = {(r.variant, r.case_id): r for r in classified(lab, "ablation")}
    assert {r.dataset for r in found.values()} == {DATASET}
    assert set(found) == {(v, f"docs:{d}.md") for v in (MAJORITY, ENRICHED) for d in "ab"}
    assert found[MAJORITY, "docs:a.md"].answer == "report"  # as common as log, and named first
    assert [found[MAJORITY, f"docs:{d}.md"].scores["correct"] for d in "ab"] == [1.0, 0.0]
    assert [found[ENRICHED, f"docs:{d}.md"].scores["correct"] for d in "ab"] == [0.0, 0.0]
    assert found[ENRICHED, "docs:a.md"].answer == "guide"


def test_golden_holds_labels_against_types_given_by_hand(bench: Bench) -> None:
    bench.golden("docs")
    declare_labels(bench)
    labelled = [result for result in golden(bench.lab()) if result.dataset == DATASET]
    assert {result.variant for result in labelled} == {MAJORITY, ENRICHED}


def test_without_labels_nothing_is_held_against_anything(bench: Bench) -> None:
    bench.golden("docs")
    assert classified(bench.lab(), "ablation") == []
