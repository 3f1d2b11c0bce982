"""An answer as Markdown for Dagster's run page, and as plain text for a terminal."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rag_assets.markup import markdown_cell, markdown_code, markdown_text

if TYPE_CHECKING:  # `rag ask` renders a record and needs no LanceDB for it
    from rag_assets.answers.answer import Answer

MOST_SHOWN = 120  # characters of a cell; the whole answer is below the table
Fold = Callable[[str, str, str], str]  # what begins the first line, a text, what begins the others


def concat(first: str, text: str, _others: str) -> str:
    """A text on one line, however long."""
    return first + text


def markdown(answer: "Answer") -> str:
    """The answer, its citations, and what it cost."""
    return record_markdown(answer.to_record())


def record_markdown(record: Mapping[str, Any]) -> str:
    """Like ``markdown``, from the record that HTTP and the answers table carry."""
    question = " ".join(record["question"].split())
    return f"**{markdown_text(question)}**\n\n{_rendered(record, MARKDOWN)}"


def record_text(record: Mapping[str, Any], fold: Fold = concat) -> str:
    """The same without the question, as plain text for a terminal.

    ``fold`` breaks what is wider than the terminal.
    """
    return _rendered(record, PLAIN._replace(fold=fold))


class _Style(NamedTuple):
    """How any text and a name are written, and what begins a line of each kind."""

    text: Callable[[str], str]
    code: Callable[[str], str]
    item: str
    quote: str
    also: str
    superseded: str
    fold: Fold = concat


_WAYS = {  # of ``Route.way``, as a reader is told
    "read": "read",
    "apart": "taken apart",
    "written": "written",
    "deep": "deep",
    "collection": "from the index",
    "listed": "out of a list",
}
MARKDOWN = _Style(markdown_text, markdown_code, "- ", "  > ", "\n  also at ", "\n  superseded by ")
PLAIN = _Style(str, str, "", "    > ", "    also at ", "    superseded by ")


def _rendered(record: Mapping[str, Any], style: _Style) -> str:
    answer = style.fold("", style.text(record["answer"]), "")
    facts = [
        style.fold(style.item, f"{name}: {style.text(fact)}", "  ") for name, fact in _facts(record)
    ]
    cited = [_citation(citation, style) for citation in record["citations"]]
    blocks = [answer, "\n".join(cited), "\n".join(facts)]
    return "\n\n".join(block for block in blocks if block)


def _citation(citation: Mapping[str, Any], style: _Style) -> str:
    place = [style.code(citation["uri"]), *map(style.text, _place(citation))]
    lines = [style.fold(f"{style.item}[{citation['n']}] ", ", ".join(place), "    ")]
    quoted = [line.strip() for line in citation["quote"].splitlines()]
    lines += [style.fold(style.quote, style.text(line), style.quote) for line in quoted if line]
    if citation["aliases"]:
        also = ", ".join(map(style.code, citation["aliases"]))
        lines.append(style.fold(style.also, also, "    "))
    if citation.get("superseded_by"):  # a journal may hold older records
        title = " ".join(citation["superseded_by_title"].split())
        named = f" ({style.text(title)})" if title else ""
        newer = style.code(citation["superseded_by"]) + named
        lines.append(style.fold(style.superseded, newer, "    "))
    return "\n".join(lines)


def _place(citation: Mapping[str, Any]) -> list[str]:
    """Where in the document the cited text is; each part may be any text."""
    headings = list(citation["heading_path"])
    if headings[:1] != [citation["title"]]:
        headings.insert(0, citation["title"])
    place = [" > ".join(headings)] if any(headings) else []
    if citation["page"] is not None:
        place.append(f"page {citation['page']}")
    place.append(f"characters {citation['char_start']}-{citation['char_end']}")
    if citation["modified_at"]:
        place.append(f"modified {citation['modified_at'][:10]}")
    return [" ".join(part.split()) for part in place]


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    route, timings = record["route"], record["timings_ms"]
    for step in record["steps"]:
        yield "step", f"{step['question']} {step['answer'] or 'not found'}"
    escalated = ", after another way" if route["escalated"] else ""
    yield "model", f"{route['model']}, {_WAYS[route['way']]}{escalated}. {route['reason']}"
    yield "finish reason", record["finish_reason"]
    for role, used in record["usage"].items():
        yield (
            f"tokens, {role}",
            f"{used['prompt_tokens']} prompt ({used['cached_prompt_tokens']} cached), "
            f"{used['completion_tokens']} written",
        )
    for role, budget in record.get("budget", {}).items():
        if budget["counted"] != "exactly":
            yield (
                f"token budget, {role}",
                f"counted as an upper bound ({budget['prompt_tokens']} tokens), as its server "
                "counts none: less evidence was read than would fit",
            )
    for repair in record["repairs"]:
        yield "repair", repair
    yield "thresholds", record["calibration"]
    yield "time (ms)", ", ".join(f"{name} {timings[name]:.0f}" for name in timings)
    generation = record["generation"]
    yield "generation", f"{generation['id']} of {generation['created_at']}"
    yield "answer id", record["answer_id"]


def summary_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line a question, as a Markdown table.

    Args:
        rows: each with ``question`` and either ``error`` or ``record``.
    """
    lines = [
        "| # | question | outcome | model | citations | finish | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, row in enumerate(rows, start=1):
        question = markdown_cell(row["question"], MOST_SHOWN)
        if row.get("error"):
            error = markdown_cell(row["error"], MOST_SHOWN)
            lines.append(f"| {number} | {question} | failed: {error} | | | | |")
            continue
        record = row["record"]
        answer = markdown_cell(record["answer"], MOST_SHOWN)
        outcome = "abstained" if record["abstained"] else answer
        seconds = record["timings_ms"]["total"] / 1000
        lines.append(
            f"| {number} | {question} | {outcome} | {record['route']['model']} | "
            f"{len(record['citations'])} | {record['finish_reason']} | {seconds:.1f} |"
        )
    return "\n".join(lines)
