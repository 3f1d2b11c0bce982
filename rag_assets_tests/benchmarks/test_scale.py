import json
import signal
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, pre_tokenizers

from rag_assets.lake.store import LakeStore
from rag_assets.sources.declaration import Source
from rag_assets_tests.benchmarks import scale, scale_report, synthetic
from rag_assets_tests.benchmarks.findings import BenchmarkError
from rag_assets_tests.benchmarks.scale import Job, Window
from rag_assets_tests.benchmarks.scale_report import PHASES, STAGES, UPKEEP, Cost, Size
from rag_assets_tests.world import read_in_process


@pytest.fixture
def window(tmp_path: Path) -> Window:
    rust = RustTokenizer(models.WordLevel({"?": 0}, "?"))
    rust.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    rust.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text("{}")
    return Window(folder, "words", 254)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents are short, and read in this process."""
    read_in_process(monkeypatch)
    monkeypatch.setattr(synthetic, "LONGEST", 60)


def size(n_documents: int, cpu_s: float, rss: int = 0, **other: float) -> Size:
    costs: Mapping[str, Cost] = {
        stage: Cost(1.0, other.get(stage, cpu_s), 0, rss) for stage in STAGES
    }
    phases = {**dict.fromkeys(PHASES, costs), UPKEEP: {UPKEEP: Cost(1.0, cpu_s, 0, rss)}}
    return Size(n_documents, 1, dict.fromkeys(PHASES, 0), phases, {}, {"raw": 3000}, {"raw": 2000})


def test_a_straight_line_has_growth_one() -> None:
    small, large = size(100, 1.0), size(800, 8.0)
    assert scale_report.per_doubling(small, large, "chunks") == pytest.approx(1)
    assert scale_report.per_doubling(small, large, None) == pytest.approx(1)


def test_a_square_doubles_with_each_doubling() -> None:
    small, large = size(100, 1.0), size(800, 8.0, index=64.0)
    assert scale_report.per_doubling(small, large, "index") == pytest.approx(2)
    assert scale_report.per_doubling(small, large, "chunks") == pytest.approx(1)


def test_goals_are_missed_by_what_misses_them() -> None:
    straight = scale_report._goals([size(100, 1.0), size(800, 8.0)])
    assert [goal.reached for goal in straight] == [True, True]
    crooked = scale_report._goals([size(100, 1.0), size(800, 8.0, index=64.0)])
    assert [goal.reached for goal in crooked] == [False, True]
    assert "steepest stage index 2.000" in crooked[0].measured
    assert not scale_report._goals([size(100, 1.0, rss=2**31)])[-1].reached


def test_bytes_are_told_a_document() -> None:
    table = scale_report._bytes_table([size(1, 1.0), size(2, 1.0)])
    assert table.rows == [["raw", "3.00", "2.00", "1.50", "1.00"],
                          ["all", "3.00", "2.00", "1.50", "1.00"]]  # fmt: skip


def test_buckets_grow_with_the_corpus() -> None:
    assert [scale.n_buckets(n) for n in (100, 1000, 10_000, 10**6)] == [1, 1, 8, 1024]


def test_stand_in_gives_unit_vectors_that_follow_from_the_text() -> None:
    vectors = scale.StandIn().embed(["a", "b", "a"])
    assert vectors.shape == (3, scale.DIMENSION)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    assert (vectors[0] == vectors[2]).all()
    assert (vectors[0] != vectors[1]).all()


def test_all_stages_and_changes_at_a_small_size(
    tmp_path: Path, window: Window, short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "DOCUMENTS_A_BUCKET", 50)
    folder, said = tmp_path / "scale", list[str]()
    folder.mkdir()
    part = scale.measure([100], folder, window, said.append, launch=scale.run_stage)
    measured = scale._from_json((folder / "528-words" / "100.json").read_text())
    assert (measured.n_documents, measured.n_buckets) == (100, 2)
    assert measured.n_changed == dict(zip(PHASES, [100, 0, 1, 1], strict=True))
    written = {
        phase: {stage: cost.n_written for stage, cost in costs.items()}
        for phase, costs in measured.costs.items()
    }
    built, nothing, few, spread = (written[phase] for phase in PHASES)
    assert written[UPKEEP] == {UPKEEP: 1}  # the index: each build makes several versions of it
    assert (built["source_files"], built["documents"]) == (100, 100)
    assert built["chunks"] == built["embeddings"] == measured.n_rows["chunks"]
    assert built["index"] == measured.n_rows["chunk_index"] > 0
    assert set(nothing.values()) == {0}
    for changed in (few, spread):
        assert (changed["source_files"], changed["documents"]) == (1, 1)
        assert 0 < changed["index"] < 20
    assert not (folder / "528-words" / "100").exists()
    titles = [table.title for table in part.tables]
    assert titles[1:3] == ["Refreshes of all partitions", "Upkeep after all refreshes"]
    assert any(scale.StandIn.model_id in note for note in part.notes)
    said.clear()
    again = scale.measure([100], folder, window, said.append, launch=_never)
    assert again == part
    assert "kept in" in said[0]


def test_a_size_goes_on_where_it_was_stopped_and_anew_where_it_was_cut_off(
    tmp_path: Path, window: Window, short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "DOCUMENTS_A_BUCKET", 25)
    monkeypatch.setattr(scale, "PARTITIONS_PER_RUN", 2)
    ran: list[tuple[str, int]] = []

    def launch(job: Job, stop_in: str = "", die_in: str = "") -> Cost:
        ran.append((job.stage, len(job.partitions)))
        if job.stage == stop_in:
            signal.raise_signal(signal.SIGINT)
        if job.stage == die_in:
            raise OSError("cut off")
        return scale.run_stage(job)

    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):  # after the step that ran
        scale.measure(
            [100], tmp_path, window, said.append, launch=partial(launch, stop_in="chunks")
        )
    before = [("source_files", 4), ("documents", 2), ("documents", 2), ("duplicates", 4),
              ("sections", 2), ("sections", 2), ("chunks", 2)]  # fmt: skip
    assert ran == before
    ran.clear()
    with pytest.raises(OSError, match="cut off"):
        scale.measure([100], tmp_path, window, said.append, launch=partial(launch, die_in="index"))
    assert "100 documents: going on after 8 steps" in said
    assert ran == [("chunks", 2), ("embeddings", 2), ("embeddings", 2), ("index", 4)]
    ran.clear()
    scale.measure([100], tmp_path, window, said.append, launch=launch)
    assert "100 documents: cut off in built: index 1; beginning anew" in said
    assert ran[: len(before)] == before
    measured = scale._from_json((tmp_path / "528-words" / "100.json").read_text())
    assert measured.costs[PHASES[0]]["documents"].n_written == 100


def _never(job: Job) -> Cost:
    raise AssertionError(f"{job.stage} is measured again")


def test_refreshes_can_be_left_to_another_day(tmp_path: Path, window: Window, short: None) -> None:
    ran: list[str] = []

    def launch(job: Job) -> Cost:
        ran.append(job.stage)
        return scale.run_stage(job)

    part = scale.measure([100], tmp_path, window, print, built_only=True, launch=launch)
    (table,) = part.tables
    assert table.title.startswith("100 documents in 1 buckets, built")
    assert tuple(ran) == STAGES
    whole = scale.measure([100], tmp_path, window, print, launch=launch)
    assert whole.tables[0] == table
    assert tuple(ran) == STAGES * 4 + (UPKEEP,)
    assert scale.measure([100], tmp_path, window, print, built_only=True, launch=_never) == whole


def test_a_stage_in_a_process_of_its_own(tmp_path: Path, window: Window) -> None:
    list(synthetic.write(tmp_path / "corpus", 1, range(3)))
    source = Source(name="scale", kind="folder", where=str(tmp_path / "corpus"))
    job = Job("source_files", str(tmp_path / "lake"), source, window, source.partitions)
    cost = scale.in_a_process(job)
    assert (cost.n_written, LakeStore(job.lake).partitions("source_files")) == (3, ["scale.0"])
    assert cost.rss > 10**7


def test_a_stage_that_dies_is_named(
    tmp_path: Path, window: Window, capfd: pytest.CaptureFixture[str]
) -> None:
    source = Source(name="scale", kind="folder", where=str(tmp_path / "absent"))
    with pytest.raises(BenchmarkError, match="stage source_files died"):
        scale.in_a_process(
            Job("source_files", str(tmp_path / "lake"), source, window, source.partitions)
        )
    assert "expected a folder" in capfd.readouterr().err


def test_sizes_that_cannot_change_by_a_hundredth_are_refused(
    tmp_path: Path, window: Window
) -> None:
    with pytest.raises(BenchmarkError, match="100 documents or more"):
        scale.measure([99], tmp_path, window, print)


def test_results_are_read_as_they_were_written() -> None:
    measured = replace(size(100, 1.0), n_rows={"chunks": 3})
    text = json.dumps(asdict(measured))
    assert scale._from_json(text) == measured
