"""The calibration set: documents and questions of our own that thresholds are set on.

What is in it and how it was labelled says ``README.md`` beside this module.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal

QuestionKind = Literal["lookup", "unanswerable", "multi"]


@dataclass(frozen=True, slots=True)
class CalibrationQuestion:
    """A question with its label.

    Attributes:
        id: unique within the set.
        kind: "lookup" has its answer in one passage, "multi" needs several, "unanswerable" has
            no answer in any of the texts.
        form: how it is asked, or why there is no answer; the README lists them by kind.
        domain: what the document is about, such as "household insurance".
        question: in plain words.
        answers: accepted spellings; none if unanswerable.
        document: the key in :func:`calibration_texts` of the document asked about.
        passage: what states the answer; if unanswerable, the nearest that does not.
        documents: of all passages, in their order; one unless "multi".
        passages: all that the answer needs, in the documents of the same positions.
    """

    id: str
    kind: QuestionKind
    form: str
    domain: str
    question: str
    answers: tuple[str, ...]
    document: str
    passage: str
    documents: tuple[str, ...]
    passages: tuple[str, ...]

    @property
    def answerable(self) -> bool:
        """Whether the texts hold the answer."""
        return self.kind != "unanswerable"


def calibration_questions() -> tuple[CalibrationQuestion, ...]:
    """All questions, in the order of the file."""
    lines = resources.files(__name__).joinpath("questions.jsonl").read_text("utf-8").splitlines()
    return tuple(_question(json.loads(line)) for line in lines)


def calibration_texts() -> Mapping[str, str]:
    """The documents in Markdown, by what questions call them, such as "texts/lab_well_north.md"."""
    files = resources.files(__name__).joinpath("texts").iterdir()
    return MappingProxyType(
        {
            f"texts/{file.name}": file.read_text("utf-8")
            for file in sorted(files, key=lambda file: file.name)
        }
    )


def _question(fields: dict[str, Any]) -> CalibrationQuestion:
    return CalibrationQuestion(
        id=fields["id"],
        kind=fields["kind"],
        form=fields["form"],
        domain=fields["domain"],
        question=fields["question"],
        answers=tuple(fields["answers"]),
        document=fields["document"],
        passage=fields["passage"],
        documents=tuple(fields.get("documents", [fields["document"]])),
        passages=tuple(fields.get("passages", [fields["passage"]])),
    )
