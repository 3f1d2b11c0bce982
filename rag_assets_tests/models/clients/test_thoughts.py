"""What a model thinks aloud never reaches an answer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.models.clients.openai_http import completion_of
from rag_assets.models.clients.thoughts import without_thoughts

THOUGHT, ANSWER = "the sources disagree", "It opens at ten [1]."
NAMES = st.sampled_from(["think", "thinking", "thought", "reasoning", "seed:think", "THINK"])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (ANSWER, ANSWER),
        (f"<think>{THOUGHT}</think>{ANSWER}", ANSWER),
        (f"<think></think>{ANSWER}", ANSWER),
        (f"[THINK]{THOUGHT}[/THINK]{ANSWER}", ANSWER),
        (f"{THOUGHT}</think>{ANSWER}", ANSWER),  # the template wrote the opening mark
        (f"<think>{THOUGHT}", ""),
        (f"<think>{THOUGHT}</thi", ""),
        (f"{THOUGHT}</thi", ""),
        (f"<think>a<think>b</think>c</think>{ANSWER}", ANSWER),
        (f"<think>a</think>{ANSWER}<think>b", ANSWER),
        (f"{ANSWER}<think>b", ANSWER),
        (f"{ANSWER}<thi", ANSWER),
        ("2 < 3, so the <theta> stays", "2 < 3, so the <theta> stays"),
        ("", ""),
    ],
)
def test_thoughts_are_left_out(text: str, answer: str) -> None:
    assert without_thoughts(text) == answer


@given(NAMES, st.text("thought ", min_size=1), st.text("answer. "), st.integers(0, 200))
def test_wherever_the_limit_cuts_no_thought_is_left(
    name: str, thought: str, answer: str, cut: int
) -> None:
    marked = f"<{name}>{thought.upper()}</{name}>{answer}"[:cut]
    left = without_thoughts(marked)
    assert answer.startswith(left) or len(marked) < 4  # of a mark, less than tells it apart


@given(st.text())
def test_it_ends_at_once_on_any_text(text: str) -> None:
    once = without_thoughts(text)
    assert once in text
    assert without_thoughts(once) in once


def reply(text: str | None, tokens: list[tuple[str, float]], **message: Any) -> dict[str, Any]:  # noqa: ANN401
    entries = [{"token": token, "logprob": logprob} for token, logprob in tokens]
    return {
        "choices": [{
            "message": {"content": text, **message},
            "finish_reason": "stop",
            "logprobs": {"content": entries},
        }],
        "usage": {"prompt_tokens": 1, "completion_tokens": len(tokens)},
    }  # fmt: skip


TOKENS = [("<think>", -1.0), ("hm", -2.0), ("</think>", -3.0), ("At", -0.2), (" ten", -0.4)]


@pytest.mark.parametrize(
    "answer",
    [
        reply("<think>hm</think>At ten", TOKENS),
        reply("At ten", TOKENS, reasoning_content="hm"),
        reply("At ten", TOKENS, reasoning="hm"),
        reply("hm</think>At ten", TOKENS[1:]),
    ],
)
def test_the_log_probability_is_that_of_the_answers_tokens(answer: dict[str, Any]) -> None:
    done = completion_of(answer, 0.1)
    assert (done.text, done.thought) == ("At ten", True)
    assert done.mean_logprob == pytest.approx(-0.3)


def test_a_thought_without_an_end_has_neither_text_nor_log_probability() -> None:
    done = completion_of(reply("<think>hm", TOKENS[:2]), 0.1)
    assert (done.text, done.mean_logprob, done.thought) == ("", None, True)
    apart = completion_of(reply(None, TOKENS[:2], reasoning="hm"), 0.1)
    assert (apart.text, apart.mean_logprob, apart.thought) == ("", None, True)


def test_an_answer_without_thought_is_as_it_came() -> None:
    done = completion_of(reply("At ten", TOKENS[3:]), 0.1)
    assert (done.text, done.thought) == ("At ten", False)
    assert done.mean_logprob == pytest.approx(-0.3)
