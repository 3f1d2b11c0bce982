"""A cut answer is continued once, and says what it is."""

from dataclasses import replace
from functools import partial

from rag_assets.answers.budget import Packed, pack
from rag_assets.answers.policy import Budget
from rag_assets.answers.prompts import answer_messages
from rag_assets.answers.repair import Generated, generate
from rag_assets.models.protocols import Completion
from rag_assets_tests.answers.fakes import Call, ScriptedChat, said


def packed(model: ScriptedChat, answer: int = 10, repair: int = 0) -> Packed:
    build = partial(answer_messages, "slm", "When?")
    return pack(model, build, [], Budget(100, answer, repair, 3))


def run(*replies: Completion, window: int = 4096, repair: int = 20) -> tuple[Generated, list[Call]]:
    queue = list(replies)
    model = ScriptedChat("slm", lambda call: queue.pop(0), max_model_len=window)
    fitting = replace(packed(model), budget=Budget(100, 10, repair, 3))  # may exceed the window
    return generate(model, fitting, timeout_s=5), model.calls


def test_a_whole_answer_is_left_alone() -> None:
    done, calls = run(said(" At five [1]. "))
    assert (done.text, done.finish_reason, done.repairs) == ("At five [1].", "stop", ())
    assert len(calls) == 1


def test_a_cut_answer_is_continued_from_where_it_stopped() -> None:
    done, calls = run(said("It opens at ten and", finish_reason="length"), said(" closes at five."))
    assert done.text == "It opens at ten and closes at five."
    assert done.finish_reason == "stop"
    assert calls[1].prefix == "It opens at ten and"
    assert calls[1].max_tokens == 20
    assert done.repairs == ("the answer was cut after 5 tokens; continued with 4 more",)


def test_what_is_cut_twice_says_length_and_ends_at_a_sentence() -> None:
    cut = said("It opens at ten. It closes", finish_reason="length")
    done, _ = run(cut, said(" at five or perhaps", finish_reason="length"))
    assert done.text == "It opens at ten."
    assert done.finish_reason == "length"
    assert done.repairs[1] == "still cut: ended at the last whole sentence"


def test_a_single_cut_sentence_is_kept() -> None:
    done, _ = run(said("It opens", finish_reason="length"), said(" at", finish_reason="length"))
    assert done.text == "It opens at"


def test_a_text_cut_just_after_its_full_stop_is_whole() -> None:
    cut = said("One is here. Two", finish_reason="length")
    done, _ = run(cut, said(" is there.", finish_reason="length"))
    assert done.text == "One is here. Two is there."


def test_no_continuation_without_room_in_the_window() -> None:
    model = ScriptedChat("slm", lambda call: "")
    window = packed(model).prompt_tokens + 20
    done, calls = run(said("It opens at ten. It", finish_reason="length"), window=window)
    assert len(calls) == 1
    assert done.finish_reason == "length"
    assert done.text == "It opens at ten."
    assert "no room to continue" in done.repairs[0]


def test_continuation_stays_within_the_window() -> None:
    model = ScriptedChat("slm", lambda call: "")
    window = packed(model).prompt_tokens + 40
    _, calls = run(said("a b c", finish_reason="length"), said("d"), window=window, repair=500)
    assert packed(model).prompt_tokens + 3 + calls[1].max_tokens <= window


def test_repair_can_be_switched_off() -> None:
    _, calls = run(said("It", finish_reason="length"), repair=0)
    assert len(calls) == 1
