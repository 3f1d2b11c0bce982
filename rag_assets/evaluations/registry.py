"""What a suite is, and the product's own: golden questions. Others are given by who has them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rag_assets.evaluations.golden import golden
from rag_assets.evaluations.lab import Lab
from rag_assets.evaluations.presentation import View
from rag_assets.evaluations.results import CaseResult


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite of questions.

    Attributes:
        description: what it measures, in a sentence.
        run: asks the questions.
        command: that runs it, for the report.
        view: how its results are shown.
    """

    description: str
    run: Callable[[Lab], list[CaseResult]]
    command: str
    view: View = field(default_factory=View)


SUITES: Mapping[str, Suite] = {
    "golden": Suite(
        "The sources' own golden questions, on their own index.", golden, "rag evaluate"
    ),
}
