"""In which language a question asks, and how."""

import pytest

from rag_assets.answers.questions import asks_yes_or_no, offers_choice
from rag_assets.retrieval.languages import asks, language_of

NO = [
    "Was kostet ein Stellplatz für einen Lastwagen in Möwenstein?",
    "Was müssen Hunde auf der Fähre nach Möwenstein sein?",
    "Was kostet MV Alder?",
    "Wann fährt die Fähre, und was kostet sie?",
    "Wie viele Personen hat die Fähre?",
    "Abfahrt der Fähre?",
    "Ist die Fähre um 8 Uhr oder um 9 Uhr in Fell?",
    "Quand le bateau part-il ?",
    "Combien coûte le billet ?",
    "Le bateau est-il rouge ou vert ?",
    "Qu'est-ce que le pont inférieur ?",
    "¿Cuánto cuesta el billete?",
    "¿Qué es la tarifa?",
    "Que es la tarifa?",
    "¿El barco es rojo o es verde?",
    "Come si arriva al porto?",
    "Quanto costa il biglietto?",
    "Quando parte o barco?",
    "Qual é o preço do bilhete?",
    "Is de boot rood of groen?",
    "Wat kost een kaartje?",
    "Hoe laat vertrekt de boot?",
    "When was it, and was it late?",
    "juniper captain",
]
YES = [
    ("Müssen Hunde auf der Fähre angeleint sein?", "Ja"),
    ("Ist die Fähre nach Möwenstein täglich in Betrieb?", "Ja"),
    ("Kostet die Fahrt mehr als 5 Euro?", "Ja"),
    ("Ich habe einen Hund. Darf er mit auf die Fähre?", "Ja"),
    ("Est-ce que les chiens sont admis à bord ?", "Oui"),
    ("Les chiens sont-ils admis à bord ?", "Oui"),
    ("Y a-t-il un café à bord ?", "Oui"),
    ("Peut-on payer par carte ?", "Oui"),
    ("¿Se permiten perros en el barco?", "Sí"),
    ("¿Es gratis el billete para los niños?", "Sí"),
    ("È possibile pagare con la carta?", "Sì"),
    ("Si possono portare i cani a bordo?", "Sì"),
    ("É possível pagar com cartão?", "Sim"),
    ("Os cães viajam de graça? Há um café no barco?", "Sim"),
    ("Mogen honden mee op de boot?", "Ja"),
    ("Is de veerboot naar Fell elke dag open?", "Ja"),
    ("Was the ferry to Fell late?", "Yes"),
    ("Was MV Alder in service?", "Yes"),
    ("Wasn't the ferry late?", "Yes"),
    ("Is MV Alder a ferry?", "Yes"),
]


@pytest.mark.parametrize("question", NO)
def test_what_asks_for_a_thing_or_a_choice_is_no_question_for_yes_or_no(question: str) -> None:
    assert not asks_yes_or_no(question)


@pytest.mark.parametrize(("question", "yes"), YES)
def test_questions_for_yes_or_no_are_known_in_their_language(question: str, yes: str) -> None:
    assert asks_yes_or_no(question)
    assert language_of(question).yes == yes


def test_of_is_a_choice_in_dutch_alone() -> None:
    assert offers_choice("Is de boot rood of groen?")
    assert not offers_choice("Is the length of the boat 5 m?")


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Which channel does Quern radio watch?", True),
        ("He said: \"Where is it?\"", True),
        ("Please list the fares of route 3.", True),
        ("which channel does quern radio watch", True),
        ("Bitte nenne die Preise der Fähre.", True),
        ("船は何時に出ますか\uff1f", True),
        ("We waited by the slipway all morning.", False),
        ("Die Fähre fuhr nach Fell und es war schön.", False),
    ],
)  # fmt: skip
def test_what_asks_or_commands(sentence: str, expected: bool) -> None:
    assert asks(sentence, language_of(sentence)) is expected
