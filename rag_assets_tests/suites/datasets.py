"""Public data sets to measure with: read where they lie, sampled, written out as a source.

The data is third-party text and not part of the project; ``load`` is told its folder. Two forms:

``qa``
    ``documents.jsonl.gz`` (id, title, text, lang) and ``questions.jsonl.gz`` (id, question,
    answers, doc_ids, answerable, and what a set adds).
``retrieval``
    as BEIR: ``corpus.jsonl.gz`` (_id, title, text), ``queries.jsonl.gz`` (_id, text),
    ``qrels/test.tsv`` (query-id, corpus-id, score); SciFact adds ``claims.jsonl.gz``.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from rag_assets.errors import RagError
from rag_assets.evaluations.sampling import T

Form = Literal["qa", "retrieval"]
Kind = Literal["span", "label"]
Row = Mapping[str, object]


class DataError(RagError):
    """Evaluation data is not of the documented form, or not where it should be."""


class DataMissingError(DataError):
    """Evaluation data is not on this machine."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a data set, as its makers cut it: often one passage."""

    id: str
    title: str
    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its gold answers and the documents that hold them.

    ``answers`` are accepted spellings of one answer, none if it is unanswerable; of kind ``label``
    they are yes, no or maybe and stand in no document. A system is fooled if it gives one of
    ``false_answers``.
    """

    id: str
    text: str
    answers: tuple[str, ...]
    gold: tuple[str, ...]
    answerable: bool
    kind: Kind
    slices: Mapping[str, str]
    false_answers: tuple[str, ...] = ()
    parallel_id: str = ""  # the same in all languages of one question


@dataclass(frozen=True, slots=True)
class Judged:
    """A query with the gain of each judged document; 0 means judged and not relevant."""

    id: str
    text: str
    gains: Mapping[str, int]
    slices: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Dataset:
    """One data set; ``documents()`` reads them anew, one by one.

    ``queries`` leaves out those without any relevant document, for which no retrieval metric is
    defined.
    """

    name: str
    documents: Callable[[], Iterator[Document]]
    questions: tuple[Question, ...]
    queries: tuple[Judged, ...]
    licence: str
    language: str  # "mul" if there are several


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """Where a set lies and of which form it is; answers out of ``labels`` are no spans."""

    folder: str
    form: Form
    licence: str
    language: str = "en"
    labels: frozenset[str] = frozenset()
    has_claims: bool = False


_YES_NO = frozenset({"yes", "no"})
_UNSTATED = "none stated; a classic public test collection"
DATASETS: Mapping[str, DatasetSpec] = {
    "squad2": DatasetSpec("squad2-dev-half", "qa", "CC BY-SA 4.0"),
    "hotpotqa": DatasetSpec("hotpotqa-sample", "qa", "CC BY-SA 4.0", labels=_YES_NO),
    "2wiki": DatasetSpec("2wikimultihopqa-sample", "qa", "Apache-2.0", labels=_YES_NO),
    "musique": DatasetSpec("musique-sample", "qa", "CC BY 4.0"),
    "covid-qa": DatasetSpec("covid-qa", "qa", "Apache-2.0; articles under licences of their own"),
    "pubmedqa": DatasetSpec(
        "pubmedqa-labelled", "qa", "MIT; abstracts from PubMed", labels=_YES_NO | {"maybe"}
    ),
    "xquad": DatasetSpec("xquad", "qa", "CC BY-SA 4.0", language="mul"),
    "rgb": DatasetSpec(
        "rgb-conflicting", "qa", "CC BY-NC-SA 4.0: non-commercial, do not ship", language="mul"
    ),
    "scifact": DatasetSpec(
        "scifact", "retrieval", "claims CC BY 4.0, abstracts ODC-By 1.0", has_claims=True
    ),
    "cranfield": DatasetSpec("cranfield", "retrieval", _UNSTATED),
    "cisi": DatasetSpec("cisi", "retrieval", _UNSTATED),
    "dbpedia": DatasetSpec("dbpedia-entity-subset", "retrieval", "CC BY-SA"),
}

# What a question's row may say -> the slice of results that it belongs to.
_SLICES = {
    "hops": "hops", "type": "type", "lang": "language", "source_split": "split",
    "answerable": "answerable", "answer_in_gold_doc": "verbatim",
}  # fmt: skip


def load(name: str, folder: Path) -> Dataset:
    """The data set ``name`` (a key of ``DATASETS``) out of the folder that holds all of them.

    Raises:
        DataMissingError: a file is not there.
        DataError: no data set has that name, or a file is not of the form in the module's text.
    """
    spec = DATASETS.get(name)
    if spec is None:
        raise DataError(f"expected a data set out of {', '.join(DATASETS)}; got {name!r}")
    find = partial(_present, folder / spec.folder, name)
    questions: tuple[Question, ...] = ()
    judged: tuple[Judged, ...] = ()
    if spec.form == "qa":
        documents = partial(_read, find("documents.jsonl.gz"), _document)
        parse = partial(_question, labels=spec.labels)
        questions = tuple(_read(find("questions.jsonl.gz"), parse))
    else:
        documents = partial(_read, find("corpus.jsonl.gz"), _corpus_document)
        claims = find("claims.jsonl.gz") if spec.has_claims else None
        judged = _judged(find("queries.jsonl.gz"), find("qrels/test.tsv"), claims)
    queries = tuple(query for query in judged if any(gain > 0 for gain in query.gains.values()))
    return Dataset(
        name=name,
        documents=documents,
        questions=questions,
        queries=queries,
        licence=spec.licence,
        language=spec.language,
    )


def lines_of(home: Path, name: str, file: str, parse: Callable[[Row], T]) -> Iterator[T]:
    """The lines of a file of the data set ``name``, parsed, each with an id of its own.

    Raises:
        DataMissingError: the file is not there.
        DataError: it is not gzipped JSON lines, or ``parse`` raises a ValueError, KeyError or
            TypeError.
    """
    return _read(_present(home, name, file), parse)


def _present(home: Path, name: str, file: str) -> Path:
    path = home / file
    if not path.is_file():
        raise DataMissingError(
            f"data set {name}: expected the file {path}, and there is none. The data is not part "
            f"of the project: set RAG_EVAL_DATA to the folder in which {home.name}/ lies"
        )
    return path


def _read(path: Path, parse: Callable[[Row], T]) -> Iterator[T]:
    """Each line parsed; a malformed one, or an id that came before, ends it with file and line."""
    number = 0
    seen: set[str] = set()
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    item = parse(json.loads(line))
                    if item.id in seen:
                        raise ValueError(f"id {item.id!r} stands on an earlier line, too")
                except (ValueError, KeyError, TypeError) as error:
                    raise _malformed(path, number, error) from error
                seen.add(item.id)
                yield item
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: expected a whole gzip file of UTF-8 text, got {type(error).__name__} after "
            f"line {number}: {error}"
        ) from error


def _malformed(path: Path, number: int, error: Exception) -> DataError:
    what = f"{type(error).__name__}: {error}"
    return DataError(
        f"{path}, line {number}: expected the form that rag_assets_tests/suites/datasets.py "
        f"describes; got {what}"
    )


def _text(row: Row, key: str) -> str:
    value = row[key]
    if not isinstance(value, str):
        raise TypeError(f"{key!r} is {value!r}, not a string")
    return value


def _texts(row: Row, key: str) -> tuple[str, ...]:
    value = row[key]
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise TypeError(f"{key!r} is {value!r}, not a list of strings")
    return tuple(value)


def _document(row: Row) -> Document:
    return Document(_text(row, "id"), _text(row, "title"), _text(row, "text"), _text(row, "lang"))


def _corpus_document(row: Row) -> Document:
    return Document(_text(row, "_id"), _text(row, "title"), _text(row, "text"), "en")


def _question(row: Row, *, labels: frozenset[str]) -> Question:
    answers, answerable = _texts(row, "answers"), row["answerable"]
    if not isinstance(answerable, bool) or answerable != bool(answers):
        raise ValueError(f"'answerable' is {answerable!r}, with {len(answers)} answers")
    is_label = bool(answers) and labels.issuperset(answer.lower() for answer in answers)
    # What SQuAD 2.0 calls plausible answers its makers found tempting, and wrong.
    false = next((key for key in ("false_answers", "plausible_answers") if key in row), None)
    return Question(
        id=_text(row, "id"),
        text=_text(row, "question"),
        answers=answers,
        gold=_texts(row, "doc_ids"),
        answerable=answerable,
        kind="label" if is_label else "span",
        slices={_SLICES[key]: _slice(row[key]) for key in _SLICES if key in row},
        false_answers=_texts(row, false) if false else (),
        parallel_id=_text(row, "parallel_id") if "parallel_id" in row else "",
    )


def _slice(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


@dataclass(frozen=True, slots=True)
class _Query:
    id: str
    text: str
    slices: Mapping[str, str]


def _query(row: Row) -> _Query:
    metadata = row.get("metadata", {})
    if not isinstance(metadata, dict):
        raise TypeError(f"'metadata' is {metadata!r}, not an object")
    slices = {_SLICES[key]: _slice(metadata[key]) for key in _SLICES if key in metadata}
    return _Query(_text(row, "_id"), _text(row, "text"), slices)


def _claim(row: Row) -> _Query:
    evidence = row["evidence"]
    if not isinstance(evidence, list):
        raise TypeError(f"'evidence' is {evidence!r}, not a list")
    labels = {_text(entry, "label").lower() for entry in evidence}
    label = "mixed" if len(labels) > 1 else "".join(labels) or "none"
    return _Query(_text(row, "_id"), _text(row, "claim"), {"evidence": label})


def _judged(queries: Path, qrels: Path, claims: Path | None) -> tuple[Judged, ...]:
    known = list(_read(queries, _query))
    gains = _gains(qrels, {query.id for query in known})
    evidence = {} if claims is None else {c.id: c.slices for c in _read(claims, _claim)}
    return tuple(
        Judged(
            query.id, query.text, gains[query.id], {**query.slices, **evidence.get(query.id, {})}
        )
        for query in known
    )


def _gains(path: Path, queries: set[str]) -> Mapping[str, Mapping[str, int]]:
    gains: dict[str, dict[str, int]] = {query: {} for query in queries}
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if number == 1 and line.startswith("query-id\t"):
                continue
            try:
                query, document, gain = line.rstrip("\n").split("\t")
                if document in gains[query]:
                    raise ValueError(f"{document!r} is judged for {query!r} a second time")
                gains[query][document] = int(gain)
            except (ValueError, KeyError) as error:
                raise _malformed(path, number, error) from error
    return gains


_MARK = ".evaluation-corpus"  # hidden: a folder source does not list it
_GUARD = "\u200b"  # zero-width space: parts what looks like markup; the reader takes it out
_RULE = re.compile(r"[=\-~]{3,}")
_MAX_NAME = 200  # bytes; file systems take 255, and the ending and a temporary name need some


@dataclass(frozen=True, slots=True)
class Written:
    """What ``write_corpus`` did, in files."""

    written: int
    unchanged: int
    deleted: int


def write_corpus(documents: Iterable[Document], folder: Path) -> Written:
    """Make ``folder`` an ordinary folder source that holds these documents and no others.

    Only files whose content differs are written, so a refresh sees exactly what changed.

    Raises:
        DataError: the folder holds something that this function did not write (it would be
            deleted), or two documents have one id.
    """
    mark = folder / _MARK
    if not mark.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise DataError(
                f"{folder}: expected an empty folder or a corpus written before, got other files, "
                "which would be deleted; name another folder"
            )
        folder.mkdir(parents=True, exist_ok=True)
        mark.touch()
    wanted: set[Path] = set()
    n_written = 0
    for document in documents:
        path = folder / document_path(document.id)
        if path in wanted:
            raise DataError(f"expected documents with ids of their own, got {document.id!r} twice")
        wanted.add(path)
        data = _as_file(document)
        if not path.is_file() or path.read_bytes() != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            n_written += 1
    stale = [path for path in folder.rglob("*.txt") if path.is_file() and path not in wanted]
    for path in stale:
        path.unlink()
        _remove_empty(path.parent, folder)
    return Written(n_written, len(wanted) - n_written, len(stale))


def _remove_empty(folder: Path, top: Path) -> None:
    while folder != top and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent


def document_path(document_id: str) -> str:
    """Path of a document's file below the corpus folder.

    The id is percent-encoded, its dots too: names are then neither hidden nor ``..``. One that is
    too long for a file name goes on in a folder.

    Raises:
        ValueError: the id is empty.
    """
    if not document_id:
        raise ValueError("expected a document id, got an empty string")
    name = quote(document_id, safe="").replace(".", "%2E")
    parts = [name[start : start + _MAX_NAME] for start in range(0, len(name), _MAX_NAME)]
    return "/".join(parts) + ".txt"


def _as_file(document: Document) -> bytes:
    """Plain text that the reader turns back into this title and this text.

    Guards keep a line of dashes from making the line above it a heading, and a beginning such as
    ``<body>`` or ``%PDF`` from choosing another reader.
    """
    lines = _readable(document.text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    lines = [f"{_GUARD}{line}" if _RULE.fullmatch(line.strip()) else line for line in lines]
    title = " ".join(_readable(document.title).split())
    whole = "\n".join([title, "=====", "", *lines] if title else lines)
    if whole.lstrip()[:1] in ("<", "%"):
        whole = _GUARD + whole
    return (whole.rstrip() + "\n").encode("utf-8", "replace")


def _readable(text: str) -> str:
    # A NUL makes a file binary, a byte order mark in front is not text: neither can be read back.
    return re.sub("[\x00\ufeff]", "", text)
