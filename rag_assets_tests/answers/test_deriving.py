"""What a policy follows from: stated fields, contexts, speed, calibrations."""

import re
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.answers.budget import pack
from rag_assets.answers.calibration import LEARNED
from rag_assets.answers.deriving import (
    LEAST_EVIDENCE,
    MOST_EVIDENCE,
    STATED,
    Power,
    derived,
    fitting_of,
    policy_for,
    policy_on,
)
from rag_assets.answers.policy import UNCALIBRATED, AnswerPolicy, Budget, DeepBudget, Role
from rag_assets.answers.prompts import answer_messages
from rag_assets.models.errors import ModelRequestError, ProfileError
from rag_assets.models.profile_files import EndpointFields, ProfileFields, RoleFields, load_profile
from rag_assets.models.profiles import Profile
from rag_assets.models.protocols import Completion
from rag_assets.models.speed import Speed, kept_speed, measure
from rag_assets_tests.answers.fakes import Call, Reply, ScriptedChat, WordEmbedder, always, said
from rag_assets_tests.answers.test_deep import passages_of
from rag_assets_tests.answers.world import FERRIES

DOCS = Path(__file__).parent.parent.parent / "docs" / "models.md"
ROLES: tuple[Role, ...] = ("slm", "llm")
contexts = st.integers(min_value=256, max_value=200_000)
speeds = st.none() | st.builds(
    Speed, reads=st.floats(1, 50_000), writes=st.floats(0.1, 1000), date=st.just("2026-11-29")
)


def budgets(policy: AnswerPolicy) -> list[Budget]:
    return [policy.slm, policy.llm, policy.deep.reduce]


def policy(stated: dict[str, Any], slm: int, llm: int) -> AnswerPolicy:
    return derived(stated, Power(slm), Power(llm)).policy


def test_the_default_profile_states_the_default_policy() -> None:
    assert policy(dict(load_profile("cpu").answering), 4096, 4096) == AnswerPolicy()


def test_a_14b_with_16k_of_context_reads_far_more_than_three_passages_of_180_tokens() -> None:
    made = policy({}, 4096, 16384)
    assert made.slm == policy({}, 4096, 4096).slm
    assert (made.llm.evidence, made.llm.sections, made.passage_tokens) == (4096, 22, 180)
    both = policy({}, 16384, 16384)
    assert both.passage_tokens > 180
    assert both.llm.sections * 180 <= both.llm.evidence


@given(contexts, contexts, speeds)
def test_a_longer_context_never_reads_or_writes_less(one: int, other: int, speed: Any) -> None:  # noqa: ANN401
    short, long = sorted((one, other))
    less, more = (derived({}, Power(c, 4, speed), Power(c, 4, speed)).policy for c in (short, long))
    for small, large in zip(budgets(less), budgets(more), strict=True):
        for field in fields(Budget):
            assert getattr(small, field.name) <= getattr(large, field.name)
    assert less.deep.document <= more.deep.document
    assert less.deep.documents <= more.deep.documents
    assert less.passage_tokens <= more.passage_tokens


@given(contexts, contexts, speeds, speeds, st.none() | st.integers(1, 256))
def test_derived_budgets_leave_room_in_the_context(
    slm: int,
    llm: int,
    slm_speed: Speed | None,
    llm_speed: Speed | None,
    at_once: int | None,
) -> None:
    made = derived({}, Power(slm, at_once, slm_speed), Power(llm, at_once, llm_speed)).policy
    for budget, context in zip(budgets(made), (slm, llm, llm), strict=True):
        assert budget.evidence + budget.answer + budget.repair <= context * 0.6
        assert budget.evidence <= MOST_EVIDENCE
        assert budget.sections >= 3
    assert made.deep.document + made.deep.extract <= slm * 0.6
    assert 2 <= made.deep.documents <= 8
    assert 60 <= made.timeout_s <= 600
    assert made.concurrency >= 1


@given(st.integers(1024, 40_000), speeds, st.integers(1, 30), st.integers(0, 400))
def test_every_prompt_fits(context: int, speed: Speed | None, words: int, thinking: int) -> None:
    model = ScriptedChat("llm", always(""), max_model_len=context)
    made = derived({}, Power(context, None, speed), Power(context, None, speed)).policy
    question = "When was MV Tern built? " * words
    for budget in budgets(made):
        thoughtful = replace(budget, thinking=min(thinking, context // 8))
        packed = pack(
            model, partial(answer_messages, "llm", question), passages_of(*FERRIES), thoughtful
        )
        writes = thoughtful.thinking + budget.answer + budget.repair
        assert packed.prompt_tokens + writes <= context


@given(contexts, st.floats(1, 5000), st.floats(1, 5000))
def test_a_slower_model_reads_no_more(context: int, one: float, other: float) -> None:
    slow, fast = (
        derived({}, Power(context), Power(context, None, Speed(r, r))).policy
        for r in sorted((one, other))
    )
    assert slow.llm.evidence <= fast.llm.evidence
    assert slow.llm.answer <= fast.llm.answer
    assert slow.llm.evidence >= min(LEAST_EVIDENCE, context // 4)
    assert slow.slm == fast.slm  # which was not measured


def test_what_speed_does_is_said() -> None:
    made = derived({}, Power(16384), Power(16384, 6, Speed(300, 10)))
    assert (made.policy.llm.evidence, made.policy.llm.answer) == (600, 80)
    assert made.reasons["llm.evidence"] == "2 s at 300 tokens/s, at least 360"
    assert made.reasons["slm.evidence"] == "1/4 of the context of 16,384 tokens"
    assert "20 times the" in made.reasons["timeout_s"]
    assert made.policy.concurrency == 6


def test_what_is_stated_holds_field_by_field() -> None:
    made = derived({"llm": {"evidence": 99}, "concurrency": 7}, Power(4096), Power(4096))
    assert made.policy.llm.evidence == 99
    assert made.policy.llm.answer == policy({}, 4096, 4096).llm.answer
    assert made.policy.concurrency == 7
    assert made.reasons["llm.evidence"] == made.reasons["concurrency"] == STATED
    assert made.reasons["llm.answer"] != STATED
    values = {name: value for name, value, _ in made.rows()}
    assert values["llm.evidence"] == 99
    assert values.keys() == made.reasons.keys()


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"evidence": 3}, r"answering\.evidence: .*got 3"),
        ({"llm": {"evidenc": 3}}, r"answering\.llm\.evidenc"),
        ({"llm": {"evidence": "much"}}, r"answering\.llm\.evidence: .*got 'much'"),
        ({"llm": {"evidence": -1}}, r"answering\.llm\.evidence: .*got -1"),
        ({"llm": {"thinking": "on"}}, r"answering\.llm\.thinking: .*got 'on'"),
        ({"concurrency": 0}, r"answering\.concurrency: .*got 0"),
        ({"llm": 5}, r"answering\.llm: .*got 5"),
        ({"llm": {"thinking": 4000}}, r"answering\.llm: expected thinking, .* 4,096 .* got 4,512"),
        ({"calibration": "mine"}, r"answering\.calibration: no profile states it"),
    ],
)
def test_a_wrong_field_is_named(stated: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        derived(stated, Power(4096), Power(4096))


def remote(**stated: Any) -> Profile:  # noqa: ANN401 - fields of answering
    return replace(load_profile("remote"), answering=stated)


def served(profile: Profile, role: Role, reply: Reply | None = None) -> ScriptedChat:
    at = profile.served_by(role)
    return ScriptedChat(role, reply or speaks, model_id=at.model_id, revision=at.revision)


def speaks(call: Call) -> Completion:
    """As many tokens as asked for, and read."""
    n_read = len(call.messages[0]["content"].split())
    return replace(said("1 2 3", prompt_tokens=n_read), completion_tokens=call.max_tokens)


def test_a_calibration_that_is_not_used_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / "remote.json").write_text("broken")
    profile, chat = remote(), ScriptedChat("slm", always(""))
    policy_on(profile, chat, chat, WordEmbedder(), {}, tmp_path)
    assert "remote.json is not used: " in caplog.text


def test_speed_is_measured_once_and_kept(tmp_path: Path) -> None:
    profile = remote()
    slm, llm = served(profile, "slm"), served(profile, "llm")
    policy_on(profile, slm, llm, WordEmbedder(), {}, tmp_path)
    assert slm.calls
    kept = kept_speed(profile.served_by("llm"), tmp_path)
    assert kept is not None
    again = served(profile, "slm"), served(profile, "llm")
    policy_on(profile, *again, WordEmbedder(), {}, tmp_path)
    assert not again[0].calls
    assert kept_speed(profile.served_by("llm"), tmp_path) == kept


def test_speed_is_not_measured_where_nothing_follows_from_it(tmp_path: Path) -> None:
    cpu = load_profile("cpu")
    for profile, revision, home in (
        (cpu, cpu.spec("slm").revision, tmp_path),  # states all its budgets
        (remote(), "of somebody else", tmp_path),  # given in the place of the profile's
        (remote(), remote().endpoints["slm"].revision, None),  # nowhere to keep it
    ):
        slm, llm = (replace(served(profile, role), revision=revision) for role in ROLES)
        policy_on(profile, slm, llm, WordEmbedder(), {}, home)
        assert not slm.calls
    assert not (tmp_path / "speeds").exists()


def test_a_speed_that_cannot_be_measured_leaves_the_context_to_decide(tmp_path: Path) -> None:
    profile = remote()
    mute = served(profile, "slm", reply=always("yes"))
    with pytest.raises(ModelRequestError, match="speed of small-model cannot be measured"):
        measure(mute)
    made = policy_on(profile, mute, served(profile, "llm"), WordEmbedder(), {}, tmp_path)
    assert made.slm == policy({}, 4096, 4096).slm
    assert kept_speed(profile.served_by("slm"), tmp_path) is None
    assert kept_speed(profile.served_by("llm"), tmp_path) is not None


def test_a_home_that_cannot_be_written_leaves_the_context_to_decide(tmp_path: Path) -> None:
    (tmp_path / "speeds").write_text("no folder")
    profile = remote()
    made = policy_on(
        profile, served(profile, "slm"), served(profile, "llm"), WordEmbedder(), {}, tmp_path
    )
    assert made.llm == policy({}, 4096, 4096).llm


def test_thresholds_of_unknown_models_are_uncalibrated() -> None:
    profile, chat = load_profile("cpu"), ScriptedChat("slm", always(""))
    made = policy_for(profile, chat, chat, WordEmbedder(), None)
    assert made.policy.calibration == UNCALIBRATED
    assert all(made.reasons[name].startswith(UNCALIBRATED) for name in LEARNED)


def test_stated_thresholds_need_no_calibration() -> None:
    own = {"min_similarity": 0.1, "least_odds": -1.0}
    chat = ScriptedChat("slm", always(""))
    made = policy_for(remote(**own), chat, chat, WordEmbedder(), None)
    assert made.policy.calibration == STATED
    assert made.policy.least_odds == -1.0
    one = policy_for(remote(least_odds=-1.0), chat, chat, WordEmbedder(), None)
    assert one.policy.calibration == f"{UNCALIBRATED}: min_similarity"


def test_thresholds_are_those_of_the_embedder_that_made_the_index() -> None:
    """While another embedder takes over, an index of the one before may be answered."""
    multilingual, cpu = load_profile("cpu-multilingual"), load_profile("cpu")
    chat = ScriptedChat("slm", always(""))
    own, earlier = multilingual.served_by("embedder"), cpu.served_by("embedder")
    made_with = {"model_id": earlier.model_id, "revision": earlier.revision}
    likewise = {"model_id": own.model_id, "revision": own.revision, "query_prefix": "query: "}
    stated = {"min_similarity": 0.7, "least_odds": -1.0}
    stating = replace(multilingual, answering={**multilingual.answering, **stated})

    def on(profile: Profile, made_with: dict[str, str]) -> tuple[float, str]:
        made = policy_on(profile, chat, chat, own, made_with, None)
        return made.min_similarity, made.calibration

    learned_on = fitting_of(cpu, None).thresholds["min_similarity"]
    assert on(stating, {}) == on(stating, likewise) == (0.7, STATED)
    assert on(stating, made_with) == (learned_on, f"cpu.json of 2026-11-29, {STATED}")
    unlearned = f"{UNCALIBRATED}: min_similarity"
    assert on(stating, {**likewise, "query_prefix": "ask: "})[1] == unlearned
    assert on(multilingual, {})[1] == UNCALIBRATED


def test_the_docs_explain_every_field_of_a_profile() -> None:
    text = DOCS.read_text("utf-8")
    explained = set(re.findall(r"`([a-z0-9_]+)`", text))
    stated = (field.name for one in (AnswerPolicy, Budget, DeepBudget) for field in fields(one))
    known = [
        *ProfileFields.model_fields, *RoleFields.model_fields, *EndpointFields.model_fields,
        *(name for name in stated if name != "calibration"),
    ]  # fmt: skip
    assert [name for name in known if name not in explained] == []
