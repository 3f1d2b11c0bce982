"""Whether two things agree: "Are A and B both catamarans?", "... from the same town?"."""

import re

from rag_assets.questions.english import PERSONS, singular
from rag_assets.questions.plan import AnswerType, Plan, Reckoning, Step

_CAPITAL = r"[A-Z\d\ue000-\uf8ff][\w'.&:-]*|\([^)]*\)|\"[^\"]+\""
_NAME = (
    rf"(?:the )?(?:(?:director|film|song|album|book) (?:of )?)*(?:{_CAPITAL})"
    rf"(?: (?:(?:of|the|de|la|in|for|to|von|van|on|a)(?= (?:the )?[A-Z\d(])|{_CAPITAL}))*"
)
_AUX = r"(?P<aux>Are|Were|Do|Did|Have|Can|Is|Was|Does)"
_BOTH = re.compile(rf"^{_AUX} (?:both )?(?P<a>{_NAME}) and (?P<b>{_NAME}) (?P<said>.+)$")
_SAME = re.compile(
    rf"^{_AUX} (?:both )?(?P<a>{_NAME}) and (?P<b>{_NAME}) (?:both )?"
    r"(?P<said>(?:[^?]*? )?)the same (?P<what>[\w ]+?)$"
)
_ONE = {"are": "is", "were": "was", "do": "does", "have": "has"}
_PREPOSITION = frozenset(["in", "of", "at", "on", "from", "by", "for", "to", "with"])


def agreeing(question: str) -> Plan | None:
    """The plan of a question whether two named things agree; None if it is none."""
    text = question.rstrip("?. ")
    if re.search(r"\bsame\b", text):
        return _same(text)
    return _both(text) if re.search(r"\bboth\b", text) else None


def _both(text: str) -> Plan | None:
    found = _BOTH.match(text)
    if not found:
        return None
    aux = found["aux"].casefold()
    said = found["said"].removeprefix("both ")
    if aux in ("are", "were"):
        said = _of_one(said)
    aux = _ONE.get(aux, aux)
    if re.search(r"\bboth\b|\beach other\b", said):
        return None
    things = (found["a"], found["b"])
    steps = [Step(f"{aux.capitalize()} {thing} {said}?", "yes_no", thing) for thing in things]
    return Plan((*steps, Reckoning("both", (1, 2), "both")), (3,), "yes_no")


def _of_one(said: str) -> str:
    """Of several, "American documentaries", as of one: "an American documentary"."""
    words = said.split()
    end = next((n for n, word in enumerate(words) if word in _PREPOSITION), len(words))
    if end == 0 or singular(words[end - 1]) == words[end - 1]:
        return said
    noun = " ".join([*words[: end - 1], singular(words[end - 1])])
    article = "an" if noun[0].casefold() in "aeiou" else "a"
    return " ".join([article, noun, *words[end:]])


def _same(text: str) -> Plan | None:
    found = _SAME.match(text)
    if not found:
        return None
    said, _, prep = found["said"].strip().rpartition(" ")
    if prep not in _PREPOSITION:
        said, prep = found["said"].strip(), ""
    ask = _ask_of(found["aux"].casefold(), said, prep, found["what"])
    if ask is None:
        return None
    person = singular(found["what"].rpartition(" ")[2]) in PERSONS
    wants: AnswerType = "person" if person else "name"
    things = (found["a"], found["b"])
    steps = [Step(ask.replace("{}", thing), wants, thing) for thing in things]
    return Plan((*steps, Reckoning("same", (1, 2), f"same {found['what']}")), (3,), "yes_no")


def _ask_of(aux: str, said: str, prep: str, what: str) -> str | None:
    """The question about each, of "located / in / the same / county"."""
    aux = _ONE.get(aux, aux)
    head = singular(what.rpartition(" ")[2])
    if said in ("have", "share") and not prep:
        return f"{'Who' if head in PERSONS else 'What'} is the {what} of {{}}?"
    if aux in ("is", "was"):
        # "airports in the same state": what they are is no matter
        if said and " " not in said and singular(said) != said and not said.endswith("ss"):
            said = ""
        if len(said.split()) > 2 or not prep:
            return None
        if prep == "of" and not said:
            return f"What is the {what} of {{}}?"
        if prep == "from" and not said:
            return f"Which {what} {aux} {{}} from?"
        return f"{prep.capitalize()} which {what} {aux} {{}} {said}".rstrip() + "?"
    if len(said.split()) != 1:
        return None
    if prep:
        return f"{prep.capitalize()} which {what} {aux} {{}} {said}?"
    return f"Which {what} {aux} {{}} {said}?"
