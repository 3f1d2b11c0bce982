"""Sentences that are said while a model writes: all of them, none too early, none taken back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_assets.answers.answerer import Answerer
from rag_assets.answers.citations import Grounded, ground
from rag_assets.answers.hearing import Hearing, settled_part
from rag_assets.answers.policy import AnswerPolicy, Budget
from rag_assets.answers.telling import Begun, Event, Said, Status
from rag_assets.index.search import IndexReader
from rag_assets.models.protocols import Completion, Message
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets_tests.answers.fakes import Call, ScriptedChat, WordEmbedder, reads, said
from rag_assets_tests.answers.world import Doc, chunks_of

QUESTION = "Describe MV Tern."
TERN = "MV Tern was built in 2003 by Solvik Marine. She sails on Route 5. The fare is EUR 12 a day."
ALDER = "MV Alder was built in 1994 by Hestvik Yard. She carries 320 passengers and 28 cars."
PASSAGES = [
    Passage(pieces_of([chunk]), frozenset(), 1.0, 0.5, whole=True)
    for doc in (
        Doc("a:tern.html", "MV Tern", (("History", TERN),)),
        Doc("a:alder.html", "MV Alder", (("History", ALDER),)),
    )
    for chunk in chunks_of(doc)
]
PIECES = [
    "MV Tern was built in 2003 by Solvik Marine [1].", "She sails on Route 5. [1]", "Yes.",
    "MV Alder carries 320 passengers [2].", "MV Alder was built in 1850 [2].", "In short:",
    "- 28 cars [2]", "The documents do not say more.", "It opened on 3. May.", "[2]", "[1][2]",
    "The fare for 2 days is EUR 24, as it is EUR 12 a day [1].", "1. Route 5 [1]", "Answer:",
    "e.g. MV Tern [1]", "reply[1]", "</think>", "MV",
]  # fmt: skip


SPACES = st.sampled_from([" ", "\n", "\n\n", ""])


@dataclass
class StreamingChat(ScriptedChat):
    """A ScriptedChat that writes a few characters at a time."""

    streams: bool = True
    step: int = 3
    then: Callable[[str], None] = lambda _: None

    def complete(
        self,
        messages: Sequence[Message],
        **options: Any,  # noqa: ANN401 - ChatOptions
    ) -> Completion:
        heard = options.pop("heard", None)
        done = super().complete(messages, **options)
        if heard is not None:
            for end in range(self.step, len(done.text) + self.step, self.step):
                heard(done.text[:end])
                self.then(done.text[:end])
        return done


def heard_of(text: str, step: int = 1) -> list[Grounded]:
    told: list[Grounded] = []
    hearing = Hearing(PASSAGES, QUESTION, told.append)
    for end in range(0, len(text) + step, step):
        hearing(text[:end])
    return told


@given(
    st.lists(st.tuples(st.sampled_from(PIECES), SPACES), max_size=7),
    st.sampled_from([1, 2, 3, 5, 20, 60]),
)
@settings(max_examples=60, deadline=None)
def test_what_was_said_is_how_the_answer_begins(parts: list[tuple[str, str]], step: int) -> None:
    text = "".join(piece + space for piece, space in parts)
    if "</think>" in text:
        text = text.rpartition("</think>")[2]  # models of these never stream: see ``generate``
    whole = ground(text, PASSAGES, QUESTION)
    for beginning in heard_of(text, step):
        assert whole.text.startswith(beginning.text)
        n = len(beginning.citations)
        assert whole.citations[:n] == beginning.citations


def test_a_sentence_is_said_when_the_next_has_a_word() -> None:
    text = "MV Tern was built in 2003 by Solvik Marine. [1] She sails on Route 5 [1]. She"
    first = next(end for end in range(len(text)) if heard_of(text[:end]))
    assert text[:first].endswith("[1] She ")
    (only,) = heard_of(text)
    assert only.text == "MV Tern was built in 2003 by Solvik Marine [1]."


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("", ""),
        ("One two.", ""),
        ("One two. ", ""),
        ("One two. [1", ""),
        ("One two. [1] Th", ""),
        ("One two. [1] Three ", "One two. [1]"),
        ("One two. [1] Three four. Fi", "One two. [1]"),
        ("One two. [1] Three four. [2] F", "One two. [1]"),
        ("It opened on 3. May 2020. It ", "It opened on 3. May 2020."),
        ("<think>One two. Three ", ""),
    ],
)
def test_settled_sentences(text: str, settled: str) -> None:
    assert settled_part(text) == settled


def test_nothing_is_said_behind_what_may_still_hold() -> None:
    """A sentence without support so far may get it from what follows, so it waits for the end."""
    text = "MV Alder was built in 1850 [2]. She carries 320 passengers [2]. MV Tern "
    assert heard_of(text) == []
    assert ground(text, PASSAGES, QUESTION).text.startswith("She carries 320")


def test_a_bare_yes_waits_for_what_it_rests_on() -> None:
    assert heard_of("Yes. No. Yes ") == []
    assert heard_of("Yes. She sails on Route 5 [1]. MV Tern ")[-1].text == (
        "Yes. She sails on Route 5 [1]."
    )


BOTH = "MV Tern was built in 2003 by Solvik Marine [1]. She sails on Route 5 [2]. She is fast [3]."


def told_by(
    ferries: IndexReader, llm: ScriptedChat, question: str, mode: str = "auto"
) -> tuple[list[Event], str]:
    events: list[Event] = []
    asked = Answerer(ferries, ScriptedChat("slm", reads()), llm, WordEmbedder())
    answer = asked.answer(question, mode=mode, tell=events.append)
    assert "".join(one.text for one in events if isinstance(one, Said)) == answer.answer
    cited = [c for one in events if isinstance(one, Said) for c in one.citations]
    assert tuple(cited) == answer.citations
    assert isinstance(events[0], Begun)
    assert events[0].answer_id == answer.answer_id
    return events, answer.answer


@pytest.mark.parametrize("mode", ["auto", "deep"])
def test_the_first_sentence_is_said_while_the_model_writes(ferries: IndexReader, mode: str) -> None:
    written: list[int] = []
    events: list[Event] = []
    llm = StreamingChat("llm", lambda call: BOTH if not call.asks else reads()(call))
    llm.then = lambda text: written.append(sum(isinstance(one, Said) for one in events))
    asked = Answerer(ferries, ScriptedChat("slm", reads()), llm, WordEmbedder())
    answer = asked.answer("How was MV Tern built, explained?", mode=mode, tell=events.append)
    plain = ScriptedChat("llm", llm.reply)
    unstreamed = Answerer(ferries, ScriptedChat("slm", reads()), plain, WordEmbedder())
    assert answer.answer == unstreamed.answer("How was MV Tern built, explained?", mode=mode).answer
    assert answer.answer.startswith("MV Tern was built in 2003 by Solvik Marine [1].")
    assert written[0] == 0
    assert written[-1] >= 1  # said before the end
    assert written.index(1) < len(written) * 0.75


QUESTIONS = [
    "When was MV Tern built?",
    "When was MV Alder built, and when was MV Tern built?",
    "How was MV Tern built, explained?",
    "How many documents are there?",
    "Which ferries are there? List all.",
    "Quantum gauge?",
    "Is MV Tern longer than MV Alder?",
]


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("chat", [ScriptedChat, StreamingChat])
def test_all_that_is_said_is_the_answer(
    ferries: IndexReader, question: str, chat: type[ScriptedChat]
) -> None:
    events, _ = told_by(ferries, chat("llm", reads()), question)
    assert Status("searching") in events
    assert isinstance(events[-1], Said)


def test_a_written_answer_that_comes_to_nothing_is_not_said(ferries: IndexReader) -> None:
    """It is read as a look-up instead; nothing of the first attempt may have been told."""
    wrong = "MV Tern was built in 1850 by Nobody [1]. It sank in 1851 [1]. And so on."
    llm = StreamingChat("llm", lambda call: wrong if not call.asks else reads()(call))
    _, answer = told_by(ferries, llm, "How was MV Tern built, explained?")
    assert "1850" not in answer


def test_models_that_think_aloud_are_not_listened_to(ferries: IndexReader) -> None:
    heard: list[str] = []
    llm = StreamingChat("llm", lambda call: BOTH if not call.asks else reads()(call))
    llm.then = heard.append
    policy = AnswerPolicy(llm=Budget(950, 96, 96, 5, thinking=50))
    asked = Answerer(ferries, ScriptedChat("slm", reads()), llm, WordEmbedder(), policy)
    asked.answer("How was MV Tern built, explained?")
    assert heard == []


def test_an_answer_that_is_cut_is_said_to_its_last_whole_sentence(ferries: IndexReader) -> None:
    def cut(call: Call) -> Completion | str:
        if call.asks:
            return reads()(call)
        return (
            said("She is", finish_reason="length")
            if call.prefix
            else said(BOTH[:60], finish_reason="length")
        )

    _, answer = told_by(ferries, StreamingChat("llm", cut), "How was MV Tern built, explained?")
    assert answer == "MV Tern was built in 2003 by Solvik Marine [1]."
