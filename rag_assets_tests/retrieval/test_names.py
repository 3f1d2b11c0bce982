"""Names of a question that no document holds."""

import pytest
from lancedb.table import Table

from rag_assets.index import search
from rag_assets.index.search import IndexReader
from rag_assets.lake.store import LakeStore
from rag_assets.retrieval.names import Name, telling, unknown_names, written_names
from rag_assets_tests.answers.fakes import WordEmbedder
from rag_assets_tests.answers.world import FERRIES, Doc, reader_of

ROUTE = Doc(
    "docs:route.md",
    "The Norrick to Fell crossing",
    (
        (
            "Crossing",
            "The Norrick to Fell crossing is 14 nautical miles long and takes 75 minutes. "
            "The fuel tank of the boat on this crossing holds 3,200 litres.",
        ),
    ),
)
GATE = Doc("docs:gate.md", "The gate of Alder", (("Gate", "The Alder gate opens at dawn."),))
BIRDS = Doc(
    "docs:birds.md", "Birds", (("Birds", "A heron stands in Möwenstein. Take kit HX-200."),)
)
JUNIPER = Doc("fleet:juniper.md", "MV Juniper", (("Crew", "Åsa Lindström is her master."),))


@pytest.fixture
def reader(store: LakeStore, embedder: WordEmbedder) -> IndexReader:
    return reader_of(store, [*FERRIES, ROUTE, GATE, BIRDS, JUNIPER], embedder)


@pytest.mark.parametrize(
    ("question", "unknown"),
    [
        ("How long is the crossing from Norrick to Hallam?", ["Hallam"]),
        ("When does the Zephyr gate open?", ["Zephyr"]),
        ("Who is the captain of MV Heron?", ["MV Heron"]),
        ("MV Plover's captain, who is it?", ["Plover"]),
        ("MV Heron", []),  # of a sentence's first words nothing is known: the bird is held
        ("When was MV Alder built, and when MV Plover?", ["MV Plover"]),
        ("Was kostet die Fahrt von Norrick nach Hallam?", ["Hallam"]),
        ("Wer ist der Kapitän der MV Heron?", ["MV Heron"]),
        ("What does kit HX-300 hold?", ["HX-300"]),
        ('What does "nautical furlong" mean?', ["nautical furlong"]),
        ("Quel est le capitaine du MV Hirondelle ?", ["MV Hirondelle"]),
    ],
)
def test_names_that_no_document_holds(
    reader: IndexReader, question: str, unknown: list[str]
) -> None:
    assert unknown_names(reader, question) == [Name(name, "unknown") for name in unknown]


def test_a_name_tells_less_the_more_documents_hold_it(
    store: LakeStore, embedder: WordEmbedder
) -> None:
    said = ["Orlen Rail runs trams.", "Orlen Rail and Lira.", "Orlen Rail buys seats.", "Lira."]
    docs = [
        Doc(f"docs:{n}.md", f"Paper {n}", (("Text", text),))
        for n, text in enumerate([*said, "Trams.", "Seats.", "Fares.", "Stops."])
    ]
    tells = telling(reader_of(store, docs, embedder), ["Orlen Rail", "Lira", "Vessa", ""])
    assert tells == {"Orlen Rail": 0.25, "Lira": 0.5, "Vessa": 1.0, "": 1.0}


def test_of_a_few_documents_every_name_tells_all(store: LakeStore, embedder: WordEmbedder) -> None:
    docs = [Doc(f"docs:{n}.md", "Paper", (("Text", f"Orlen Rail {n}"),)) for n in range(3)]
    assert telling(reader_of(store, docs, embedder), ["Orlen Rail"]) == {"Orlen Rail": 1.0}


def test_documents_that_may_not_be_read_say_nothing_of_a_name(
    store: LakeStore, embedder: WordEmbedder
) -> None:
    docs = [
        Doc(f"{'open' if n < 8 else 'shut'}:{n}.md", "P", (("T", f"Lira {n}" if n > 5 else "-"),))
        for n in range(16)
    ]
    reader = reader_of(store, docs, embedder)
    assert telling(reader, ["Lira"]) == {"Lira": 0.0}
    assert telling(reader.narrowed("uri LIKE 'open:%'"), ["Lira"]) == {"Lira": 0.5}


def test_readers_with_one_filter_share_their_sample(
    store: LakeStore, embedder: WordEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = [Doc(f"docs:{n}.md", "P", (("T", f"Lira {n}"),)) for n in range(9)]
    reader = reader_of(store, docs, embedder)
    scanned: list[str] = []
    scan = search.scan

    def counted(table: Table, *, columns: list[str], where: str) -> object:
        scanned.append(where)
        return scan(table, columns=columns, where=where)

    monkeypatch.setattr(search, "scan", counted)
    for _ in range(3):
        assert telling(reader.narrowed("page IS NULL"), ["Lira", "Fell"])["Lira"] == 0.0
    assert len(scanned) == 1


@pytest.mark.parametrize(
    "question",
    [
        "How long is the crossing from Norrick to Fell?",
        "How long is the NORRICK crossing?",
        "When was MV Alder built by Hestvik Yard?",
        "Who is Asa Lindstrom?",
        'What does "NAUTICAL miles" mean?',
        "What does kit HX-200 hold, and kit hx200?",
        "Does MV Tern sail in May 2024 on a Monday?",
        "Was kostet ein Stellplatz für einen Lastwagen in Möwenstein?",
        "Welche Hunde dürfen auf die Fähre nach Möwenstein?",
        "What Does The Ferry Ticket Office Sell?",
        "WHAT DOES IT COST?",
        "does it take 500ml at 10am?",
        "Which of MV Alder's cabins is the best?",
        "",
    ],
)
def test_names_that_are_held_and_words_that_are_none(reader: IndexReader, question: str) -> None:
    assert unknown_names(reader, question) == []


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("Who is the master of MV Junper?", Name("MV Junper", "near", "MV Juniper")),
        ("Who is Åsa Lindstroem?", Name("Åsa Lindstroem", "near", "Åsa Lindström")),
        ("Where is Norrik?", Name("Norrik", "near", "Norrick")),
    ],
)
def test_a_slip_in_a_name_is_told(reader: IndexReader, question: str, name: Name) -> None:
    (found,) = unknown_names(reader, question)
    assert found == name
    assert found.told() == f'No document mentions "{name.text}"; it is taken as "{name.taken_as}".'


def test_only_what_may_be_read_is_mentioned(reader: IndexReader) -> None:
    found = unknown_names(reader.narrowed("partition = 'other'"), "Where is Norrick?")
    assert found == [Name("Norrick", "unknown")]
    assert found[0].told() == 'No document mentions "Norrick".'


def test_an_empty_index_is_told_nothing_of(store: LakeStore, embedder: WordEmbedder) -> None:
    assert unknown_names(reader_of(store, [], embedder), "Who is the captain of MV Heron?") == []


def test_no_word_that_begins_a_sentence_is_a_name() -> None:
    assert list(written_names("Zephyr opens. Passengers wait. What of MV Tern?")) == [
        ("MV", "Tern")
    ]
