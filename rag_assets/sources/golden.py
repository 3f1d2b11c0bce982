"""Golden questions: what a source's owner expects to be found and answered.

A JSON Lines file, named by the source's ``golden`` entry; one object a line::

    {"id": "lookup-01", "kind": "lookup", "question": "...", "answers": ["1994"],
     "documents": ["vessels/alder.html"]}

``kind`` is ``lookup``, ``multi`` or ``unanswerable``. ``documents`` are paths below the source;
all of them are needed for the answer. ``answers`` are accepted spellings of one fact;
``answers_all`` lists several facts, each with its spellings, where all are required.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rag_assets.errors import RagError
from rag_assets.sources.catalog import Source

KINDS = ("lookup", "multi", "unanswerable")


class CaseError(RagError):
    """A file of golden questions is not of the expected form."""


@dataclass(frozen=True, slots=True)
class Case:
    """One golden question; ``uris`` are the documents that the answer needs."""

    id: str
    kind: str
    question: str
    facts: tuple[tuple[str, ...], ...]  # each fact in its accepted spellings; all are required
    uris: tuple[str, ...]


def load_cases(source: Source) -> list[Case]:
    """The golden questions of a source; none if it declares none.

    Raises:
        CaseError: the file is missing, or a line of it is not of the form in the module's text.
    """
    if source.golden is None:
        return []
    path = Path(source.golden)
    cases: dict[str, Case] = {}
    for number, line in lines_of(source, "golden", "golden questions"):
        try:
            case = _case(json.loads(line), source.name)
            if case.id in cases:
                raise ValueError(f"id {case.id!r} stands on an earlier line, too")
            cases[case.id] = case
        except (ValueError, KeyError, TypeError) as error:
            raise CaseError(
                f"{path.name}, line {number}: expected an object with id, kind, question, answers "
                f"and documents; got {type(error).__name__}: {error}"
            ) from error
    return list(cases.values())


def lines_of(
    source: Source, entry: Literal["golden", "labels"], what: str
) -> Iterator[tuple[int, str]]:
    """Lines of the file that an entry names, with their numbers from 1; without empty ones.

    Says ``what`` it holds, if there is none.

    Raises:
        CaseError: the file is missing or is not UTF-8.
    """
    path = Path(getattr(source, entry))
    if not path.is_file():
        raise CaseError(f"source {source.name}: no {what} at {path}; correct '{entry}'")
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise CaseError(f"{path} is not UTF-8 ({error}); save it as such") from error
    yield from ((number, line) for number, line in enumerate(lines, start=1) if line.strip())


def _case(entry: dict[str, object], source: str) -> Case:
    if entry["kind"] not in KINDS:
        raise ValueError(f"kind {entry['kind']!r} is not one of {', '.join(KINDS)}")
    groups = entry.get("answers_all") or ([entry["answers"]] if entry["answers"] else [])
    if bool(groups) != (entry["kind"] != "unanswerable"):
        raise ValueError("an answerable question needs answers, an unanswerable one has none")
    return Case(
        id=str(entry["id"]),
        kind=str(entry["kind"]),
        question=str(entry["question"]),
        facts=tuple(tuple(str(form) for form in group) for group in _lists(groups)),
        uris=tuple(f"{source}:{path}" for path in _list(entry["documents"])),
    )


def _list(value: object) -> Sequence[object]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, got {value!r}")
    return value


def _lists(value: object) -> list[Sequence[object]]:
    return [_list(group) for group in _list(value)]
