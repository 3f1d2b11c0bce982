"""Small windows and limits: no call overflows, nothing is cut unsaid, whatever is asked."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_assets.answers.answer import Answer
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.policy import AnswerPolicy
from rag_assets.evaluations.facts import without_markers
from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets.models.protocols import Completion
from rag_assets.retrieval.terms import sentences
from rag_assets_tests.answers.fakes import Call, HonestChat, Reply, WordEmbedder, copies
from rag_assets_tests.answers.world import Doc, reader_of
from rag_assets_tests.benchmarks.limits import (
    ANSWERS,
    WINDOWS,
    Limits,
    Narrow,
    is_unmarked,
    measure,
    outcome,
    part_of,
)
from rag_assets_tests.evaluations.lab import Bench, n_calls, prose

LONG = ", ".join(f"{name} of the harbour at Brandholm" for name in ("Anna", "Birk", "Carl", "Dina"))
DOCS = (
    Doc("s:a.md", "MV Alder", (
        ("Crew", f"The captains of MV Alder are {LONG}. She was built in 1994 at Hestvik."),
        ("Notes", " ".join(f"{prose(name, 25)}." for name in "abcdefgh")),
    )),
    Doc("s:b.md", "MV Tern of the Sallow Ferry Trust", (
        ("Crew", f"The captain of MV Tern is Solveig Brandt, who came in 1887 from {LONG}."),
        ("Rafts", "Vessel | slides | rafts and jackets\nRowan | two | 11 under the bridge\n"
                  "Tern | four, of which two by the crane at the inner harbour | 12"),
    )),
)  # fmt: skip
QUESTIONS = (
    "Who are the captains of MV Alder?",
    "Who is the captain of MV Tern, and when was MV Alder built?",
    "How many slides does the vessel Tern have?",
    "Why was MV Alder built?",
    "List the captains of MV Alder.",
    "Is Solveig Brandt the captain of MV Tern?",
    "Which of the ships whose captain came in 1887 is the one that has more slides than Rowan?",
)
FILLER = [word.strip(".") for word in DOCS[0].sections[1][1].split()]  # each is in the index
UNITS = [
    section[start:end] for doc in DOCS for _, section in doc.sections
    for start, end in sentences(section)
]  # fmt: skip


@pytest.fixture(scope="module")
def ships(tmp_path_factory: pytest.TempPathFactory) -> IndexReader:
    store = LakeStore(str(tmp_path_factory.mktemp("limits") / "lake"))
    return reader_of(store, DOCS, WordEmbedder(), max_words=1000)


def model(call: Call) -> Completion | str:
    """Copies; plans nothing."""
    return copies(call) if "Question: " in call.messages[-1]["content"] else "No idea."


def answerer(reader: IndexReader, reply: Reply = model) -> Answerer:
    policy = AnswerPolicy(least_odds=-9.0, step_odds=-9.0, passage_tokens=600)
    models = HonestChat("slm", reply), HonestChat("llm", reply)
    return Answerer(reader, *models, WordEmbedder(), policy)


@settings(max_examples=60)
@given(
    st.sampled_from(QUESTIONS),
    st.integers(0, 110),
    st.sampled_from(WINDOWS),
    st.sampled_from(ANSWERS),
    st.sampled_from(["auto", "fact", "deep"]),
)
def test_nothing_overflows_and_nothing_is_cut_unsaid(
    ships: IndexReader, question: str, n_words: int, window: int, answer: int, mode: str
) -> None:
    text = " ".join([*FILLER[:n_words], question])
    got = outcome(answerer(ships), text, Limits(window, answer), mode=mode)
    assert got.n_overflows == 0
    assert not got.is_unmarked
    if got.answer is not None and got.answer.route.way == "read" and not got.answer.abstained:
        assert ends_whole(got.answer)


def ends_whole(got: Answer) -> bool:
    """Whether the answer ends where a sentence or a cell of the documents ends."""
    told = without_markers(got.answer).rstrip(".")
    return any(told.endswith(cell.strip(" .")) for unit in UNITS for cell in unit.split(" | "))


def test_a_copy_that_is_cut_is_told_to_its_end(ships: IndexReader) -> None:
    got = outcome(answerer(ships), QUESTIONS[0], Limits(1024, 8)).answer
    assert got is not None
    assert without_markers(got.answer) == f"The captains of MV Alder are {LONG}."
    assert got.repairs == (
        "the copied answer was cut after 8 tokens; told to the end of its sentence",
    )
    assert got.finish_reason == "stop"


def test_a_passage_is_read_as_far_as_it_fits(ships: IndexReader) -> None:
    story = " ".join([*FILLER[:60], QUESTIONS[0]])
    wide = outcome(answerer(ships), story, Limits(4096, 8)).answer
    narrow = outcome(answerer(ships), story, Limits(512, 8)).answer
    assert wide is not None
    assert narrow is not None
    assert all(passage.whole for passage in wide.evidence[:2])
    assert not all(passage.whole for passage in narrow.evidence)


def test_what_overflows_and_what_is_unmarked_is_seen(ships: IndexReader) -> None:
    def chatters(call: Call) -> str:
        return "The captains of MV Alder are"

    narrow = Narrow(HonestChat("llm", chatters), 20)
    done = narrow.complete([{"role": "user", "content": "Who are they?"}], max_tokens=9)
    assert narrow.overflows == []
    narrow.complete([{"role": "user", "content": "Who are they? " * 9}], max_tokens=9)
    assert len(narrow.overflows) == 1
    assert narrow.cut == []
    cut = narrow.complete([{"role": "user", "content": "Who?"}], max_tokens=4).text
    assert narrow.cut == [cut] == ["The captains of"]
    narrow.complete([{"role": "user", "content": "Who?"}], max_tokens=9, prefix=cut)
    assert narrow.cut == []
    assert done.finish_reason == "stop"
    told = outcome(answerer(ships), QUESTIONS[0], Limits(1024, 8)).answer
    assert told is not None
    assert is_unmarked(replace(told, repairs=()), ["The captains of MV Alder are Anna"])
    assert not is_unmarked(replace(told, repairs=()), ["The captains of MV Fern"])
    route = replace(told.route, way="written")
    assert is_unmarked(replace(told, repairs=(), route=route, finish_reason="length"), [])


def test_the_part_counts(ships: IndexReader) -> None:
    found = [outcome(answerer(ships), QUESTIONS[0], Limits(1024, 8))] * 2
    part = part_of([*found, replace(found[0], n_overflows=1, is_unmarked=True)])
    assert part.tables[0].rows == [["1024", "8", "3", "3", "0", "3", "1", "1"]]
    assert [goal.reached for goal in part.goals] == [False, False]
    assert all(goal.reached for goal in part_of(found).goals)


def test_a_run_goes_on_where_it_was(bench: Bench) -> None:
    lab = bench.lab(slm=model, llm=model, limit=12)
    part = measure(lab, lab.embedder)
    assert sum(int(row[2]) for row in part.tables[0].rows) == 12
    assert len(part.tables[0].rows) == len(WINDOWS) * len(ANSWERS)
    assert part.goals[0].reached
    assert n_calls(lab) > 0
    again = bench.lab(slm=model, llm=model, limit=12)
    assert measure(again, again.embedder) == part
    assert n_calls(again) == 0
