"""A cut answer is continued once, and says what it is."""

from dataclasses import replace
from functools import partial

import pytest

from rag_assets.answers.budget import Packed, pack
from rag_assets.answers.policy import Budget
from rag_assets.answers.prompts import answer_messages
from rag_assets.answers.repair import NOTHING_WRITTEN, Generated, generate
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
    assert done.repairs[1] == "still cut: its only sentence is not whole"


def test_a_text_cut_just_after_its_full_stop_is_whole() -> None:
    cut = said("One is here. Two", finish_reason="length")
    done, _ = run(cut, said(" is there.", finish_reason="length"))
    assert done.text == "One is here. Two is there."
    assert done.repairs[1] == "still cut: there may be more to say"


def test_a_model_that_is_cut_before_it_writes_says_so() -> None:
    done, _ = run(said("  ", finish_reason="length"))
    assert (done.text, done.repairs) == ("", (NOTHING_WRITTEN,))


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


def thinking(*replies: Completion, tokens: int = 30) -> tuple[Generated, list[Call]]:
    queue = list(replies)
    model = ScriptedChat("llm", lambda call: queue.pop(0))
    budget = Budget(100, 10, 20, 3, thinking=tokens)
    return generate(model, replace(packed(model), budget=budget), timeout_s=5), model.calls


def test_a_thought_is_left_out_and_has_tokens_of_its_own() -> None:
    done, calls = thinking(said("<think>hm</think>At five [1]."))
    assert (done.text, done.repairs) == ("At five [1].", ())
    assert (calls[0].max_tokens, calls[0].thinking) == (40, True)


def test_without_tokens_for_it_no_model_is_asked_to_think() -> None:
    done, calls = thinking(said("<think>hm</think>At five [1]."), tokens=0)
    assert (done.text, calls[0].max_tokens, calls[0].thinking) == ("At five [1].", 10, False)


@pytest.mark.parametrize("text", ["<think>hm", "<think>hm</thi", "no mark at all", ""])
def test_what_is_cut_before_its_answer_is_asked_again_without_thinking(text: str) -> None:
    done, calls = thinking(
        said(text, finish_reason="length", mean_logprob=-3.0), said("At five [1].")
    )
    assert (done.text, done.finish_reason, done.mean_logprob) == ("At five [1].", "stop", -0.1)
    assert [(call.max_tokens, call.thinking) for call in calls] == [(40, True), (10, False)]
    assert done.repairs == ("the model thought for all of its 40 tokens; asked without thinking",)
    assert len(done.completions) == 2


def test_an_answer_that_is_cut_after_a_thought_is_continued_without_it() -> None:
    done, calls = thinking(
        said("<think>hm</think>It opens at ten and", finish_reason="length"), said(" closes."),
    )  # fmt: skip
    assert done.text == "It opens at ten and closes."
    assert (calls[1].prefix, calls[1].thinking) == ("It opens at ten and", False)


def test_a_text_that_may_be_a_thought_without_marks_is_no_answer() -> None:
    cut = said("first I look at the sources, then", finish_reason="length")
    done, calls = thinking(cut, cut)
    assert (done.text, done.finish_reason, done.mean_logprob) == ("", "length", None)
    assert "cannot be told from thinking" in done.repairs[0]
    assert len(calls) == 2
