import re
from collections import Counter
from importlib.resources import files

from rag_assets.evaluations import calibration_set
from rag_assets.evaluations.calibration_set import (
    CalibrationQuestion,
    calibration_questions,
    calibration_texts,
)
from rag_assets.evaluations.facts import folded, holds

QUESTIONS = calibration_questions()
TEXTS = calibration_texts()
DOMAINS = sorted({question.domain for question in QUESTIONS})
FORMS = {
    "lookup": {"plain", "paraphrased", "table", "yes/no"},
    "unanswerable": {"attribute", "entity", "time", "condition", "role", "negation"},
    "multi": {"comparison", "difference", "sum", "bridge"},
}
DIGITS = {
    "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "seven": "7", "eight": "8",
    "eleven": "11", "eighteen": "18",
}  # fmt: skip


def in_digits(text: str) -> str:
    return re.sub(r"\w+", lambda word: DIGITS.get(word.group(), word.group()), text)


def of_kind(kind: str) -> list[CalibrationQuestion]:
    return [question for question in QUESTIONS if question.kind == kind]


def test_fields_are_filled() -> None:
    for question in QUESTIONS:
        assert question.form in FORMS[question.kind], question.id
        assert question.id.startswith(question.domain.replace(" ", "-")), question.id
        assert question.question.endswith("?"), question.id
        assert question.answerable == bool(question.answers), question.id
        assert all(answer == answer.strip() != "" for answer in question.answers), question.id
        assert len(set(question.answers)) == len(question.answers), question.id
        assert question.document == question.documents[0], question.id
        assert question.passage == question.passages[0], question.id


def test_passages_stand_in_their_documents() -> None:
    for question in QUESTIONS:
        for document, passage in zip(question.documents, question.passages, strict=True):
            assert passage == passage.strip() != "", question.id
            assert passage in TEXTS[document], question.id


def test_answers_of_a_lookup_stand_in_its_passage() -> None:
    for question in of_kind("lookup"):
        if question.form == "yes/no":
            assert question.answers in (("yes",), ("no",)), question.id
            continue
        assert holds(question.passage, question.answers[0]), question.id
        passage = question.passage.lower()
        for answer in question.answers:
            assert answer.lower() in passage or answer in in_digits(passage), question.id


def test_only_multi_needs_several_passages() -> None:
    for question in QUESTIONS:
        assert (len(set(question.passages)) >= 2) == (question.kind == "multi"), question.id


def test_nothing_is_asked_twice() -> None:
    assert len({question.id for question in QUESTIONS}) == len(QUESTIONS)
    assert len({folded(question.question) for question in QUESTIONS}) == len(QUESTIONS)


def test_there_are_enough_of_each_kind() -> None:
    counts = Counter(question.kind for question in QUESTIONS)
    assert counts.total() >= 240
    assert counts["lookup"] >= 120
    assert counts["unanswerable"] >= 100
    assert counts["multi"] >= 20
    assert 3 * sum(question.form == "paraphrased" for question in QUESTIONS) >= counts["lookup"]
    assert len(DOMAINS) >= 10


def test_each_document_is_asked_with_and_without_an_answer() -> None:
    for kind in ("lookup", "unanswerable"):
        asked = Counter(question.document for question in of_kind(kind))
        assert {name for name in TEXTS if asked[name] < 2} == set(), kind


def test_documents_are_short_and_have_headings() -> None:
    assert len(TEXTS) >= 40
    for name, text in TEXTS.items():
        assert 250 <= len(text.split()) <= 600, name
        assert text.startswith("# "), name
        assert text.count("\n## ") >= 2, name
    titles = {text.partition("\n")[0] for text in TEXTS.values()}
    assert len(titles) == len(TEXTS)


def counts_of(questions: list[CalibrationQuestion]) -> list[str]:
    documents = {question.document for question in questions if question.kind != "multi"}
    kinds = Counter(question.kind for question in questions)
    counts = [len(documents), *(kinds[kind] for kind in FORMS), len(questions)]
    return [str(count) for count in counts]


def test_the_readme_counts_what_is_there() -> None:
    readme = files(calibration_set).joinpath("README.md").read_text("utf-8")
    rows = [row.strip("| ").split(" | ") for row in readme.splitlines() if row.startswith("|")]
    told = {row[0]: row[1:] for row in rows}
    for domain in DOMAINS:
        assert told[domain] == counts_of([q for q in QUESTIONS if q.domain == domain]), domain
    assert told["**all**"] == counts_of(list(QUESTIONS))
    for kind, forms in FORMS.items():
        found = Counter(question.form for question in of_kind(kind))
        assert {(form, str(found[form])) for form in forms} == {
            tuple(re.sub(r" \(.*?\)", "", part).rsplit(" ", 1))
            for part in told[kind][0].split(", ")
        }
