from datetime import date

import pytest

from rag_assets.questions.asked import asked, language_of, names_in
from rag_assets.questions.rules import rewritten

TODAY = date(2026, 11, 20)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("Who is the captain of MV Petrel?", "lookup"),
        ("What is the gross tonnage of MV Gull?", "lookup"),
        ("Is smoking allowed on MV Petrel?", "yes_no"),
        ("Does Quillbase 4.2 run on Linux?", "yes_no"),
        ("Are dogs allowed in Gullery?", "yes_no"),
        ("Was MV Petrel sold?", "yes_no"),
        ("Which of Tamsin, Wilmot and Quill has no passenger lift?", "choice"),
        ("Which boat was launched later, Tamsin vs Wilmot?", "choice"),
        ("Between Tamsin and Quill, which one is longer?", "choice"),
        ("Is the fee paid monthly or yearly?", "choice"),
        ("Which ferry is longer, MV Petrel or MV Gull?", "choice"),
        ("Is the crew on MV Petrel or MV Gull?", "choice"),
        ("What is a lay day?", "definition"),
        ("What does the term lay day mean?", "definition"),
        ("Define demurrage.", "definition"),
        ("How do I reset the bilge pump?", "how_to"),
        ("How can passengers get a refund?", "how_to"),
        ("How to renew the lease?", "how_to"),
        ("List all beacons kept by the Orrery Light Trust.", "list"),
        ("What are the opening hours of the Clock Museum?", "list"),
        ("Which ferries have a lift?", "list"),
        ("How many boats does the Sallow Ferry Trust have?", "count"),
        ("For how many days is lost property kept?", "count"),
        ("Is MV Petrel longer than MV Gull?", "yes_no"),
        ("How does the Moss contract differ from the Haldane contract?", "comparison"),
        ("Which vessels do not have a lift?", "negation"),
        ("What is not covered by the warranty?", "negation"),
        ("Summarise the minutes of May.", "summary"),
        ("Give me an overview of the fire rules.", "summary"),
        ("What is this about?", "corpus"),
        ("What is this collection about?", "corpus"),
        ("How many documents are there on fares?", "corpus"),
        ("What is the newest report?", "corpus"),
        ("MV Petrel captain", "keywords"),
        ("cancelled sailings 2024", "keywords"),
        ("juniper capten", "keywords"),
        ("Describe the route of the Moss Express.", "imperative"),
        ("Give the date of the board meeting", "imperative"),
        ("Was kostet ein Stellplatz für einen Lastwagen in Möwenstein?", "lookup"),
        ("Was müssen Hunde auf der Fähre sein?", "lookup"),
        ("Was ist ein Liegegeld?", "definition"),
    ],
)
def test_kind(question: str, kind: str) -> None:
    assert asked(question).kind == kind


@pytest.mark.parametrize(
    ("question", "wants", "unit"),
    [
        ("Who is the captain of MV Petrel?", "person", ""),
        ("What is the name of the captain?", "name", ""),
        ("How many cars can MV Petrel carry?", "number", "cars"),
        ("How many days is a ticket valid?", "duration", "days"),
        ("For how many minutes does the gate stay open?", "duration", "minutes"),
        ("How much does a day ticket cost?", "money", ""),
        ("What is the monthly rent of Unit 4?", "money", ""),
        ("What is the adult fare on Route 7 in euro?", "money", "euro"),
        ("When was the Orrin bridge built?", "date", ""),
        ("In which year was the Orrin bridge built?", "date", ""),
        ("When does the kiosk open?", "time", ""),
        ("At what time does the first ferry leave?", "time", ""),
        ("Where was Ada Norgate born?", "place", ""),
        ("In which town is the Clock Museum?", "place", ""),
        ("How long is MV Petrel?", "measure", ""),
        ("How long does the crossing take?", "duration", ""),
        ("At what speed did MV Gull hit the pier?", "measure", ""),
        ("What is the wind limit in m/s for MV Gull?", "measure", "m/s"),
        ("Which version of Quillbase added tables?", "version", ""),
        ("Which company built MV Gull?", "name", ""),
        ("Why was the bridge closed?", "text", ""),
        ("Is smoking allowed on MV Petrel?", "yes_no", ""),
        ("Wer ist Kapitän der Möwe?", "person", ""),
        ("Was kostet ein Stellplatz in Möwenstein?", "money", ""),
        ("Combien coûte un billet ?", "money", ""),
    ],
)
def test_wanted(question: str, wants: str, unit: str) -> None:
    found = asked(question)
    assert (found.wants, found.unit) == (wants, unit)


@pytest.mark.parametrize(
    ("question", "options"),
    [
        ("Which of Tamsin, Wilmot and Quill has no lift?", ("Tamsin", "Wilmot", "Quill")),
        ("Which boat is later, Tamsin vs Wilmot?", ("Tamsin", "Wilmot")),
        ("Between Tamsin and Quill, which one is longer?", ("Tamsin", "Quill")),
        ("Who was born first out of Ada Norgate and Tom Birk?", ("Ada Norgate", "Tom Birk")),
        ("Which film came first, No, No, Never or Blue Acre?", ("No, No, Never", "Blue Acre")),
        (
            "Which is cheaper, the ferry, the bus or the train?",
            ("the ferry", "the bus", "the train"),
        ),
        ("Was Lowmoor or Selwick founded first?", ("Lowmoor", "Selwick")),
        ("Is it open or closed?", ("open", "closed")),
        ("Is the pool open on Sundays or not?", ()),
        ("How long is MV Petrel?", ()),
        ("Who repaired the crane and the gate?", ()),
    ],
)
def test_options(question: str, options: tuple[str, ...]) -> None:
    assert asked(question).options == options


@pytest.mark.parametrize(
    ("question", "times"),
    [
        ("What weight does the car lift bear, is 1800 kg too much?", []),
        ("Is the kiosk at Selwick open at 1930?", []),
        ("Is a fee of 1850 euros due?", []),
        ("Does room 1905 have a window?", []),
        ("What was launched before 1995 at the yard?", [("year", "1995")]),
        ("How many sailings were cancelled in 2024?", [("year", "2024")]),
        ("What is the 2024 freight rate?", [("year", "2024")]),
        ("cancelled sailings 2024", [("year", "2024")]),
        ("How many came between 2022 and 2024?", [("range", "between 2022 and 2024")]),
        ("What happened on 3 May 2023?", [("day", "3 May 2023")]),
        ("What is the fare now?", [("now", "now")]),
        ("What was the fee last year?", [("past", "last year")]),
        ("Which is the newest boat?", [("newest", "newest")]),
    ],
)
def test_times(question: str, times: list[tuple[str, str]]) -> None:
    assert [(when.kind, when.text) for when in asked(question).times] == times


@pytest.mark.parametrize(
    ("question", "first", "last"),
    [
        ("What is the mooring fee today?", TODAY, TODAY),
        ("What was the mooring fee last year?", date(2025, 1, 1), date(2025, 12, 31)),
        ("What was the fee in 2024?", date(2024, 1, 1), date(2024, 12, 31)),
        ("What was the fee in May 2024?", date(2024, 5, 1), date(2024, 5, 31)),
        ("How did it go from 2021 to 2023?", date(2021, 1, 1), date(2023, 12, 31)),
    ],
)
def test_period(question: str, first: date, last: date) -> None:
    assert asked(question).period(TODAY) == (first, last)


@pytest.mark.parametrize(
    "question", ["Which is the newest boat?", "What was it in 2023, and in 2024?"]
)
def test_no_single_period(question: str) -> None:
    assert asked(question).period(TODAY) is None


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("Who is the captain of MV Petrel?", ("MV Petrel",)),
        ("What is the rent in the Haldane lease at Orrin Quay?", ("Haldane", "Orrin Quay")),
        ('Who took bookings for the "Three islands" package?', ("Three islands",)),
        ("What does error E-42 of Quillbase 4.2 mean?", ("E-42", "Quillbase 4.2")),
        ("which port does quill_base use", ("quill_base",)),
        ("Is Ada Norgate's office open?", ("Ada Norgate",)),
        ("What does the fee cost?", ()),
        ("Who worked at Orrin Quay in February 2024?", ("Orrin Quay",)),
        ("What did the Bank of March Street lend?", ("Bank of March Street",)),
        ("What is the high-voltage allowance in the mid-nineties?", ()),
        ("What does --dry-run do, and -v1?", ("--dry-run", "-v1")),
    ],
)
def test_names(question: str, names: tuple[str, ...]) -> None:
    assert names_in(question) == names


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("Was kostet ein Stellplatz in Möwenstein?", "de"),
        ("Was Petrel sold?", "en"),
        ("Was the ferry sold?", "en"),
        ("Quel est le tarif de la ligne 3 ?", "fr"),
        ("Cuándo se abre el museo?", "es"),
        ("Wanneer is de haven open?", "nl"),
        ("juniper captain", "en"),
        ("Which film is older, En Sømand Går I Land or Salt Road?", "en"),
    ],
)
def test_language(question: str, language: str) -> None:
    assert language_of(question) == language


@pytest.mark.parametrize(
    ("question", "wordings"),
    [
        ("List the fares of route 3", ("fares of route 3",)),
        ("Please give me all wards of Lowmoor.", ("wards of Lowmoor",)),
        ("cancelled sailings 2024", ()),
        ("Who is the captain of MV Petrel?", ()),
    ],
)
def test_rewritten(question: str, wordings: tuple[str, ...]) -> None:
    assert rewritten(question) == wordings
