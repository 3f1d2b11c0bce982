"""The policy of a profile: what it states, and what follows from its models for the rest.

=============== ==================================================================================
field           follows from
=============== ==================================================================================
evidence        a quarter of the context (of a reduce, a third); what is read in 2 s, if less
answer, repair  a sixteenth of the context; what is written in 8 s, if less
sections        evidence / 180: how many passages fit
passage_tokens  180; 300 where both contexts have 8,192 tokens or more
deep.documents  requests that the SLM takes at once, from 4 to 8, as far as the reduce holds them
concurrency     requests that both models take at once
timeout_s       20 times what the longest answer takes
thresholds      a calibration that was made with these models
=============== ==================================================================================

Speed counts only where it was measured (``models/speed``). A reduce may take twice the time.
Budgets decide latency, and models read little evidence better: see the figures in
``models/profiles/cpu.yaml``, which states its own.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from pydantic import TypeAdapter, ValidationError

from rag_assets.answers.calibration import (
    LEARNED,
    NOTHING_LEARNED,
    KnownModel,
    Learned,
    LearnedRole,
    identity,
    learned,
)
from rag_assets.answers.policy import UNCALIBRATED, AnswerPolicy, DeepBudget, Role
from rag_assets.models.clients.roles import Models
from rag_assets.models.errors import ModelRequestError, ProfileError
from rag_assets.models.profiles import Endpoint, Profile
from rag_assets.models.protocols import ChatModel
from rag_assets.models.speed import Speed, kept_speed, measured_speed

log = logging.getLogger(__name__)
READ_S, WRITE_S = 2.0, 8.0  # of 5 to 7 s an answer; few answers are as long as they may be
MOST_EVIDENCE = 6000  # tokens; models read more no better
LEAST_EVIDENCE = 360  # two passages, however slow the model is
ANSWER = (64, 512)  # tokens: a sentence or two with room, and what anybody reads
PASSAGE, LONG_PASSAGE = 180, 300  # tokens; what reads more gets more of each place
LONG_CONTEXT = 8192  # tokens from which passages are long
MAP = (4, 8)  # documents that the map reads
LEAST_TIMEOUT_S, MOST_TIMEOUT_S = 60.0, 600.0
SCAFFOLD = 400  # tokens of scaffold and question, about
STATED: Final = "stated by the profile"
DEFAULT: Final = "default"
_POLICY = TypeAdapter(AnswerPolicy)


class SizedModel(KnownModel, Protocol):
    """A model, or what a profile says of one."""

    @property
    def max_model_len(self) -> int:
        """Tokens of prompt and answer together."""


@dataclass(frozen=True, slots=True)
class Power:
    """What budgets of a chat model follow from.

    Attributes:
        context: tokens of prompt and answer together.
        at_once: requests that it takes at the same time; None: nobody says.
        speed: None: not measured.
    """

    context: int
    at_once: int | None = None
    speed: Speed | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """A policy, with the reason of each of its numbers.

    Attributes:
        policy: the policy.
        reasons: by field, such as ``llm.evidence``, in the order of the fields.
        remarks: calibration files that were not used, and why.
    """

    policy: AnswerPolicy
    reasons: Mapping[str, str]
    remarks: tuple[str, ...] = ()

    def rows(self) -> list[tuple[str, Any, str]]:
        """Field, value and reason of each number."""
        values = _flat(asdict(self.policy))
        return [(name, values[name], reason) for name, reason in self.reasons.items()]


@dataclass(frozen=True, slots=True)
class _NamedEmbedder:
    """An embedder, as a generation names the one that made it."""

    model_id: str
    revision: str
    query_prefix: str = ""


def policy_of(models: Models, made_with: Mapping[str, str]) -> AnswerPolicy:
    """The policy of the profile in force, on the models that answer.

    Args:
        models: who serves each role.
        made_with: the embedder of the index, as its generation names it; empty: the profile's.

    Raises:
        ProfileError: its ``answering`` has a field that there is none of, or a wrong value.
        ModelsError: a model that has to say its context or show its speed does not answer.
    """
    own = models.own_embedder or models.profile.served_by("embedder")
    return policy_on(models.profile, models.slm, models.llm, own, made_with, models.home)


def policy_on(
    profile: Profile,
    slm: ChatModel,
    llm: ChatModel,
    embedder: KnownModel,
    made_with: Mapping[str, str],
    home: Path | None,
) -> AnswerPolicy:
    """The policy of a profile on models that can be asked.

    Where a budget follows from the speed of a model that the profile serves, and it was never
    measured in this home, it is measured now.

    Args:
        profile: states what it likes.
        slm: the small model.
        llm: the large one.
        embedder: the one in force, for which the profile states thresholds.
        made_with: the embedder of the index, as its generation names it; empty: the one in force.
            While another one is published, or after a rollback, it is an earlier one, for which
            the profile states nothing.
        home: of calibrations and measured speeds; None: there is none.

    Raises:
        ProfileError: as :func:`policy_of`.
        EngineUnavailableError: nobody answers for a model whose speed is to be measured.
    """
    models: dict[Role, ChatModel] = {"slm": slm, "llm": llm}
    for role, model in models.items():
        if home is not None and _is_served(profile, role, model) and _is_open(profile, role):
            # What cannot be measured, or kept (a read-only home), leaves the context to decide.
            with suppress(ModelRequestError, OSError):
                measured_speed(profile.served_by(role), model, home)
    if made_with:
        prefix = made_with.get("query_prefix", "")
        other = _NamedEmbedder(made_with["model_id"], made_with["revision"], prefix)
        if identity("embedder", other, profile) != identity("embedder", embedder, profile):
            profile, embedder = _without_stated(profile, "embedder"), other
    made = policy_for(profile, slm, llm, embedder, home)
    for remark in made.remarks:
        log.warning("%s", remark)
    return made.policy


def _without_stated(profile: Profile, role: LearnedRole) -> Profile:
    """The profile without the thresholds that it states for its model of this role."""
    kept = {name: v for name, v in profile.answering.items() if LEARNED.get(name) != role}
    return replace(profile, answering=kept)


def policy_for(
    profile: Profile, slm: SizedModel, llm: SizedModel, embedder: KnownModel, home: Path | None
) -> Explained:
    """The policy of a profile, and why it is so; no model is asked.

    Args:
        profile: states what it likes.
        slm: the small model, or what the profile says of it.
        llm: the large one.
        embedder: the model that the index was made with.
        home: of calibrations and measured speeds; None: there is none.

    Raises:
        ProfileError: ``answering`` has a field that there is none of, or a wrong value.
    """
    return derived(
        profile.answering,
        _power(profile, "slm", slm, home),
        _power(profile, "llm", llm, home),
        fitting(profile, llm, embedder, home),
    )


def fitting(profile: Profile, llm: KnownModel, embedder: KnownModel, home: Path | None) -> Learned:
    """The thresholds that the profile states, or else those learned on these models."""
    models: dict[LearnedRole, dict[str, str]] = {
        "embedder": identity("embedder", embedder, profile),
        "llm": identity("llm", llm, profile),
    }
    found = learned(profile.name, models, home)
    stated = dict.fromkeys(LEARNED.keys() & profile.answering.keys(), STATED)
    return replace(found, origins={**found.origins, **stated})


def fitting_of(profile: Profile, home: Path | None) -> Learned:
    """:func:`fitting` for the models that the profile names."""
    return fitting(profile, profile.served_by("llm"), profile.served_by("embedder"), home)


def derived(
    stated: Mapping[str, Any], slm: Power, llm: Power, found: Learned = NOTHING_LEARNED
) -> Explained:
    """The policy that a profile states; what it leaves open follows from its models.

    Args:
        stated: ``answering`` of a profile: fields of AnswerPolicy.
        slm: the small model.
        llm: the large one.
        found: thresholds that fit the models.

    Raises:
        ProfileError: there is no such field, or a value is wrong.
    """
    follows = _following(slm, llm)
    for name in LEARNED:
        if name in found.thresholds:
            follows[name] = found.thresholds[name], found.origins[name]
        else:
            follows[name] = getattr(AnswerPolicy(), name), f"{UNCALIBRATED}: that of profile cpu"
    said = _flat(stated)
    base = _over(asdict(AnswerPolicy()), _nested({k: value for k, (value, _) in follows.items()}))
    made = _validated(_over(base, {**stated, "calibration": found.standing}), stated)
    for name, budget, power in (
        ("slm", made.slm, slm), ("llm", made.llm, llm), ("deep.reduce", made.deep.reduce, llm)
    ):  # fmt: skip
        writes = budget.thinking + budget.answer + budget.repair
        if writes >= power.context:
            raise ProfileError(
                f"answering.{name}: expected thinking, answer and repair to leave room in the "
                f"context of {power.context:,} tokens, got {writes:,} together; state less"
            )
    reasons = {
        name: STATED if name in said else follows[name][1] if name in follows else DEFAULT
        for name in _flat(asdict(made))
        if name != "calibration"
    }
    return Explained(made, reasons, found.remarks)


def _validated(fields: Mapping[str, Any], stated: Mapping[str, Any]) -> AnswerPolicy:
    wrong = ["answering.calibration: no profile states it"] if "calibration" in stated else []
    try:
        made = _POLICY.validate_python(fields)
    except ValidationError as error:
        wrong += [
            f"answering.{'.'.join(map(str, one['loc']))}: {one['msg']}, got {one['input']!r:.80}"
            for one in error.errors(include_url=False)
        ]
    if wrong:
        raise ProfileError(f"the profile cannot answer questions so: {'; '.join(wrong)}")
    return made


_Following = dict[str, tuple[Any, str]]  # field -> value, reason


def _following(slm: Power, llm: Power) -> _Following:
    """What follows from the models, by field."""
    found = {
        **_budget("slm", slm, part=4),
        **_budget("llm", llm, part=4),
        **_budget("deep.reduce", llm, part=3, patience=2),
    }
    found["deep.document"] = found["slm.evidence"]
    extract = min(DeepBudget().extract, slm.context // 8)
    found["deep.extract"] = (
        extract,
        DEFAULT if extract == DeepBudget().extract else "1/8 of the context",
    )
    holds = max(2, found["deep.reduce.evidence"][0] // max(extract, 1))
    if slm.at_once is not None:
        width = max(MAP[0], min(slm.at_once, MAP[1]))
        why = f"the small model takes {slm.at_once} requests at once"
        found["deep.documents"] = (
            (width, why) if width <= holds else (holds, "the reduce holds no more")
        )
    elif holds < MAP[0]:
        found["deep.documents"] = holds, "the reduce holds no more"
    is_long = min(slm.context, llm.context) >= LONG_CONTEXT
    found["passage_tokens"] = (
        (LONG_PASSAGE, f"both contexts have {LONG_CONTEXT:,} tokens or more")
        if is_long
        else (PASSAGE, f"a context has less than {LONG_CONTEXT:,} tokens")
    )
    at_once = [power.at_once for power in (slm, llm) if power.at_once is not None]
    if at_once:
        found["concurrency"] = min(at_once), "requests that the models take at once"
    longest = [
        (SCAFFOLD + found[f"{name}.evidence"][0]) / power.speed.reads
        + 2 * found[f"{name}.answer"][0] / power.speed.writes
        for name, power in (("slm", slm), ("llm", llm), ("deep.reduce", llm))
        if power.speed is not None
    ]
    if longest:
        timeout = min(max(20 * max(longest), LEAST_TIMEOUT_S), MOST_TIMEOUT_S)
        why = f"20 times the {max(longest):.1f} s of the longest answer, from 60 to 600 s"
        found["timeout_s"] = float(round(timeout)), why
    return found


def _budget(name: str, power: Power, *, part: int, patience: int = 1) -> _Following:
    """Evidence, answer, repair and sections of a budget.

    Args:
        name: the field.
        power: of its model.
        part: of the context is evidence: one of so many.
        patience: how many times as long it may take.
    """
    context, speed = power.context, power.speed
    most = [
        (context // part, f"1/{part} of the context of {context:,} tokens"),
        (MOST_EVIDENCE, "no model reads more"),
    ]
    longest = [
        (
            max(min(ANSWER[0], context // 8), context // 16),
            f"1/16 of the context of {context:,} tokens, at least {ANSWER[0]}",
        ),
        (ANSWER[1], "nobody reads more"),
    ]
    if speed is not None:
        read, write = patience * READ_S, patience * WRITE_S
        most.append(
            (
                max(LEAST_EVIDENCE, int(read * speed.reads)),
                f"{read:g} s at {speed.reads:g} tokens/s, at least {LEAST_EVIDENCE}",
            )
        )
        longest.append(
            (
                max(ANSWER[0], int(write * speed.writes)),
                f"{write:g} s at {speed.writes:g} tokens/s, at least {ANSWER[0]}",
            )
        )
    evidence, answer = min(most), min(longest)
    return {
        f"{name}.evidence": evidence,
        f"{name}.answer": answer,
        f"{name}.repair": (answer[0], "as long as the answer"),
        f"{name}.sections": (max(3, evidence[0] // PASSAGE), f"evidence / {PASSAGE}, at least 3"),
    }


def _power(profile: Profile, role: Role, model: SizedModel, home: Path | None) -> Power:
    served = profile.served_by(role)
    if not _is_served(profile, role, model):
        return Power(model.max_model_len)
    at_once = (
        served.concurrency
        if isinstance(served, Endpoint)
        else int(served.flag("--max-num-seqs") or 0) or None
    )
    if home is None or not _is_open(profile, role):
        return Power(model.max_model_len, at_once)
    return Power(model.max_model_len, at_once, kept_speed(served, home))


def _is_served(profile: Profile, role: Role, model: KnownModel) -> bool:
    """Whether it is the profile's own model, not one that was given in its place."""
    served = profile.served_by(role)
    return (served.model_id, served.revision) == (model.model_id, model.revision)


def _is_open(profile: Profile, role: Role) -> bool:
    """Whether a budget follows from the speed of the role's model."""
    names = ["slm"] if role == "slm" else ["llm", "deep.reduce"]
    needed = {f"{name}.{field}" for name in names for field in ("evidence", "answer", "repair")}
    needed |= {"deep.document"} if role == "slm" else set()
    return not needed <= _flat(profile.answering).keys()


def _flat(fields: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Fields of fields by one name each: ``llm.evidence``."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        inner = isinstance(value, Mapping)
        found |= _flat(value, f"{before}{name}.") if inner else {f"{before}{name}": value}
    return found


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite of :func:`_flat`."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        *above, last = name.split(".")
        place = found
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    return found


def _over(base: Mapping[str, Any], stated: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with what is stated, field by field."""
    nested = {
        name: _over(base[name], value)
        for name, value in stated.items()
        if isinstance(value, Mapping) and isinstance(base.get(name), Mapping)
    }
    return {**base, **stated, **nested}
