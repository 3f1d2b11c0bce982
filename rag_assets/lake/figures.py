"""What a stage says of its work: values that Dagster's UI, the command line and Python show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Table:
    """Rows for a person to read; where they are shown decides how many."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Markdown:
    """A text that is Markdown already."""

    text: str


Value = bool | int | float | str | Table | Markdown


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage over the whole corpus did."""

    data_version: str  # of what it holds now; the same when nothing changed
    figures: Mapping[str, Value] = field(default_factory=dict)  # for a person
    notes: Sequence[str] = ()  # sentences for the log
    warnings: Sequence[str] = ()  # sentences for the log that ask for attention


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: one property, true or not, in a sentence with figures."""

    passed: bool
    description: str
    figures: Mapping[str, int | str | list[str]] = field(default_factory=dict)


def counted(counts: Mapping[str, int]) -> str:
    """The most frequent first; equals by name, as rows are read in no order."""
    ranked = sorted(counts.items(), key=lambda of: (-of[1], of[0]))
    return ", ".join(f"{name} {n}" for name, n in ranked) or "none"


def histogram(values: Sequence[int], *, n_bins: int = 10, unit: str = "tokens") -> Markdown:
    """Text bars: how many values fall in each of ``n_bins`` equal bins."""
    if not values:
        return Markdown("no values")
    width = max(-(-(max(values) + 1) // n_bins), 1)
    counts = [0] * n_bins
    for value in values:
        counts[min(value // width, n_bins - 1)] += 1
    scale = 40 / max(counts)
    lines = [
        f"{n * width:>6}-{(n + 1) * width - 1:<6} {'█' * round(count * scale)} {count}"
        for n, count in enumerate(counts)
    ]
    return Markdown(f"```\n{unit}\n" + "\n".join(lines) + "\n```")
