"""Answers as Markdown."""

from dataclasses import replace

from rag_assets.answers.answer import Answer
from rag_assets.answers.answerer import Answerer
from rag_assets.answers.rendering import markdown, record_markdown, summary_table
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
        "- model: slm. A look-up",
        "- finish reason: stop",
        "- tokens, slm: ",
        "- time (ms): embed ",
        f"- generation: {answer.generation_id}",
    ):
        assert words in text, text
    assert record_markdown(answer.to_record()) == text


def test_escalation_and_repairs_are_shown(ferries: IndexReader) -> None:
    answer = ask(ferries)
    shown = replace(
        answer, repairs=("continued",), route=answer.route.with_escalation("The SLM was unsure.")
    )
    text = markdown(shown)
    assert "llm, escalated from the SLM. A look-up" in text
    assert "- repair: continued" in text


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
