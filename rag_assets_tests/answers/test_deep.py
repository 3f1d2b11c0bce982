"""Deep mode: map over documents, reduce to an answer."""

from rag_assets.answers.answer import Answer
from rag_assets.answers.answerer import NOTHING_MARKED, Answerer
from rag_assets.answers.deep import marked_passages, read_documents
from rag_assets.answers.policy import DeepBudget
from rag_assets.index.search import IndexReader
from rag_assets.models.protocols import Completion
from rag_assets.retrieval.passages import Passage, pieces_of
from rag_assets_tests.answers.fakes import Call, Reply, ScriptedChat, WordEmbedder, always, said
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
) -> tuple[list[Passage], list[Completion]]:
    asked = "When were the ships built?"
    found = read_documents(asked, passages_of(*docs), slm, budget or DeepBudget(), timeout_s=5)
    return found[0], found[1]


def test_the_slm_marks_sentences_of_each_document() -> None:
    slm = ScriptedChat("slm", reads)
    marked, calls = run(FERRIES, slm)
    assert len(slm.calls) == len(calls) == 3
    assert [p.head.uri for p in marked] == ["fleet:alder.html", "fleet:tern.html"]
    assert "Passengers" not in "".join(p.text for p in marked)
    assert "2003" in marked[1].text


def test_one_document_needs_no_map() -> None:
    slm = ScriptedChat("slm", reads)
    assert run(FERRIES[:1], slm) == ([], [])
    assert slm.calls == []


def test_no_more_documents_than_the_budget_says() -> None:
    slm = ScriptedChat("slm", reads)
    run(FERRIES, slm, DeepBudget(documents=2))
    assert len(slm.calls) == 2


def deep(reader: IndexReader, slm: Reply) -> tuple[Answer, ScriptedChat]:
    llm = ScriptedChat("llm", always("MV Alder was built in 1994 [1]."))
    asked = Answerer(reader, ScriptedChat("slm", slm), llm, WordEmbedder())
    return asked.answer("When were MV Alder and MV Tern built?", mode="deep"), llm


def test_the_llm_reads_what_the_slm_marked(ferries: IndexReader) -> None:
    got, llm = deep(ferries, reads)
    assert "Passengers" not in llm.calls[0].evidence
    assert "2003" in llm.calls[0].evidence
    assert list(got.usage) == ["slm", "llm"]
    assert NOTHING_MARKED not in got.repairs
    assert llm.calls[0].max_tokens == DeepBudget().reduce.answer


def test_nothing_marked_falls_back_to_the_best_sections(ferries: IndexReader) -> None:
    got, llm = deep(ferries, always("NONE"))
    assert "Passengers" in llm.calls[0].evidence
    assert got.repairs[0] == NOTHING_MARKED


def test_a_map_that_is_cut_goes_on_or_says_so(ferries: IndexReader) -> None:
    def cut(call: Call) -> Completion:
        return said("MV Tern was built in 2003 by", finish_reason="length")

    def once(call: Call) -> Completion | str:
        return " Solvik Marine." if call.prefix else cut(call)

    got, _ = deep(ferries, cut)
    assert "what was copied of 'MV Tern' was cut: there may be more in it" in got.repairs
    got, llm = deep(ferries, once)
    assert "2003" in llm.calls[0].evidence
    assert not any("there may be more" in note for note in got.repairs)
