"""Hot loads under questions: what a mixture is, what the tables say, what damage does."""

import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rag_assets.answers.answerer import Answerer
from rag_assets.lake.generations import rollback
from rag_assets.lake.store import LakeStore
from rag_assets.serving.live_index import LiveIndex
from rag_assets_tests.answers.fakes import WordEmbedder
from rag_assets_tests.benchmarks import hot_load
from rag_assets_tests.benchmarks.answerer import SAMPLE
from rag_assets_tests.benchmarks.client import Asked, Reply
from rag_assets_tests.benchmarks.findings import BenchmarkError
from rag_assets_tests.benchmarks.hot_load import (
    DAMAGED,
    LOADING,
    RESULTS,
    RUN,
    STILL,
    Bench,
    Content,
    Result,
    code_of,
    mixture,
    questions_of,
    ratio_of,
    report,
)
from rag_assets_tests.fakes import FakeChat

OLD, NEW = code_of(1), code_of(2)
CONTENT = Content(NEW, {"c1": f"The code is {NEW}.", "c2": "Built in 1994."})


def reply(text: str, *citations: tuple[str, str], read: tuple[str, ...] = ("c1",)) -> Reply:
    record = {
        "generation": {"id": "g2"},
        "citations": [
            {"n": n, "chunk_id": chunk, "quote": quote}
            for n, (chunk, quote) in enumerate(citations, 1)
        ],
        "evidence": [{"chunk_ids": list(read)}],
    }
    return Reply("q", False, 200, 0.0, 1.0, 1.0, text, record, "")


@pytest.mark.parametrize(
    "sound",
    [
        reply(f"It is {NEW} [1].", ("c1", f"code is {NEW}")),
        reply("It was built in 1994 [1].", ("c2", "Built in 1994."), read=("c1", "c2")),
        reply("The documents do not say.", read=()),
    ],
)
def test_an_answer_of_one_generation_is_not_mixed(sound: Reply) -> None:
    assert mixture(sound, CONTENT) == []


@pytest.mark.parametrize(
    ("mixed", "said"),
    [
        (reply(f"It is {OLD} [1].", ("c1", f"code is {NEW}")), f"it holds {OLD}"),
        (reply("It is [1].", ("c1", f"code is {OLD}")), "quote 1 is not in chunk c1"),
        (reply("In 1995 [1].", ("c2", "Built in 1995.")), "quote 1 is not in chunk c2"),
        (reply("In 1994 [1].", ("c9", "Built in 1994.")), "quote 1 is not in chunk c9"),
        (reply("Nothing.", read=("c1", "c9")), "it read c9"),
    ],
)
def test_what_is_of_another_generation_is_found(mixed: Reply, said: str) -> None:
    assert said in "; ".join(mixture(mixed, CONTENT))


def test_a_generation_that_was_never_built_is_a_mixture() -> None:
    assert mixture(reply("x"), None) == ["it names the generation 'g2', which was not built"]


def test_questions_are_of_all_kinds_half_of_them_streamed() -> None:
    asked = questions_of(100)
    assert len(asked) == 100
    assert sum(one.streams for one in asked) == 50
    assert sum("bulletin" in one.question for one in asked) == 25
    streamed = {one.question for one in asked if one.streams}
    assert any("bulletin" in question for question in streamed)


def result(arm: str, seconds: float, **other: Any) -> Result:  # noqa: ANN401
    made = Result(arm, 0, 0, True, 200, seconds / 2, seconds, "g1", True, "", [], "q", "t")
    return replace(made, **other)


def kept(folder: Path, results: list[Result], loads: list[Mapping[str, Any]]) -> Path:
    (folder / RUN).mkdir()
    lines = [json.dumps(asdict(one)) for one in results] + [json.dumps(one) for one in loads]
    (folder / RUN / RESULTS).write_text("\n".join(lines) + "\n")
    return folder


def loaded(wanted: str, arm: str, serving: str, error: str = "") -> Mapping[str, Any]:
    return {"load": wanted, "arm": arm, "serving": serving, "ms": 5.0, "error": error}


def test_goals_are_reached_where_nothing_fails_or_mixes(tmp_path: Path) -> None:
    seconds = np.linspace(1, 3, 100)
    results = [result(arm, second) for second in seconds for arm in (STILL, LOADING)]
    loads = [loaded("g2", LOADING, "g2"), loaded("g9", DAMAGED, "g2", "refused")]
    part = report(kept(tmp_path, results, loads))
    assert [goal.reached for goal in part.goals] == [True] * 5
    assert part.goals[3].measured == "1.000"
    assert [row[1] for row in part.tables[0].rows] == ["100", "100"]


def test_each_goal_can_be_missed(tmp_path: Path) -> None:
    results = [result(STILL, 1.0)] * 20 + [result(LOADING, 1.3)] * 18
    results += [result(LOADING, 1.3, error="down"), result(LOADING, 1.3, mixed=["it holds x"])]
    loads = [loaded("g2", LOADING, "g1", "slow"), loaded("g9", DAMAGED, "g9")]
    part = report(kept(tmp_path, results, loads))
    assert [goal.reached for goal in part.goals] == [False] * 5
    measured = [goal.measured for goal in part.goals]
    assert measured == ["1 of 40", "1 of 40", "0 of 1", "1.300", "g9 serves"]


def test_nothing_of_one_arm_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="both arms"):
        report(kept(tmp_path, [result(STILL, 1.0)], []))


def test_the_ratio_of_percentiles_lies_in_its_interval() -> None:
    values = list(np.random.default_rng(1).gamma(4, 1, 300))
    ratio = ratio_of([1.5 * value for value in values], values, 99)
    assert ratio.value == pytest.approx(1.5)
    assert ratio.low < 1.5 < ratio.high


def test_loads_come_evenly_over_a_block_and_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_heard, at = 0, []

    def ask_all(_url: str, questions: Any, _n: int, heard: Any) -> None:  # noqa: ANN401
        nonlocal n_heard
        for number in range(len(questions)):
            heard(number, reply("Nothing."))
            n_heard += 1
            time.sleep(0.02)

    monkeypatch.setattr(hot_load, "ask_all", ask_all)
    bench = Bench("", tmp_path / RESULTS, {"g2": CONTENT}, lambda _: None)
    bench.block(LOADING, 0, [Asked("q", False)] * 12, 4, lambda: at.append(n_heard))
    assert len(at) == 4
    assert all(abs(heard - due) <= 1 for heard, due in zip(at, (0, 3, 6, 9), strict=True))
    assert len((tmp_path / RESULTS).read_text().splitlines()) == 12


def test_a_damaged_generation_is_refused_and_the_old_one_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_process: None
) -> None:
    sample = tmp_path / "sample"
    for place in hot_load.MARKED:
        (sample / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SAMPLE / place, sample / place)
    monkeypatch.setattr(hot_load, "SAMPLE", sample)
    embedder = WordEmbedder()
    slm, llm = FakeChat(), FakeChat()
    codes, last = hot_load.built(tmp_path, 2, embedder, lambda _: None)
    store, ids = LakeStore(str(tmp_path / "lake")), list(codes)
    contents = hot_load.contents_of(store, codes)
    for number, generation_id in enumerate(ids):
        text = " ".join(contents[generation_id].chunks.values())
        assert set(hot_load.CODE.findall(text)) == {code_of(number)}
    index = LiveIndex(store, lambda reader: Answerer(reader, slm, llm, embedder))
    rollback(store, ids[1])
    assert index.reload().generation_id == ids[1]
    assert last
    hot_load.damage(last)
    rollback(store, ids[2])
    refused = index.reload()
    assert refused.error
    assert refused.generation_id == ids[1]
    index.close()
