"""Answers as Markdown."""

from dataclasses import replace
from typing import get_args

import pytest

from rag_assets.answers.answer import Answer, AnswerStep
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.rendering import markdown, record_markdown, record_text, summary_table
from rag_assets.answers.routing import Way
from rag_assets.index.search import IndexReader
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder, copies


def ask(reader: IndexReader, question: str = "When was MV Tern built?") -> Answer:
    asked = Answerer(
        reader, ScriptedChat("slm", copies), ScriptedChat("llm", copies), WordEmbedder()
    )
    return asked.answer(question)


def test_everything_a_reader_asks_for_is_there(ferries: IndexReader) -> None:
    answer = ask(ferries)
    text = markdown(answer)
    for words in (
        "**When was MV Tern built?**",
        "MV Tern was built in 2003 by Solvik Marine [1].",
        "- [1] `fleet:tern.html`, MV Tern > History, characters",
        "modified 2024-05-01",
        "  > MV Tern was built in 2003",
        "also at `fleet:old/tern.html`",
        "- model: llm, read. A look-up",
        "- finish reason: stop",
        "- tokens, llm: ",
        "- thresholds: uncalibrated",
        "- time (ms): embed ",
        f"- generation: {answer.generation_id}",
    ):
        assert words in text, text
    assert record_markdown(answer.to_record()) == text


def test_escalation_and_repairs_are_shown(ferries: IndexReader) -> None:
    answer = ask(ferries)
    escalated = replace(answer.route, way="written", escalated=True)
    shown = replace(answer, repairs=("continued",), route=escalated)
    text = markdown(shown)
    assert "llm, written, after another way. A look-up" in text
    assert "- repair: continued" in text


def test_the_steps_of_a_question_taken_apart_are_shown(ferries: IndexReader) -> None:
    steps = (
        AnswerStep("Which *vessel* serves Route 2?", "MV Rowan"),
        AnswerStep("How many cars does MV Rowan carry?", ""),
    )
    answer = replace(ask(ferries), steps=steps)
    for shown in (
        "- step: Which \\*vessel\\* serves Route 2? MV Rowan\n",
        "- step: How many cars does MV Rowan carry? not found\n",
    ):
        assert shown in markdown(answer)
    text = record_text(answer.to_record())
    assert "\nstep: Which *vessel* serves Route 2? MV Rowan\n" in text
    assert "step" not in record_text(ask(ferries).to_record())


@pytest.mark.parametrize("way", get_args(Way))
def test_every_way_has_its_words(ferries: IndexReader, way: Way) -> None:
    answer = ask(ferries)
    shown = record_text(replace(answer, route=replace(answer.route, way=way)).to_record())
    assert "model: llm, " in shown


def test_an_abstention_has_no_list_of_citations(ferries: IndexReader) -> None:
    assert "- [1]" not in markdown(ask(ferries, "Quantum chromodynamics lattice gauge?"))


def test_summary_has_a_line_a_question(ferries: IndexReader) -> None:
    rows = [
        {"question": "When | was it?", "error": "", "record": ask(ferries).to_record()},
        {"question": "x" * 300, "error": "the question is empty", "record": None},
        {"question": "Q?", "record": ask(ferries, "Quantum lattice gauge?").to_record()},
    ]
    lines = summary_table(rows).splitlines()
    assert len(lines) == 5
    assert "When \\| was it?" in lines[2]
    assert "failed: the question is empty" in lines[3]
    assert "…" in lines[3]
    assert "| abstained |" in lines[4]


def test_text_of_documents_is_shown_as_it_is(ferries: IndexReader) -> None:
    record = ask(ferries).to_record()
    ugly = "<name> [/b] __x__ *y*"
    (citation, *_) = record["citations"]
    citation["quote"] = citation["title"] = ugly
    citation["heading_path"] = ["# Setup"]
    citation["uri"] = "docs:a`b.md"
    record["answer"] = f"{ugly}\n# one [1]."
    text = record_markdown(record)
    escaped = "\\<name> \\[/b] \\_\\_x\\_\\_ \\*y\\*"
    assert f"{escaped}\\\n\\# one [1]." in text
    assert f"- [1] ``docs:a`b.md``, {escaped} > # Setup, characters" in text
    assert f"  > {escaped}" in text


def test_a_terminal_gets_plain_text(ferries: IndexReader) -> None:
    record = ask(ferries).to_record()
    record["answer"] = "<name> [/b] __x__ " * 40
    record["citations"][0]["quote"] = "*" * 300
    text = record_text(record)
    assert text.startswith(record["answer"])
    for words in (
        "[1] fleet:tern.html, MV Tern > History, characters",
        f"    > {'*' * 300}",
        "    also at fleet:old/tern.html",
        "model: llm, read. A look-up",
        f"answer id: {record['answer_id']}",
    ):
        assert words in text, text


def test_an_older_version_is_named_as_superseded(ferries: IndexReader) -> None:
    answer = ask(ferries)
    (cited,) = answer.citations
    newer = replace(cited, superseded_by="fleet:tern-2.html", superseded_by_title="MV Tern,\n2024")
    older = replace(answer, citations=(newer,))
    assert "\n  superseded by `fleet:tern-2.html` (MV Tern, 2024)" in markdown(older)
    assert "superseded by fleet:tern-2.html (MV Tern, 2024)" in record_text(older.to_record())
    assert "superseded" not in markdown(answer)
