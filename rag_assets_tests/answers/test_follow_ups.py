"""Questions of a conversation: by rule, by the model, and never of what was said before."""

from rag_assets.answers.answerer import Answerer
from rag_assets.answers.follow_ups import Alone, Turn, stand_alone
from rag_assets.index.search import IndexReader
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, reads

TERN = Turn("When was MV Tern built?", "MV Tern was built in 2003 [1].")
MUSEUM = Turn("When does the museum open?", "At 9:00 [1].")


def asked(question: str, turns: list[Turn], reply: str = "") -> tuple[Alone, ScriptedChat]:
    model = ScriptedChat("llm", lambda _call: reply)
    return stand_alone(question, turns, model, timeout_s=10.0), model


def test_a_question_that_stands_alone_costs_no_call() -> None:
    for turns in ([], [TERN]):
        alone, model = asked("Who is the captain of MV Alder?", turns)
        assert alone == Alone("Who is the captain of MV Alder?")
        assert not model.calls


def test_rules_come_before_the_model() -> None:
    alone, model = asked("Who built it?", [MUSEUM, TERN])
    assert alone == Alone("Who built MV Tern?")
    assert not model.calls


def test_a_question_may_lean_on_one_that_leans() -> None:
    alone, _ = asked("And MV Rowan?", [TERN, Turn("Who built it?", "Solvik Marine [1].")])
    assert alone.text == "Who built MV Rowan?"


def test_the_model_writes_what_no_rule_does() -> None:
    alone, model = asked("And close?", [MUSEUM], "When does the museum close?")
    assert alone.text == "When does the museum close?"
    assert len(model.calls) == 1
    assert "Next question: And close?" in model.calls[0].messages[-1]["content"]


def test_what_the_model_makes_up_is_not_asked() -> None:
    for reply in ("When does the zoo close?", "It closes at 17:00.", "When does it open in 1999?"):
        assert asked("And close?", [MUSEUM], reply)[0].text == "And close?"


def test_an_answer_is_to_the_question_that_stands_alone(ferries: IndexReader) -> None:
    model = ScriptedChat("llm", reads({"Alder": "1994", "Tern": "2003"}))
    of = Answerer(ferries, ScriptedChat("slm", lambda _call: ""), model, WordEmbedder())
    got = of.answer("And MV Alder?", turns=[TERN])
    assert got.question == "When was MV Alder built?"
    assert "1994" in got.answer


def test_what_was_said_before_is_no_evidence(ferries: IndexReader) -> None:
    model = ScriptedChat("llm", reads({}))
    of = Answerer(ferries, ScriptedChat("slm", lambda _call: ""), model, WordEmbedder())
    got = of.answer("And in Hallam?", turns=[Turn("Who lives in Fell?", "Zacharias Quill [1].")])
    assert got.abstained
    assert not any("Zacharias" in str(call.messages) for call in model.calls)
