import re
from pathlib import Path
from typing import Any

import pytest

from rag_assets.answers.policy import AnswerPolicy, policy_for
from rag_assets.models.errors import ProfileError
from rag_assets.models.profile_files import EndpointFields, ProfileFields, RoleFields, load_profile

DOCS = Path(__file__).parent.parent.parent / "docs" / "models.md"


def test_the_default_profile_states_the_default_policy() -> None:
    assert policy_for(load_profile("cpu").answering, 4096, 4096) == AnswerPolicy()


def test_a_longer_context_reads_more() -> None:
    short, long = policy_for({}, 4096, 4096), policy_for({}, 4096, 16384)
    assert short.slm == short.llm
    assert long.slm == short.slm
    assert long.llm.evidence == 4096
    assert long.llm.sections > 3 * short.llm.sections / 2
    assert policy_for({}, 131072, 131072).llm.evidence == 6000
    both = policy_for({}, 16384, 16384)
    assert both.passage_tokens > short.passage_tokens


@pytest.mark.parametrize("context", [512, 4096, 16384, 200_000])
def test_derived_budgets_fit_the_context(context: int) -> None:
    made = policy_for({}, context, context)
    for budget in (made.slm, made.llm, made.deep.reduce):
        assert budget.evidence + budget.answer + budget.repair <= context * 0.6


def test_what_is_stated_holds_field_by_field() -> None:
    made = policy_for({"llm": {"evidence": 99}, "concurrency": 7}, 4096, 4096)
    assert made.llm.evidence == 99
    assert made.llm.answer == policy_for({}, 4096, 4096).llm.answer
    assert made.concurrency == 7


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ({"evidence": 3}, r"answering\.evidence: .*got 3"),
        ({"llm": {"evidenc": 3}}, r"answering\.llm\.evidenc"),
        ({"llm": {"evidence": "much"}}, r"answering\.llm\.evidence: .*got 'much'"),
        ({"llm": 5}, r"answering\.llm: .*got 5"),
    ],
)
def test_a_wrong_field_is_named(stated: dict[str, Any], message: str) -> None:
    with pytest.raises(ProfileError, match=message):
        policy_for(stated, 4096, 4096)


def test_the_docs_explain_every_field_of_a_profile() -> None:
    text = DOCS.read_text("utf-8")
    explained = set(re.findall(r"`([a-z0-9_]+)`", text))
    fields = [
        *ProfileFields.model_fields, *RoleFields.model_fields, *EndpointFields.model_fields,
        *(name for name in AnswerPolicy.__dataclass_fields__ if not name.startswith("_")),
    ]  # fmt: skip
    assert [name for name in fields if name not in explained] == []
