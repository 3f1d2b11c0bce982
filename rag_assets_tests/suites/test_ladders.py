import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.results import CaseResult
from rag_assets.index.search import IndexReader
from rag_assets.models.errors import ModelRequestError
from rag_assets.models.profiles import Profile
from rag_assets.models.protocols import Completion
from rag_assets_tests.answers.fakes import Call, ScriptedChat, said, yes
from rag_assets_tests.evaluations.lab import Bench, chats, model, n_calls
from rag_assets_tests.suites import ladders, mixed
from rag_assets_tests.suites.bench import shared, write_ships
from rag_assets_tests.suites.corpora import ingested, live_reader


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as patch:
        bench = shared(tmp_path_factory.mktemp("ladders"), patch)
        for name in mixed.SETS:
            write_ships(bench.data, name, 3)
        yield bench


def climbed(lab: Lab, name: str) -> list[CaseResult]:
    lab.request.slices["dataset"] = name  # type: ignore[index]
    results = ladders.ladders(lab)
    assert {(r.suite, r.dataset) for r in results} == {("ladders", name)}
    return results


def by_variant(results: list[CaseResult]) -> dict[str, list[CaseResult]]:
    found: dict[str, list[CaseResult]] = {}
    for result in results:
        found.setdefault(result.variant, []).append(result)
    ids = [[r.case_id for r in own] for own in found.values()]
    assert all(set(one) <= set(ids[0]) for one in ids)
    return found


def reader_of(lab: Lab) -> IndexReader:
    return live_reader(ingested(lab, mixed.NAME, mixed.documents(lab), enriched=True))


def test_model_size_gives_both_models_the_same_prompts(public: Bench, tmp_path: Path) -> None:
    lab = public.lab(tmp_path, limit=2)
    found = by_variant(climbed(lab, "model-size"))
    assert {name: len(own) for name, own in found.items()} == {"slm": 6, "llm": 6}
    slm, llm = chats(lab)
    assert [c.messages for c in slm.calls] == [c.messages for c in llm.calls]
    assert {c.max_tokens for c in slm.calls} == {96}
    for own in found.values():
        assert all(r.scores["correct"] == 1 for r in own)
        assert all(r.scores["evidence recall"] == 1 for r in own)
        assert not any("citation" in name for r in own for name in r.scores), "none were read"
        assert all(set(r.use) == {r.variant} for r in own)


def test_quantisation_serves_both_models_in_every_format(
    public: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[tuple[str, str]] = []
    pulled: list[str] = []

    @contextmanager
    def serving(profile: Profile, role: str, **_: object) -> Iterator[ScriptedChat]:
        served.append((role, profile.spec(role).format))  # type: ignore[arg-type]
        assert list(profile.roles) == [role]
        yield ScriptedChat(
            role, lambda _: said("ten words", prompt_tokens=164, cached_prompt_tokens=150)
        )

    monkeypatch.setattr(ladders, "serving", serving)
    monkeypatch.setattr(ladders, "servable", lambda: ("bf16", "w8a8", "w4a16"))
    monkeypatch.setattr(ladders, "pull", lambda p, *_a, **_k: pulled.append(str(p.roles)))
    process = type("Process", (), {"pid": None})()
    state = {role: type("State", (), {"process": process})() for role in ladders.ROLES}
    monkeypatch.setattr(ladders, "read_states", lambda _: state)
    lab = public.lab(tmp_path, limit=1)
    found = by_variant(climbed(lab, "quantisation"))
    expected = [(r, p) for r in ("slm", "llm") for p in ("bf16", "w8a8", "w4a16")]
    assert served == expected
    assert list(found) == [f"{role} {precision}" for role, precision in expected]
    assert len(pulled) == 6
    for own in found.values():
        assert len(own) == 3
        for result in own:
            assert not result.replayed, "another format is another model"
            assert result.scores["tokens read per second"] > 0
            assert result.scores["tokens written per second"] > 0
    served.clear()
    again = public.lab(tmp_path, limit=1)
    assert [r.scores for r in climbed(again, "quantisation")] == [
        r.scores for own in found.values() for r in own
    ]
    assert served == [], "what is replayed needs no engine"


def test_speed_of_a_refused_prompt_is_a_failure(public: Bench, tmp_path: Path) -> None:
    def refuse(_: Call) -> str:
        raise ModelRequestError("too long")

    lab = public.lab(tmp_path, limit=1)
    (prompt, *_) = ladders.prompts(lab, reader_of(lab), mixed.tasks(lab, 1))
    refusing = lab.metered(ScriptedChat("slm", refuse), lab.profile.spec("slm"), apart="x")  # type: ignore[arg-type]
    place = ladders.Place("ladders", "quantisation", "slm bf16")
    result = ladders.timed(lab, refusing, prompt, place)
    assert (result.error, result.scores["correct"]) == ("too long", 0)
    assert ladders.complete(lab, refusing, prompt, place).error == "too long"


def test_speeds_are_of_reading_and_of_writing(public: Bench, tmp_path: Path) -> None:
    lab = public.lab(tmp_path, limit=1)
    (prompt, *_) = ladders.prompts(lab, reader_of(lab), mixed.tasks(lab, 1))
    asked: list[int] = []

    def reply(call: Call) -> Completion | str:
        asked.append(call.max_tokens)
        return said("ten words", prompt_tokens=164, cached_prompt_tokens=160 * (len(asked) > 1))

    fake = ScriptedChat("slm", reply)
    place = ladders.Place("ladders", "quantisation", "slm bf16")
    timing = lab.metered(fake, lab.profile.spec("slm"), apart="y")  # type: ignore[arg-type]
    result = ladders.timed(lab, timing, prompt, place)
    assert asked == [1, 96]
    use = result.use["slm"]
    assert use.calls == 2, "an answer takes reading and writing"
    assert result.seconds >= use.seconds
    assert result.scores["tokens read per second"] > 0
    assert result.scores["tokens written per second"] > 0


def test_writing_is_not_timed_where_the_prompt_had_to_be_read_again(
    public: Bench, tmp_path: Path
) -> None:
    lab = public.lab(tmp_path, limit=1)
    (prompt, *_) = ladders.prompts(lab, reader_of(lab), mixed.tasks(lab, 1))
    fake = ScriptedChat("slm", lambda _: said("ten words", prompt_tokens=164))
    place = ladders.Place("ladders", "quantisation", "slm bf16")
    cold = lab.metered(fake, lab.profile.spec("slm"), apart="z")  # type: ignore[arg-type]
    assert "tokens written per second" not in ladders.timed(lab, cold, prompt, place).scores


def test_phrasing_asks_in_other_words_and_says_how_much_that_matters(
    public: Bench, tmp_path: Path
) -> None:
    def only_when(call: Call) -> Completion | str:
        last = call.messages[-1]["content"]
        is_original = "Question: When was" in last or "Rephrase" in last
        return model(call) if is_original else "NOT FOUND"

    lab = public.lab(tmp_path, limit=1, slm=only_when, llm=only_when)
    found = by_variant(climbed(lab, "phrasing"))
    assert next(iter(found)) == "original"
    assert {"paraphrase by slm", "all"} < set(found)
    wordings = [name for name in found if name != "all"]
    assert len(wordings) >= 4
    for i, spread in enumerate(found["all"]):
        right = [found[name][i].scores["correct"] for name in wordings]
        share = sum(right) / len(right)
        assert 0 < share < 1
        assert spread.scores == {
            "correct": share, "variance of correctness": share * (1 - share), "flips": 1,
        }  # fmt: skip
        assert len({found[name][i].question for name in wordings}) == len(wordings)
        assert (spread.use, spread.seconds) == ({}, 0)

    def sure(call: Call) -> Completion | str:
        return yes(5.0) if call.asks in ("states", "holds") else model(call)

    steady = by_variant(climbed(public.lab(tmp_path / "b", limit=1, llm=sure), "phrasing"))
    assert all(
        r.scores == {"correct": 1, "variance of correctness": 0, "flips": 0} for r in steady["all"]
    )


@pytest.mark.parametrize("reworded", [ModelRequestError("no"), "Is it 1994?", ""])
def test_a_paraphrase_that_will_not_do_is_left_out(
    public: Bench, tmp_path: Path, reworded: str | Exception
) -> None:
    def reply(call: Call) -> Completion | str:
        if "Rephrase" not in call.messages[-1]["content"]:
            return model(call)
        if isinstance(reworded, Exception):
            raise reworded
        return reworded

    found = by_variant(climbed(public.lab(tmp_path, limit=1, slm=reply), "phrasing"))
    assert "paraphrase by slm" not in found
    assert len(found["all"]) == len(found["original"]) == 3


def test_question_noise(public: Bench, tmp_path: Path) -> None:
    lab = public.lab(tmp_path, limit=2)
    found = by_variant(climbed(lab, "question-noise"))
    assert list(found) == [f"typos in {rate} of words" for rate in ("0%", "20%", "50%")]
    tasks = {task.id: task.question for task in mixed.tasks(lab, 1)}
    clean, *_, worst = found.values()
    assert [r.question for r in clean] == [tasks[r.case_id] for r in clean]
    assert any(r.question != tasks[r.case_id] for r in worst)
    assert [r.case_id for r in clean] == [r.case_id for r in worst]


def test_corpus_noise_ingests_worse_documents(public: Bench, tmp_path: Path) -> None:
    lab = public.lab(tmp_path, limit=1)
    found = by_variant(climbed(lab, "corpus-noise"))
    assert list(found) == [
        "clean", "1% of characters misread", "3% of characters misread", "30% copied",
    ]  # fmt: skip
    for name in ("clean", "30% copied"):
        assert all(r.scores["evidence recall"] == 1 for r in found[name]), name
        assert all(r.scores["citation recall"] == 1 for r in found[name]), "a copy is as good"
    folder = lab.settings.evaluations / "corpora"
    texts = {
        n: "".join(p.read_text() for p in sorted((folder / f"mixed-{n}" / "corpus").rglob("*.txt")))
        for n in range(4)
    }
    assert texts[0] != texts[1] != texts[2]
    assert len(list((folder / "mixed-3" / "corpus").rglob("*copy1*"))) > 0
    for n in range(4):
        assert "enrich: false" in (folder / f"mixed-{n}" / "sources.yaml").read_text()
    assert "enrich: full" in (folder / "mixed" / "sources.yaml").read_text()


def test_evidence_position_moves_the_passage_that_holds_the_answer(
    public: Bench, tmp_path: Path
) -> None:
    lab = public.lab(tmp_path, limit=2)
    found = by_variant(climbed(lab, "evidence-position"))
    assert list(found) == [f"{m}, {p}" for m in ("slm", "llm") for p in ("first", "middle", "last")]
    assert {len(own) for own in found.values()} == {6}
    tasks = {task.question: task for task in mixed.tasks(lab, 1)}
    places = []
    for chat in chats(lab):
        for call in chat.calls:
            task = tasks[call.question]
            # as they stand in the prompt, from top to bottom
            passages = re.split(r"^\[\d\] ", call.evidence, flags=re.M)[1:]
            assert len(passages) == 5
            holding = [i for i, text in enumerate(passages) if task.expected[0] in text]
            places.append(holding)
    assert places == [[0], [2], [4]] * 12


def test_evidence_that_was_not_found_is_put_nowhere(
    public: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = public.lab(tmp_path, limit=1)
    tasks = [replace(task, uris=("mixed:absent.txt",)) for task in mixed.tasks(lab, 1)]
    monkeypatch.setattr(mixed, "tasks", lambda *_: tasks)
    assert ladders.evidence_position(lab, reader_of(lab)) == []
    assert len(tasks) == 3


# Batching


def groups(results: list[CaseResult], at_once: str) -> list[CaseResult]:
    return [r for r in results if r.variant == at_once]


def test_batching_shares_the_time_of_a_group(public: Bench, tmp_path: Path) -> None:
    lab = public.lab(tmp_path, limit=2)
    results = climbed(lab, "batching")
    found = by_variant(results)
    assert {name: len(own) for name, own in found.items()} == {"one at a time": 6, "4 at once": 6}
    wall = [r.scores["wall seconds an answer"] for r in found["4 at once"]]
    assert len(set(wall[:4])) == len(set(wall[4:])) == 1
    assert wall[0] != wall[4]
    assert all(r.scores["wall seconds an answer"] == r.seconds for r in found["one at a time"])
    n_asked = n_calls(lab)
    again = public.lab(tmp_path, limit=2)
    assert [r.scores for r in climbed(again, "batching")] == [r.scores for r in results]
    assert n_calls(again) == 0
    alone = [r for r in found["one at a time"] if r.use]
    assert n_asked >= 2 * len(alone), "completions made in a batch are apart from the others"


def test_a_group_that_was_cut_off_is_asked_anew_as_a_whole(public: Bench, tmp_path: Path) -> None:
    """The rest of it alone was timed, and that time kept: too short."""
    whole = public.lab(tmp_path / "whole", limit=2)
    climbed(whole, "batching")
    lab = public.lab(tmp_path, limit=2)
    put = lab.cache.put
    lab.cache.put = lambda key, made: None if "apart" in made else put(key, made)  # type: ignore[method-assign,assignment]
    climbed(lab, "batching")  # as if killed before any group was done
    again = public.lab(tmp_path, limit=2)
    climbed(again, "batching")
    assert n_calls(again) == n_calls(whole) / 2


def test_unknown_ladder(public: Bench, tmp_path: Path) -> None:
    assert ladders.ladders(public.lab(tmp_path, slices={"dataset": "step"})) == []


def test_documents_of_the_ladders_are_the_mixed_ones(public: Bench, tmp_path: Path) -> None:
    lab = public.lab(tmp_path)
    assert {d.id.partition("/")[0] for d in mixed.documents(lab)} == set(mixed.SETS)
