import gzip
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rag_assets.documents.cleaning import clean_text
from rag_assets.documents.reading import read_document
from rag_assets_tests.evaluation_data import evaluation_data
from rag_assets_tests.suites.datasets import (
    DATASETS,
    DataError,
    DataMissingError,
    Document,
    Judged,
    Question,
    Written,
    document_path,
    load,
    write_corpus,
)

DOCUMENT = {"id": "d1", "title": "Alder", "text": "Built in 1994.", "lang": "en"}
QUESTION = {
    "id": "q1", "question": "When?", "answers": ["1994"], "doc_ids": ["d1"], "answerable": True,
    "hops": 1, "lang": "en", "answer_in_gold_doc": True,
}  # fmt: skip
PASSAGE = {"_id": "p1", "title": "", "text": "Wings."}
QUERY = {"_id": "1", "text": "lift"}


def write_lines(path: Path, rows: Sequence[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


def given_qa(folder: Path, name: str, *questions: object, documents: Sequence[object] = ()) -> None:
    home = folder / DATASETS[name].folder
    write_lines(home / "documents.jsonl.gz", documents or [DOCUMENT])
    write_lines(home / "questions.jsonl.gz", questions)


def given_retrieval(
    folder: Path, name: str, *queries: object, qrels: str, claims: Sequence[object] = ()
) -> None:
    home = folder / DATASETS[name].folder
    write_lines(home / "corpus.jsonl.gz", [PASSAGE, {**PASSAGE, "_id": "p2"}])
    write_lines(home / "queries.jsonl.gz", queries)
    if claims:
        write_lines(home / "claims.jsonl.gz", claims)
    (home / "qrels").mkdir()
    (home / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{qrels}")


def test_questions_with_their_slices(tmp_path: Path) -> None:
    tempting = {
        **QUESTION, "id": "q2", "answers": [], "answerable": False, "plausible_answers": ["1995"],
    }  # fmt: skip
    given_qa(tmp_path, "squad2", QUESTION, tempting)
    dataset = load("squad2", tmp_path)
    slices = {"hops": "1", "language": "en", "answerable": "yes", "verbatim": "yes"}
    assert dataset.questions == (
        Question("q1", "When?", ("1994",), ("d1",), True, "span", slices),
        Question(
            "q2", "When?", (), ("d1",), False, "span", {**slices, "answerable": "no"},
            false_answers=("1995",),
        ),
    )  # fmt: skip
    assert list(dataset.documents()) == [Document("d1", "Alder", "Built in 1994.", "en")]
    assert list(dataset.documents()) == list(dataset.documents()), "each call reads anew"
    assert (dataset.language, dataset.licence, dataset.queries) == ("en", "CC BY-SA 4.0", ())


def test_contradictions_and_parallel_questions(tmp_path: Path) -> None:
    row = {
        **QUESTION, "false_answers": ["1990"], "contradicting_ids": ["d9"], "lang": "zh",
        "parallel_id": "p",
    }  # fmt: skip
    given_qa(tmp_path, "rgb", row)
    dataset = load("rgb", tmp_path)
    (question,) = dataset.questions
    assert question.false_answers == ("1990",)
    assert (question.parallel_id, question.slices["language"]) == ("p", "zh")
    assert dataset.language == "mul"


@pytest.mark.parametrize(
    ("name", "answer", "kind"),
    [
        ("hotpotqa", "yes", "label"),
        ("hotpotqa", "No", "label"),
        ("hotpotqa", "maybe", "span"),
        ("2wiki", "yes", "label"),
        ("pubmedqa", "maybe", "label"),
        ("squad2", "no", "span"),  # there it is quoted from the passage
    ],
)
def test_kind(tmp_path: Path, name: str, answer: str, kind: str) -> None:
    row = {**QUESTION, "answers": [answer], "type": "comparison", "source_split": "dev"}
    given_qa(tmp_path, name, row)
    (question,) = load(name, tmp_path).questions
    assert question.kind == kind
    assert (question.slices["type"], question.slices["split"]) == ("comparison", "dev")


def test_queries_without_a_relevant_document_are_left_out(tmp_path: Path) -> None:
    queries = [QUERY, {**QUERY, "_id": "2"}, {**QUERY, "_id": "3"}]
    given_retrieval(tmp_path, "cranfield", *queries, qrels="1\tp1\t3\n1\tp2\t0\n2\tp1\t0\n")
    dataset = load("cranfield", tmp_path)
    assert dataset.queries == (Judged("1", "lift", {"p1": 3, "p2": 0}, {}),)
    assert [d.id for d in dataset.documents()] == ["p1", "p2"]


def test_claims_give_slices(tmp_path: Path) -> None:
    def claim(claim_id: str, *labels: str) -> dict[str, object]:
        evidence = [{"doc_id": "p1", "label": label, "sentences": [1]} for label in labels]
        return {"_id": claim_id, "claim": "x", "evidence": evidence}

    ids = ["1", "2", "3"]
    queries = [{**QUERY, "_id": i, "metadata": {"source_split": "train"}} for i in ids]
    claims = [claim("1", "SUPPORT", "SUPPORT"), claim("2"), claim("3", "SUPPORT", "CONTRADICT")]
    qrels = "".join(f"{i}\tp1\t1\n" for i in ids)
    given_retrieval(tmp_path, "scifact", *queries, qrels=qrels, claims=claims)
    slices = [query.slices for query in load("scifact", tmp_path).queries]
    assert slices == [
        {"split": "train", "evidence": e} for e in ("support", "none", "mixed")
    ]  # fmt: skip


@pytest.mark.parametrize("name", DATASETS)
def test_absent_data_says_what_to_do(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataMissingError, match=r"expected the file .*not part.*RAG_EVAL_DATA"):
        load(name, tmp_path / "absent")


def test_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a data set out of squad2, .*; got 'squad'"):
        load("squad", tmp_path)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("not JSON", "JSONDecodeError"),
        ("[]", "TypeError"),
        ({k: v for k, v in QUESTION.items() if k != "question"}, "KeyError: 'question'"),
        ({**QUESTION, "id": 7}, "'id' is 7"),
        ({**QUESTION, "id": "q2", "answers": "1994"}, "'answers' is '1994'"),
        ({**QUESTION, "id": "q2", "doc_ids": [1]}, "not a list of strings"),
        ({**QUESTION, "id": "q2", "answerable": False}, "'answerable' is False, with 1 answers"),
        (QUESTION, "earlier line"),
    ],
)
def test_malformed_question_is_named(tmp_path: Path, row: object, what: str) -> None:
    given_qa(tmp_path, "squad2", QUESTION, row)
    with pytest.raises(DataError, match=r"questions\.jsonl\.gz, line 2: expected") as caught:
        load("squad2", tmp_path)
    assert what in str(caught.value)


@pytest.mark.parametrize("line", ["1\tp1", "1\tp1\thigh", "9\tp1\t1", "1\tp1\t2"])
def test_malformed_judgement_is_named(tmp_path: Path, line: str) -> None:
    given_retrieval(tmp_path, "cisi", QUERY, qrels=f"1\tp1\t1\n{line}\n")
    with pytest.raises(DataError, match=r"test\.tsv, line 3: expected"):
        load("cisi", tmp_path)


@pytest.mark.parametrize(
    ("file", "row"),
    [
        ("queries", {**QUERY, "metadata": 1}),
        ("claims", {"_id": "1", "claim": "x", "evidence": {}}),
    ],
)
def test_malformed_extras_are_named(tmp_path: Path, file: str, row: object) -> None:
    claims = [{"_id": "1", "claim": "x", "evidence": []}]
    given_retrieval(tmp_path, "scifact", QUERY, qrels="1\tp1\t1\n", claims=claims)
    write_lines(tmp_path / "scifact" / f"{file}.jsonl.gz", [row])
    with pytest.raises(DataError, match=rf"{file}\.jsonl\.gz, line 1: expected"):
        load("scifact", tmp_path)


def test_malformed_document_is_named_when_it_is_reached(tmp_path: Path) -> None:
    given_qa(
        tmp_path, "squad2", QUESTION, documents=[DOCUMENT, {**DOCUMENT, "id": "d2", "text": 1}]
    )
    documents = load("squad2", tmp_path).documents()
    assert next(documents).id == "d1"
    with pytest.raises(DataError, match=r"documents\.jsonl\.gz, line 2: expected"):
        next(documents)


BROKEN = [b"plain", gzip.compress(b"x" * 99, mtime=0)[:-9], gzip.compress(b"\xff", mtime=0)]


@pytest.mark.parametrize("data", BROKEN, ids=["plain", "cut", "not-utf8"])
def test_broken_file_is_named(tmp_path: Path, data: bytes) -> None:
    given_qa(tmp_path, "squad2", QUESTION)
    (tmp_path / "squad2-dev-half" / "questions.jsonl.gz").write_bytes(data)
    with pytest.raises(DataError, match=r"questions\.jsonl\.gz: expected a whole gzip file"):
        load("squad2", tmp_path)


def documents(ids: Sequence[str], language: str = "en") -> list[Document]:
    return [Document(i, "", "text", language) for i in ids]


# --- corpora


@given(st.text(min_size=1))
@example("<dbpedia:Oceanic_Airlines>")
@example("..")
@example("a/b\\c.txt")
@example("é" * 300)
@example("x" * 196 + ".txt")
def test_paths_are_names_that_any_disk_takes(document_id: str) -> None:
    path = document_path(document_id)
    assert path.isascii()
    for part in path.split("/"):
        assert len(part) <= 204
        assert not part.startswith(".")


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_two_ids_share_a_path(a: str, b: str) -> None:
    # nor is one's file the other's folder, or both would not go on one disk
    first, second = document_path(a), document_path(b)
    assert (first == second) == (a == b)
    assert not second.startswith(f"{first}/")


def test_an_empty_id_has_no_path() -> None:
    with pytest.raises(ValueError, match="empty"):
        document_path("")


def squeezed(text: str) -> str:
    """As the reader cleans it, with every gap one space."""
    return " ".join(clean_text(text)[0].split())


def read_back(folder: Path, document: Document) -> tuple[str, str]:
    write_corpus([document], folder)
    name = document_path(document.id)
    read = read_document((folder / name).read_bytes(), name)
    return read.title, " ".join(read.text.split())


lines = st.lists(
    st.sampled_from(
        ["", "A heading", "=====", "---", "~~~~", " --- ", "CAPITALS", "<html>", "<body class=x>",
         "%PDF-1.7", "# hash", "x\r---", "\x00", "\ufeff", "\u200b", "\v---", "a - b", "\xad", "é"]
    )
    | st.text(st.characters(exclude_categories=["Cc", "Cs"])),  # full of controls it is binary
    max_size=8,
).map("\n".join)  # fmt: skip


@given(lines, lines)
@example("", "<!DOCTYPE html>\n<html><body>seen</body></html>")
@example("", "%PDF-1.4 explained")
@example("%PDF", "text")
@example("", "First line\n=====\nsecond line")
@example("Title", "First line\n---\n\nOVERVIEW\nof it")
def test_text_survives_the_reader(
    tmp_path_factory: pytest.TempPathFactory, title: str, text: str
) -> None:
    text = f"{text}\nend of text"  # a document of no words is rejected, rightly
    _, read = read_back(tmp_path_factory.mktemp("corpus"), Document("d", title, text, "en"))
    # A byte order mark or a NUL is dropped before accents are joined, so here, too.
    assert squeezed(text.replace("\x00", "").replace("\ufeff", "")) in read


@pytest.mark.parametrize(
    ("title", "expected"),
    [("Alder", "Alder"), ("Two\nlines ", "Two lines"), ("A: <b>", "A: <b>"), ("", "body of it")],
)
def test_title_is_read_back(tmp_path: Path, title: str, expected: str) -> None:
    read_title, text = read_back(tmp_path, Document("d", title, "body of it\nmore", "en"))
    assert read_title == expected
    assert text == f"{expected} body of it more".removeprefix("body of it " if not title else "")


def test_only_what_differs_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    long = "x" * 300
    first = [*documents(["a", "b"]), Document(long, "", "text", "en")]
    assert write_corpus(first, folder) == Written(3, 0, 0)
    os.utime(folder / "a.txt", ns=(1, 1))
    changed = [Document("a", "", "text", "en"), Document("b", "New", "text", "en")]
    assert write_corpus(iter(changed), folder) == Written(1, 1, 1)
    assert (folder / "a.txt").stat().st_mtime_ns == 1
    assert sorted(p.name for p in folder.iterdir() if not p.name.startswith(".")) == [
        "a.txt", "b.txt",
    ]  # fmt: skip
    assert write_corpus([], folder) == Written(0, 0, 2)


def test_files_of_others_are_safe(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="other files, which would be deleted"):
        write_corpus(documents(["a"]), tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_two_documents_with_one_id(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'a' twice"):
        write_corpus(documents(["a", "a"]), tmp_path)


# --- the data itself

DATA = evaluation_data()
COUNTS = {  # documents, questions, unanswerable, labels, queries, judgements: data/README.md
    "squad2": (1216, 3551, 1853, 0, 0, 0),
    "hotpotqa": (2960, 176, 0, 16, 0, 0),
    "2wiki": (7005, 101, 0, 7, 0, 0),
    "musique": (5021, 186, 0, 0, 0, 0),
    "covid-qa": (96, 959, 0, 0, 0, 0),
    "pubmedqa": (1000, 612, 0, 612, 0, 0),
    "xquad": (2880, 8916, 0, 0, 0, 0),
    "rgb": (2750, 123, 0, 0, 0, 0),
    "scifact": (5183, 0, 0, 0, 664, 756),
    "cranfield": (1398, 0, 0, 0, 137, 1104),
    "cisi": (1460, 0, 0, 0, 48, 1790),
    "dbpedia": (5000, 0, 0, 0, 24, 2279),
}


@pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no evaluation data at {DATA}; RAG_EVAL_DATA names another folder"
)
@pytest.mark.parametrize("name", DATASETS)
def test_real_data(name: str) -> None:
    dataset = load(name, DATA)
    known = {document.id for document in dataset.documents()}
    questions = dataset.questions
    assert (
        len(known),
        len(questions),
        sum(not question.answerable for question in questions),
        sum(question.kind == "label" for question in questions),
        len(dataset.queries),
        sum(len(query.gains) for query in dataset.queries),
    ) == COUNTS[name]
    for question in questions:
        assert known.issuperset(question.gold)
    for query in dataset.queries:
        assert known.issuperset(query.gains)
    for item in (*questions, *dataset.queries):
        assert all(isinstance(value, str) for value in item.slices.values())
