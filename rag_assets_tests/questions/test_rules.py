"""Questions and the plans that they are taken apart into; half of them are to stay whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.questions.plan import MOST_STEPS
from rag_assets.questions.rules import plan_of

# One step a line; the last line is the result.
APART = {
    # --- all parts
    "How long is MV Petrel, and what is the draught of MV Gull?": """
        How long is MV Petrel?
        What is the draught of MV Gull?
        1 2""",
    "Who chairs the Lowmoor clinic and when was it founded?": """
        Who chairs the Lowmoor clinic?
        When was the Lowmoor clinic founded?
        1 2""",
    "What was the ticket price of the Tilework Museum in 2023, and what was it in 2024?": """
        What was the ticket price of the Tilework Museum in 2023?
        What was the ticket price of the Tilework Museum in 2024?
        1 2""",
    "How many visitors came to the Tilework Museum in 2023, and in 2024?": """
        How many visitors came to the Tilework Museum in 2023?
        How many visitors came to the Tilework Museum in 2024?
        1 2""",
    "How many patients did the Lowmoor clinic treat in 2021 and how many in 2022?": """
        How many patients did the Lowmoor clinic treat in 2021?
        How many patients did the Lowmoor clinic treat in 2022?
        1 2""",
    "What does a car cost on Route 7, and how much on Route 8?": """
        What does a car cost on Route 7?
        What does a car cost on Route 8?
        1 2""",
    "When was the Orrin bridge built, and by whom?": """
        When was the Orrin bridge built?
        By whom was the Orrin bridge built?
        1 2""",
    "Which ferry replaced MV Petrel in May, and what is the capacity of that ferry?": """
        Which ferry replaced MV Petrel in May?
        What is the capacity of {1}?
        1 2""",
    "Who maintains the parser of Quillbase? When was version 4.2 released?": """
        Who maintains the parser of Quillbase?
        When was version 4.2 released?
        1 2""",
    "What is the notice period in the Moss lease, what is the rent in it, and who signed it?": None,
    "Is smoking allowed on MV Petrel, and is it allowed on MV Gull?": None,
    "What weight does the car lift at Kestrel Quay bear, is 1800 kg too much?": """
        What weight does the car lift at Kestrel Quay bear?
        Is 1800 kg too much for the car lift at Kestrel Quay?
        1 2""",
    "How many bags may I bring on MV Petrel, and are 3 bags allowed?": """
        How many bags may I bring on MV Petrel?
        Are 3 bags allowed for MV Petrel?
        1 2""",
    "Where is the ticket office of Selwick, and when does it open?": """
        Where is the ticket office of Selwick?
        When does the ticket office of Selwick open?
        1 2""",
    # --- clauses
    "How many cars can the ferry that serves Route 9 carry?": """
        Which ferry serves Route 9?
        How many cars can {1} carry?
        2""",
    "Who is the curator of the gallery where the glass fish were shown in 2022?": """
        Which is the gallery where the glass fish were shown in 2022?
        Who is the curator of {1}?
        2""",
    "When was the yard that built MV Gull founded?": """
        Which yard built MV Gull?
        When was {1} founded?
        2""",
    "What is the salary of the nurse who runs the night ward at Lowmoor?": """
        Which nurse runs the night ward at Lowmoor?
        What is the salary of {1}?
        2""",
    "Which company insures the crane that fell at Dock 3 in March 2022?": """
        Which crane fell at Dock 3 in March 2022?
        Which company insures {1}?
        2""",
    "What did the firm that repaired the Orrin bridge charge?": """
        Which firm repaired the Orrin bridge?
        What did {1} charge?
        2""",
    "What post does the person hold who signed the Haldane lease?": """
        Which person signed the Haldane lease?
        What post does {1} hold?
        2""",
    "Which release fixed the bug that was reported by Ida Lund?": """
        Which bug was reported by Ida Lund?
        Which release fixed {1}?
        2""",
    "What is the phone number of the clinic that opened in Selwick in 2019?": """
        Which clinic opened in Selwick in 2019?
        What is the phone number of {1}?
        2""",
    "Which ferry was built by the same yard that built MV Gull?": """
        Which yard built MV Gull?
        Which ferry was built by {1}?
        2""",
    "Where was the man who designed the Orrin bridge born?": """
        Which man designed the Orrin bridge?
        Where was {1} born?
        2""",
    "Who owns the warehouse in which the fire of 2018 broke out?": """
        Which is the warehouse in which the fire of 2018 broke out?
        Who owns {1}?
        2""",
    "Who is the captain of the ferry that replaced the boat that sank in 2011?": """
        Which boat sank in 2011?
        Which ferry replaced {1}?
        Who is the captain of {2}?
        3""",
    "What is the maximum speed of the vessel that sails the Moss Express?": """
        Which vessel sails the Moss Express?
        What is the maximum speed of {1}?
        2""",
    "How many employees does the company that publishes Quillbase have?": """
        Which company publishes Quillbase?
        How many employees does {1} have?
        2""",
    # --- relations
    "When did Ada Norgate's father die?": """
        Who is Ada Norgate's father?
        When did {1} die?
        2""",
    "Where was the director of the film Salt Road born?": """
        Who is the director of the film Salt Road?
        Where was {1} born?
        2""",
    "What is the nationality of the author of The Quiet Lock?": """
        Who is the author of The Quiet Lock?
        What is the nationality of {1}?
        2""",
    "Where does Tom Birk's employer have its office?": """
        Who is Tom Birk's employer?
        Where does {1} have its office?
        2""",
    "Who is the mother of Ada Norgate's husband?": """
        Who is Ada Norgate's husband?
        Who is the mother of {1}?
        2""",
    # --- comparisons
    "Which ferry is longer, MV Petrel or MV Gull?": """
        How long is MV Petrel?
        How long is MV Gull?
        most 1 2
        3""",
    "Which of MV Petrel, MV Gull and MV Tarn was built first?": """
        When was MV Petrel built?
        When was MV Gull built?
        When was MV Tarn built?
        least 1 2 3
        4""",
    "Who was born earlier, Ada Norgate or Tom Birk?": """
        When was Ada Norgate born?
        When was Tom Birk born?
        least 1 2
        3""",
    "Was Quillbase 4.2 or Quillbase 4.10 released later?": """
        When was Quillbase 4.2 released?
        When was Quillbase 4.10 released?
        most 1 2
        3""",
    "Between the Lowmoor clinic and the Selwick clinic, which one has more beds?": """
        How many beds does the Lowmoor clinic have?
        How many beds does the Selwick clinic have?
        most 1 2
        3""",
    "Which museum is cheaper, the Tilework Museum or the Clock Museum?": """
        How much does the Tilework Museum cost?
        How much does the Clock Museum cost?
        least 1 2
        3""",
    "Which ferry can carry more cars, MV Petrel or MV Gull?": """
        How many cars can MV Petrel carry?
        How many cars can MV Gull carry?
        most 1 2
        3""",
    "Which film has the director who is older, Salt Road or Blue Acre?": """
        Who is the director of Salt Road?
        When was {1} born?
        Who is the director of Blue Acre?
        When was {3} born?
        least 2 4
        5""",
    "Who lived longer, Ada Norgate or Tom Birk?": """
        When was Ada Norgate born?
        When did Ada Norgate die?
        difference 2 1
        When was Tom Birk born?
        When did Tom Birk die?
        difference 5 4
        most 3 6
        7""",
    "Which boat has the larger tank, MV Petrel or MV Gull, and how much does that tank hold?": """
        How large is the tank of MV Petrel?
        How large is the tank of MV Gull?
        most 1 2
        How much does the tank of {3} hold?
        3 4""",
    "Which was founded later, Lowmoor vs Selwick?": """
        When was Lowmoor founded?
        When was Selwick founded?
        most 1 2
        3""",
    "Is MV Petrel longer than MV Gull?": """
        How long is MV Petrel?
        How long is MV Gull?
        above 1 2
        3""",
    "Does MV Petrel carry more cars than MV Gull?": """
        How many cars does MV Petrel carry?
        How many cars does MV Gull carry?
        above 1 2
        3""",
    "Was the Haldane lease signed earlier than the Moss lease?": """
        When was the Haldane lease signed?
        When was the Moss lease signed?
        below 1 2
        3""",
    # --- both, same
    "Are MV Petrel and MV Gull both catamarans?": """
        Is MV Petrel a catamaran?
        Is MV Gull a catamaran?
        both 1 2
        3""",
    "Were Ada Norgate and Tom Birk from the same town?": """
        Which town was Ada Norgate from?
        Which town was Tom Birk from?
        same 1 2
        3""",
    "Do MV Petrel and MV Gull have the same captain?": """
        Who is the captain of MV Petrel?
        Who is the captain of MV Gull?
        same 1 2
        3""",
    "Are Selwick Pier and Orrin Pier located in the same county?": """
        In which county is Selwick Pier located?
        In which county is Orrin Pier located?
        same 1 2
        3""",
    # --- differences and sums
    "How many more beds does Lowmoor have than Selwick?": """
        How many beds does Lowmoor have?
        How many beds does Selwick have?
        difference 1 2
        3""",
    "How many fewer seats does MV Petrel have than MV Gull?": """
        How many seats does MV Petrel have?
        How many seats does MV Gull have?
        difference 2 1
        3""",
    "How much longer is MV Petrel than MV Gull?": """
        How long is MV Petrel?
        How long is MV Gull?
        difference 1 2
        3""",
    "By how much did the budget of the Clock Museum rise from 2022 to 2023?": """
        What was the budget of the Clock Museum in 2022?
        What was the budget of the Clock Museum in 2023?
        difference 2 1
        3""",
    "By how many visitors did the attendance of the Clock Museum fall between 2022 and 2023?": """
        What was the attendance of the Clock Museum in 2022?
        What was the attendance of the Clock Museum in 2023?
        difference 1 2
        3""",
    "What is the difference between the rent of Unit 4 and the rent of Unit 5?": """
        What is the rent of Unit 4?
        What is the rent of Unit 5?
        difference 1 2
        3""",
    "How many cars do MV Petrel and MV Gull carry altogether?": """
        How many cars does MV Petrel carry?
        How many cars does MV Gull carry?
        sum 1 2
        3""",
    "What is the total cost of Project Alder and Project Elm?": """
        What is the cost of Project Alder?
        What is the cost of Project Elm?
        sum 1 2
        3""",
    # --- lists and years
    "How long are MV Petrel, MV Gull and MV Tarn?": """
        How long is MV Petrel?
        How long is MV Gull?
        How long is MV Tarn?
        1 2 3""",
    "Who are the captains of MV Petrel and MV Gull?": """
        Who is the captain of MV Petrel?
        Who is the captain of MV Gull?
        1 2""",
    "What is the fare on Route 7, Route 8 and Route 9?": """
        What is the fare on Route 7?
        What is the fare on Route 8?
        What is the fare on Route 9?
        1 2 3""",
    "What was the budget of the Clock Museum in 2021, 2022 and 2023?": """
        What was the budget of the Clock Museum in 2021?
        What was the budget of the Clock Museum in 2022?
        What was the budget of the Clock Museum in 2023?
        1 2 3""",
    "How did the rent of Unit 4 change between 2022 and 2024?": """
        What was the rent of Unit 4 in 2022?
        What was the rent of Unit 4 in 2024?
        1 2""",
    "How many patients did Lowmoor treat each year from 2021 to 2023?": """
        How many patients did Lowmoor treat in 2021?
        How many patients did Lowmoor treat in 2022?
        How many patients did Lowmoor treat in 2023?
        1 2 3""",
}  # fmt: skip

WHOLE = """
    Who is the captain of MV Petrel?
    How many cars can MV Petrel carry?
    What is the gross tonnage of MV Gull?
    What is the name of the deckhand who fell from MV Gull?
    What is the name of the nurse that runs the night ward?
    Who is the engineer who designed the Orrin bridge?
    Which firm repaired the crane and the gate at Dock 3?
    When does the first ferry leave Selwick on Sundays and holidays?
    What must I do if the door that leads to the deck is locked?
    How do I reset the pump that feeds the boiler?
    What is the fare for adults and children on Route 7?
    What does the term "lay day" mean in the charter party?
    Which of the ferries are painted green?
    Which vessels do not have a lift?
    How many sailings were cancelled between 2022 and 2024?
    How many visitors did the Clock Museum have from 2021 to 2023?
    What happened at the board meeting between Ada Norgate and Tom Birk?
    Who signed the contract between Haldane and Moss?
    How long does the crossing between Selwick and Orrin take?
    What is the distance from Selwick to Orrin?
    Is smoking allowed on MV Petrel?
    Are dogs and cats allowed in the Clock Museum?
    May dogs and children under ten ride in the front car?
    Is the fee paid monthly or yearly?
    Is the museum open or closed on Mondays?
    What is the rent of Unit 4 in the first and second year?
    Which version of Quillbase is the newest?
    What is the latest release of Quillbase?
    Summarise the minutes of the meeting that was held in May.
    What is this collection about?
    How many documents mention MV Petrel?
    MV Petrel captain
    cancelled sailings 2024
    List the fares of Route 7.
    List all wards of the Lowmoor clinic and their phone numbers.
    Why was the sailing that was planned for 3 May cancelled?
    What is the first thing that a new tenant must do?
    What is the reason that the bridge was closed?
    How many people work at the place where the boats are mended?
    What is the number that passengers call at night?
    Who was the first person that was treated at Lowmoor?
    When is the time that the gate closes?
    What happens when the tank is full and the valve is shut?
    Where can I park and pay?
    Who wrote and illustrated The Quiet Lock?
    Which clinic has an X-ray unit, a pharmacy and a lab?
    According to the Haldane lease, what is the deposit?
    In which year was the Orrin bridge built?
    What does the report say about the ferry that sank?
    On which days does the pharmacy close at 12:30?
    Was kostet ein Stellplatz in Selwick?
    Was kostet die Fähre, die nach Orrin fährt?
    Wie viele Autos fasst die Fähre, und wie lang ist sie?
    Quel est le tarif de la ligne 3 et de la ligne 4?
    Is the kiosk at Selwick open at 1930?
    What was launched before 1995 at the yard in Orrin?
    Which boats were launched after 1990?
    Which of Tamsin, Wilmot and Quill has no passenger lift?
    What is the email address of the Selwick office?
    Who holds the position of harbour master at Orrin?
    What is the penalty for late payment under the Moss contract?
    How many vacation days do nurses and doctors get?
    Which command copies the log before dry-dock?
    What is the default port of the Quillbase server?
    Does Quillbase 4.2 support both Linux and Windows?
    Which features were added and removed in Quillbase 4.2?
    What are the opening hours of the Clock Museum?
    What is the budget for repairs and paint in 2024?
    Who replaced Ada Norgate as chair of the trust?
    When was the trust that Ada Norgate chairs?
    How much is the deposit for a cabin with two beds and a window?
"""
_WHOLE = [line.strip() for line in WHOLE.strip().splitlines()]


def _lines(question: str) -> str:
    plan = plan_of(question)
    assert plan is not None
    told = str(plan).splitlines()
    return "\n".join(line.partition(": ")[2] for line in told)


@pytest.mark.parametrize("question", APART)
def test_taken_apart(question: str) -> None:
    expected = APART[question]
    if expected is None:
        assert plan_of(question) is None
    else:
        assert _lines(question) == "\n".join(line.strip() for line in expected.strip().splitlines())


@pytest.mark.parametrize("question", _WHOLE)
def test_stays_whole(question: str) -> None:
    assert plan_of(question) is None


def test_half_of_the_questions_stay_whole() -> None:
    assert len(APART) + len(_WHOLE) >= 120
    assert len(_WHOLE) >= len(APART)


WORDS = st.sampled_from(
    sorted(
        {word for question in (*APART, *_WHOLE) for word in question.split()} | {"{1}", "\u2019s"}
    )
)


@given(st.lists(WORDS, max_size=20).map(" ".join))
def test_any_words_make_a_plan_that_can_be_run_or_none(question: str) -> None:
    plan = plan_of(question)
    if plan is not None:
        assert 2 <= len(plan.steps) <= MOST_STEPS
        assert all(step.question for step in plan.lookups)


@pytest.mark.parametrize("question", APART)
def test_no_mark_is_left(question: str) -> None:
    plan = plan_of(question)
    told = str(plan) + "".join(plan.choices if plan else ())
    assert not any("\ue000" <= letter <= "\uf8ff" for letter in told)


def test_a_part_for_yes_or_no_is_asked_as_one() -> None:
    plan = plan_of("Where is the office of Selwick, and is 1800 kg too much?")
    assert plan is not None
    assert [step.wants for step in plan.lookups] == ["place", "yes_no"]
