"""An answer as Markdown, for the command line and for Dagster's run page."""

from collections.abc import Mapping, Sequence
from typing import Any

from rag_assets.answers.answer import Answer


def markdown(answer: Answer) -> str:
    """The answer, its citations, and what it cost."""
    return record_markdown(answer.to_record())


def record_markdown(record: Mapping[str, Any]) -> str:
    """Like ``markdown``, from the record that HTTP and the answers table carry."""
    parts = [f"**{escaped(record['question'])}**", record["answer"]]
    if record["citations"]:
        parts.append("\n".join(_citation(citation) for citation in record["citations"]))
    parts.append("\n".join(_facts(record)))
    return "\n\n".join(parts)


def _citation(citation: Mapping[str, Any]) -> str:
    place = [f"`{citation['uri']}`", escaped(" > ".join(_names(citation)))]
    if citation["page"] is not None:
        place.append(f"page {citation['page']}")
    place.append(f"characters {citation['char_start']}-{citation['char_end']}")
    place.append(f"modified {citation['modified_at'][:10]}")
    lines = [f"- [{citation['n']}] {', '.join(part for part in place if part)}"]
    lines += [f"  > {line}" for line in citation["quote"].splitlines() if line.strip()]
    if citation["aliases"]:
        lines.append(f"  also at {', '.join(f'`{uri}`' for uri in citation['aliases'])}")
    return "\n".join(lines)


def _names(citation: Mapping[str, Any]) -> list[str]:
    headings = list(citation["heading_path"])
    return headings if headings[:1] == [citation["title"]] else [citation["title"], *headings]


def _facts(record: Mapping[str, Any]) -> list[str]:
    route, timings = record["route"], record["timings_ms"]
    escalated = ", escalated from the SLM" if route["escalated"] else ""
    lines = [
        f"- model: {route['model']}{escalated}. {route['reason']}",
        f"- finish reason: {record['finish_reason']}",
    ]
    lines += [
        f"- tokens, {role}: {used['prompt_tokens']} prompt "
        f"({used['cached_prompt_tokens']} cached), {used['completion_tokens']} written"
        for role, used in record["usage"].items()
    ]
    lines += [f"- repair: {repair}" for repair in record["repairs"]]
    steps = ", ".join(f"{name} {timings[name]:.0f}" for name in timings)
    generation = record["generation"]
    lines.append(f"- time (ms): {steps}")
    lines.append(f"- generation: {generation['id']} of {generation['created_at']}")
    lines.append(f"- answer id: `{record['answer_id']}`")
    return lines


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
        question = _cell(row["question"])
        if row.get("error"):
            lines.append(f"| {number} | {question} | failed: {_cell(row['error'])} | | | | |")
            continue
        record = row["record"]
        outcome = "abstained" if record["abstained"] else _cell(record["answer"])
        seconds = record["timings_ms"]["total"] / 1000
        lines.append(
            f"| {number} | {question} | {outcome} | {record['route']['model']} | "
            f"{len(record['citations'])} | {record['finish_reason']} | {seconds:.1f} |"
        )
    return "\n".join(lines)


def _cell(text: str, limit: int = 120) -> str:
    flat = " ".join(text.split()).replace("|", "\\|")
    return flat if len(flat) <= limit else f"{flat[: limit - 1]}…"


def escaped(text: str) -> str:
    """The text with Markdown's emphasis characters made plain."""
    return "".join(f"\\{char}" if char in "*_`" else char for char in text)
