"""Deep mode: map over documents, reduce to an answer."""

from rag_assets.answers.deep import Synthesis, marked_passages, synthesise
from rag_assets.answers.policy import DeepBudget
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets_tests.answers.fakes import Call, ScriptedChat, always
from rag_assets_tests.answers.world import FERRIES, Doc, chunks_of


def passages_of(*docs: Doc) -> list[Passage]:
    return [
        Passage(pieces_of([chunk]), frozenset({chunk.chunk_id}), 1.0, 0.5, whole=True)
        for doc in docs
        for chunk in chunks_of(doc)
    ]


def test_copied_lines_become_pieces_of_the_document() -> None:
    (marked,) = marked_passages(
        "MV Tern was built in 2003 by Solvik Marine", passages_of(FERRIES[1])
    )
    assert marked.text == "MV Tern was built in 2003 by Solvik Marine."
    assert not marked.whole
    piece = marked.pieces[0]
    assert FERRIES[1].text[piece.char_start : piece.char_end] == piece.text


def test_nothing_copied_marks_nothing() -> None:
    for copied in ("NONE", "none.", "", "The captain is called Berg."):
        assert marked_passages(copied, passages_of(FERRIES[1])) == ()


def reads(call: Call) -> str:
    """Marks the sentence on building in each ship's page, nothing elsewhere."""
    lines = [line for line in call.evidence.splitlines() if "was built" in line]
    return "\n".join(lines).split(". ")[0] if lines else "NONE"


def run(
    docs: tuple[Doc, ...], slm: ScriptedChat, budget: DeepBudget | None = None
) -> tuple[Synthesis, ScriptedChat]:
    llm = ScriptedChat("llm", always("MV Alder was built in 1994 [1]."))
    made = synthesise(
        "When were the ships built?", passages_of(*docs), slm, llm, budget or DeepBudget(),
        timeout_s=5,
    )  # fmt: skip
    return made, llm


def test_the_llm_reads_what_the_slm_marked() -> None:
    slm = ScriptedChat("slm", reads)
    made, llm = run(FERRIES, slm)
    assert len(slm.calls) == 3
    assert [p.head.uri for p in made.packed.passages] == ["fleet:alder.html", "fleet:tern.html"]
    assert "Passengers" not in llm.calls[0].evidence
    assert "2003" in llm.calls[0].evidence
    assert len(made.map_calls) == 3
    assert made.notes == ()


def test_nothing_marked_falls_back_to_the_best_sections() -> None:
    made, llm = run(FERRIES, ScriptedChat("slm", always("NONE")))
    assert "Passengers 320" in llm.calls[0].evidence
    assert "marked nothing" in made.notes[0]


def test_one_document_needs_no_map() -> None:
    slm = ScriptedChat("slm", reads)
    made, _ = run(FERRIES[:1], slm)
    assert slm.calls == []
    assert made.map_calls == ()


def test_no_more_documents_than_the_budget_says() -> None:
    slm = ScriptedChat("slm", reads)
    run(FERRIES, slm, DeepBudget(documents=2))
    assert len(slm.calls) == 2
