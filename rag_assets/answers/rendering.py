"""An answer as Markdown for Dagster's run page, and as plain text for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rag_assets.answers.answer import Answer
from rag_assets.markup import markdown_cell, markdown_code, markdown_text

MOST_SHOWN = 120  # characters of a cell; the whole answer is below the table


def markdown(answer: Answer) -> str:
    """The answer, its citations, and what it cost."""
    return record_markdown(answer.to_record())


def record_markdown(record: Mapping[str, Any]) -> str:
    """Like ``markdown``, from the record that HTTP and the answers table carry."""
    question = " ".join(record["question"].split())
    parts = [f"**{markdown_text(question)}**", markdown_text(record["answer"])]
    if record["citations"]:
        parts.append("\n".join(_citation_markdown(citation) for citation in record["citations"]))
    parts.append("\n".join(f"- {name}: {markdown_text(fact)}" for name, fact in _facts(record)))
    return "\n\n".join(parts)


def record_text(record: Mapping[str, Any]) -> str:
    """The same without the question, as plain text for a terminal."""
    parts = [record["answer"]]
    if record["citations"]:
        parts.append("\n".join(_citation_text(citation) for citation in record["citations"]))
    parts.append("\n".join(f"{name}: {fact}" for name, fact in _facts(record)))
    return "\n\n".join(parts)


def _citation_markdown(citation: Mapping[str, Any]) -> str:
    place = [markdown_code(citation["uri"]), *(markdown_text(part) for part in _place(citation))]
    lines = [f"- [{citation['n']}] {', '.join(place)}"]
    lines += [f"  > {markdown_text(line)}" for line in _quoted(citation)]
    if citation["aliases"]:
        lines.append(f"\n  also at {', '.join(map(markdown_code, citation['aliases']))}")
    return "\n".join(lines)


def _citation_text(citation: Mapping[str, Any]) -> str:
    lines = [f"[{citation['n']}] {', '.join([citation['uri'], *_place(citation)])}"]
    lines += [f"    > {line}" for line in _quoted(citation)]
    if citation["aliases"]:
        lines.append(f"    also at {', '.join(citation['aliases'])}")
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
    place.append(f"modified {citation['modified_at'][:10]}")
    return [" ".join(part.split()) for part in place]


def _quoted(citation: Mapping[str, Any]) -> list[str]:
    return [line.strip() for line in citation["quote"].splitlines() if line.strip()]


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    route, timings = record["route"], record["timings_ms"]
    escalated = ", escalated from the SLM" if route["escalated"] else ""
    yield "model", f"{route['model']}{escalated}. {route['reason']}"
    yield "finish reason", record["finish_reason"]
    for role, used in record["usage"].items():
        yield (
            f"tokens, {role}",
            f"{used['prompt_tokens']} prompt ({used['cached_prompt_tokens']} cached), "
            f"{used['completion_tokens']} written",
        )
    for repair in record["repairs"]:
        yield "repair", repair
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
