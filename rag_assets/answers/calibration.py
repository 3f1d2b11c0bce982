"""Thresholds that were learned on models, and whether they fit the models in use.

A similarity means something for one embedder, the odds of an answer for one large model in one
format that reads one prompt. So each part of a calibration file names the model that it was learned
on, and holds for no other. Files are looked for in ``<home>/calibration``, the profile's own first
(``<profile>.json``), then in the package. What decides is the model, not the name: a profile that
changes ports or flags takes what fits.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag_assets.answers.policy import UNCALIBRATED
from rag_assets.answers.prompts import ASK_HOLDS, ASK_SPAN, ASK_STATES, READ_SCAFFOLD
from rag_assets.lake.identity import value_hash
from rag_assets.models.clients.prefixed import prefixes_of, vectors_revision
from rag_assets.models.profiles import ModelSpec, Profile

LearnedRole = Literal["embedder", "llm"]
LEARNED: Mapping[str, LearnedRole] = {  # threshold -> whose model it depends on
    "min_similarity": "embedder",
    "least_odds": "llm",
}
FORM: Final = 1  # of the file; one of another form is not used
SHIPPED = Path(__file__).parent / "calibrations"


class KnownModel(Protocol):
    """What tells a model from another."""

    @property
    def model_id(self) -> str:
        """Which model."""

    @property
    def revision(self) -> str:
        """Which weights."""


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Fields):
    """What was learned on one model.

    Attributes:
        model: the fields of :func:`identity`.
        thresholds: by name.
        chosen: how.
        n: questions, or answers, that the curve was measured on.
        questions: which ones.
        curve: what each value of a threshold does to them.
        date: ISO 8601.
        machine: processor, cores, memory.
        made_by: the command.
        before: what the thresholds that were in use do to the questions.
        held_out: what those do that were learned on the other questions: what to expect.
    """

    model: dict[str, str]
    thresholds: dict[str, Annotated[float, Field(allow_inf_nan=False)]]
    chosen: str
    n: Annotated[int, Field(gt=0)]
    questions: str
    curve: tuple[dict[str, float], ...] = Field(min_length=1)
    date: str
    machine: str
    made_by: str
    before: dict[str, float] | None = None
    held_out: dict[str, float] | None = None


class CalibrationFile(_Fields):
    """A file of learned thresholds, by the role whose model they depend on."""

    form: Literal[1] = FORM
    embedder: Part | None = None
    llm: Part | None = None


@dataclass(frozen=True, slots=True)
class Learned:
    """The learned thresholds that fit.

    Attributes:
        thresholds: by name.
        origins: of each threshold that is known: the file and its date, or that it is stated.
        remarks: files that were not used and why, a sentence each.
    """

    thresholds: Mapping[str, float]
    origins: Mapping[str, str]
    remarks: tuple[str, ...] = ()

    @property
    def standing(self) -> str:
        """Where an answer's thresholds are from, in a few words."""
        missing = [name for name in LEARNED if name not in self.origins]
        if len(missing) == len(LEARNED):
            return UNCALIBRATED
        if missing:
            return f"{UNCALIBRATED}: {', '.join(missing)}"
        return ", ".join(dict.fromkeys(self.origins[name] for name in LEARNED))


NOTHING_LEARNED = Learned({}, {})


def identity(role: LearnedRole, model: KnownModel, profile: Profile) -> dict[str, str]:
    """What a threshold of this role depends on.

    The format of its weights is known where the profile's own engine serves the model. An embedder
    is one of questions, with their prefix.
    """
    found = {"model_id": model.model_id, "revision": model.revision}
    if role == "embedder":
        found["revision"] = vectors_revision(model.revision, prefixes_of(model).query)
    if role == "llm":
        served = profile.served_by(role)
        is_ours = (served.model_id, served.revision) == (model.model_id, model.revision)
        found["format"] = served.format if is_ours and isinstance(served, ModelSpec) else ""
        found["prompt"] = value_hash([READ_SCAFFOLD, ASK_STATES, ASK_SPAN, ASK_HOLDS])[:12]
    return found


def learned(
    profile: str, models: Mapping[LearnedRole, Mapping[str, str]], home: Path | None
) -> Learned:
    """The thresholds that fit these models.

    Args:
        profile: its name; the home's file of this name is looked at first, and said if it does
            not fit.
        models: role -> its :func:`identity`.
        home: None looks in the package alone.
    """
    thresholds: dict[str, float] = {}
    origins: dict[str, str] = {}
    remarks: list[str] = []
    for path in _files(profile, home):
        try:
            file = read(path)
        except ValueError as error:
            remarks.append(f"{path} is not used: {error}")
            continue
        for role, model in models.items():
            part: Part | None = getattr(file, role)
            if part is None:
                continue
            if unlike := differences(part.model, model):
                if home is not None and path == home / "calibration" / f"{profile}.json":
                    remarks.append(f"the {role} part of {path} is not used: {unlike}")
                continue
            for name in part.thresholds.keys() - thresholds.keys():
                thresholds[name] = part.thresholds[name]
                origins[name] = f"{path.name} of {part.date}"
    return Learned(thresholds, origins, tuple(remarks))


def read(path: Path) -> CalibrationFile:
    """A calibration file.

    Raises:
        ValueError: it is unreadable, of another form, or has a threshold that its role has not.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
        form = data.get("form") if isinstance(data, dict) else None
        if form != FORM:  # whatever else it lacks
            raise ValueError(f"expected form {FORM}, got {form!r:.40}; make it anew")
        file = CalibrationFile.model_validate(data)
    except OSError as error:
        raise ValueError(str(error)) from error
    except ValidationError as error:
        one = error.errors(include_url=False)[0]
        where = ".".join(map(str, one["loc"]))
        raise ValueError(f"{where}: {one['msg']}, got {one['input']!r:.80}") from error
    for role in ("embedder", "llm"):
        part: Part | None = getattr(file, role)
        wanted = {name for name, of in LEARNED.items() if of == role}
        if part is not None and set(part.thresholds) != wanted:
            expected = ", ".join(sorted(wanted))
            raise ValueError(
                f"{role}.thresholds: expected {expected}; got {', '.join(sorted(part.thresholds))}"
            )
    return file


def differences(learned_on: Mapping[str, str], in_use: Mapping[str, str]) -> str:
    """What tells the two models apart, as a sentence; "" if nothing does."""
    return "; ".join(
        f"it was learned with {name} {learned_on.get(name, '')!r}, in use is "
        f"{in_use.get(name, '')!r}"
        for name in sorted({*learned_on, *in_use})
        if learned_on.get(name) != in_use.get(name)
    )


def _files(profile: str, home: Path | None) -> Iterator[Path]:
    folders: Iterable[Path] = [SHIPPED] if home is None else [home / "calibration", SHIPPED]
    for folder in folders:
        yield from sorted(folder.glob("*.json"), key=lambda path: (path.stem != profile, path.name))
