"""Several questions in one: "X, and what Y?", "... in 2023, and in 2024?", "for A, B and C"."""

import re
from collections.abc import Sequence

from rag_assets.questions.choices import listed
from rag_assets.questions.english import AUXILIARY, QUESTION_WORD, is_past, singular

_YEAR = r"(?:1[5-9]\d\d|20\d\d)"
_PREPOSITION = r"(?:in|on|at|by|for|to|from|of|with|under|until|since|during|after|before)"
_AND = re.compile(
    rf"(?P<sep>,? and (?:also )?|; |, (?:but|then) )(?=(?:{_PREPOSITION} )?(?:{QUESTION_WORD})\b"
    rf"|(?:{_PREPOSITION}) {_YEAR}\W*$|(?:is|are|was|were|does|did|can|has) (?:it|they|he|she|the|there|[A-Z]))",
    re.IGNORECASE,
)
_SENTENCES = re.compile(r"(?<=\?)\s+(?=\S)")
_WH = re.compile(rf"^(?:{_PREPOSITION} )?(?:{QUESTION_WORD}|{AUXILIARY})\b", re.IGNORECASE)
_TIME = re.compile(
    rf"\b(?:(?:in|for|during|of) (?:the )?(?:(?!in\b|for\b|of\b|and\b|on\b)\w+ ){{0,2}}?{_YEAR}|(?:in|on|during) (?:the )?"
    r"(?:spring|summer|autumn|winter|weekends?|weekdays?|(?:mon|tues|wednes|thurs|fri|satur|sun)days?|"
    r"january|february|march|april|may|june|july|august|september|october|november|december)"
    rf"(?: {_YEAR})?|today|now|last year|this year)",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(?:it|they|them|he|she|him|its|their|his|her)\b", re.IGNORECASE)
_THAT = re.compile(
    r"\b(?P<all>(?:that|this|the same|the said) (?P<noun>[a-z][\w-]*))\b", re.IGNORECASE
)
_CLAUSE_BEFORE = re.compile(
    r"\b(?:between|both|know|tell me|explain|say|see|sure|clear|decide|ask)\b[^,]*$", re.IGNORECASE
)


def halves(question: str) -> tuple[str, ...]:
    """The questions that ``question`` asks side by side, each written out; () for one.

    A later part may hold a pronoun for the answer of an earlier one; see :func:`referring`.
    """
    text = " ".join(question.split())
    sentences = [s for s in _SENTENCES.split(text) if s.strip()]
    if 2 <= len(sentences) <= 4:
        if all(
            s.endswith("?") and _WH.match(re.sub(r"^(?:and|but) ", "", s, flags=re.I))
            for s in sentences
        ):
            return _written_out([s.rstrip("? ") for s in sentences])
        return ()
    body = text.rstrip("?. ")
    pieces: list[str] = []
    start = 0
    for match in _AND.finditer(body):
        before = body[start : match.start()]
        if (
            not _WH.match(re.sub(r"^(?:and|but) ", "", before, flags=re.I))
            or len(before.split()) < 3
        ):
            continue
        if _CLAUSE_BEFORE.search(before) or _is_relative(body, match):
            continue
        pieces.append(before)
        start = match.end()
    pieces.append(body[start:])
    return _written_out(pieces) if 2 <= len(pieces) <= 4 else ()


def _is_relative(body: str, match: re.Match[str]) -> bool:
    """Whether "and who" goes on with a clause: "the man who built A and who sold B"."""
    following = body[match.end() :]
    pronoun = re.match(r"(?:(?:in|on|at|to|for|of|by) )?(?P<w>who|which|where|whose|when)\b (?P<next>\w+)?",
                       following, re.IGNORECASE)  # fmt: skip
    if not pronoun or match["sep"].startswith(","):
        return False
    word = pronoun["w"].casefold()
    return re.search(rf"\b(?:that|{word}) ", body[: match.start()][1:], re.IGNORECASE) is not None


def _written_out(pieces: Sequence[str]) -> tuple[str, ...]:
    whole: list[str] = []
    for piece in pieces:
        piece = re.sub(r"^(?:and|but) ", "", piece.strip(" ,;"), flags=re.IGNORECASE)
        if not whole:
            whole.append(piece)
            continue
        done = _complete(whole[0], whole[-1], piece)
        if done is None:
            return ()
        whole.append(done)
    return tuple(f"{piece[0].upper()}{piece[1:]}?" for piece in whole)


def _complete(first: str, before: str, piece: str) -> str | None:
    """A later part as a question of its own; None where what it leaves out is unclear."""
    bare = re.fullmatch(rf"(?P<t>{_TIME.pattern})", piece, re.IGNORECASE)
    if bare:
        return _at(before, piece)
    was_it = re.fullmatch(
        rf"(?:what|how (?:much|many|long|high|large|big))(?: (?:is|was|were|are|did|does|will) (?:it|they|that)(?: be)?)? (?P<t>{_TIME.pattern})",
        piece, re.IGNORECASE,
    )  # fmt: skip
    if was_it:
        return _at(before, was_it["t"])
    alone = re.fullmatch(
        rf"(?P<wh>(?:by |in |at |for |from |to |with |on )?{QUESTION_WORD}(?: \w+)?)", piece, re.I
    )
    if alone:
        return _other_word(before, alone["wh"])
    shape = re.fullmatch(
        rf"(?P<wh>{QUESTION_WORD}) (?P<thing>(?:on|for|at|to|from|with|of) .+)", piece, re.I
    )
    if shape:
        return _other_thing(before, shape["thing"])
    if len(piece.split()) < 3:
        return None
    return piece


def _at(question: str, when: str) -> str | None:
    """The question at another time."""
    found = list(_TIME.finditer(question))
    if not found:
        return None
    last = found[-1]
    return question[: last.start()] + when + question[last.end() :]


def _other_thing(question: str, thing: str) -> str | None:
    """Of "How much is a car on Route 1, and how much on Route 2?"."""
    preposition = thing.split()[0]
    found = list(re.finditer(rf"\b{preposition} (?:the )?[^,]+?(?=$| in {_YEAR})", question, re.I))
    if not found:
        return None
    return question[: found[-1].start()] + thing + question[found[-1].end() :]


def _other_word(question: str, word: str) -> str | None:
    """Of "When was MV Rowan built, and by whom?"."""
    found = re.match(
        rf"^(?:{_PREPOSITION} )?{QUESTION_WORD} (?P<rest>(?:was|were|is|are) .+)$", question, re.I
    )
    if not found or not is_past(found["rest"].split()[-1]):
        return None
    return f"{word} {found['rest']}"


def referring(part: str, earlier: Sequence[str]) -> tuple[str, str] | None:
    """What in ``part`` stands for an earlier answer or thing: its words and the noun; or None."""
    that = _THAT.search(part)
    if that and any(
        re.search(rf"\b{that['noun']}s?\b", question, re.IGNORECASE) for question in earlier
    ):
        return that["all"], that["noun"]
    return None


def with_name(part: str, first: str, names: Sequence[str]) -> str | None:
    """``part`` with its pronoun as the only name of ``first``; None where that is unsure."""
    pronouns = _PRONOUN.findall(part)
    if not pronouns:
        return part
    if len(names) != 1:
        return None
    name = names[0]

    def put(match: re.Match[str]) -> str:
        return f"{name}'s" if match.group().casefold() in ("its", "their", "his", "her") else name

    return _PRONOUN.sub(put, part)


_EACH_YEAR = re.compile(
    rf"^(?P<head>.+?)(?P<each>,? (?:in|for|during) each (?:of the )?years?| (?:per|each|every|by) year)?"
    rf",? (?:in|for|from|between|during)(?: the years)? (?P<years>{_YEAR}(?:, {_YEAR})*,? (?P<j>and|to|until|through|-) {_YEAR})(?P<tail>.*)$",
    re.IGNORECASE,
)
_LISTED = re.compile(
    r"^(?P<head>.+?\b(?:of|for|on|in|at|to|from|by|with|is|are|was|were|does|do|did|can|has|have)) (?:each of |both )?(?:the )?(?P<list>"
    r"(?:[A-Z\d\ue000-\uf8ff][\w.'&-]*(?: [A-Z\d\ue000-\uf8ff][\w.'&-]*)*)(?:, (?:[A-Z\d][\w.'&-]*(?: [A-Z\d][\w.'&-]*)*))*"
    r",? and (?:[A-Z\d\ue000-\uf8ff][\w.'&-]*(?: [A-Z\d\ue000-\uf8ff][\w.'&-]*)*))(?P<tail>(?: [a-z].*)?)$"
)
_PLURAL_BE = {"are": "is", "were": "was", "do": "does", "have": "has"}


def over_years(question: str) -> tuple[tuple[str, str], ...]:
    """(question, year) for each year that is asked for; () where one sum may be meant."""
    found = _EACH_YEAR.match(question.strip().rstrip("?. "))
    if not found:
        return ()
    numbers = [int(year) for year in re.findall(_YEAR, found["years"])]
    ranged = found["j"].casefold() in ("to", "until", "through", "-")
    between = re.search(
        r"\bbetween(?: the years)? $", question[: found.start("years")], re.IGNORECASE
    )
    head, tail = found["head"], found["tail"]
    if ranged or between:
        changed = re.match(
            r"^how (?:did|has|have) (?P<what>.+?) (?:change[sd]?|develop(?:ed)?|evolve[d]?|grow|grown|risen|rise)$", head, re.I
        )  # fmt: skip
        if not found["each"] and not changed:
            return ()
        years = list(range(min(numbers), max(numbers) + 1)) if found["each"] else sorted(numbers)
        if changed:
            return tuple(
                (f"What was {changed['what']} in {year}{tail}?", str(year)) for year in years
            )
    else:
        years = numbers
    if not 2 <= len(years) <= 6 or not _WH.match(head):
        return ()
    if re.search(
        r"\b(?:altogether|together|in total|combined|between|same|both)\b", question, re.I
    ):
        return ()
    head = re.sub(r"^What (are|were) the ([\w ]+?)s\b", lambda m: m.group(), head)
    return tuple((f"{head} in {year}{tail}?", str(year)) for year in years)


def over_things(question: str) -> tuple[tuple[str, str], ...]:
    """(question, thing) for each named thing of "for A, B and C"; () for one question."""
    text = question.strip().rstrip("?. ")
    found = _LISTED.match(text)
    if not found or not _WH.match(text):
        return ()
    if re.search(r"\b(?:between|same|both|together|altogether|in total|combined|difference|total|"
                 r"compare|sum|in common|more|than|with each other)\b", text, re.IGNORECASE):  # fmt: skip
        return ()
    things = listed(found["list"])
    head, tail = found["head"], found["tail"]
    last = head.split()[-1].casefold()
    plural = last in _PLURAL_BE
    asked_many = re.match(r"^(?P<a>what|who) (?P<be>are|were) (?P<the>the )(?P<noun>[\w ]+?) (?P<of>of|for|on|in|at)$",
                          head, re.IGNORECASE)  # fmt: skip
    each = re.search(r"\b(?:each of|respectively)\b", text) is not None
    if not (plural or asked_many or each or len(things) >= 3) or not 2 <= len(things) <= 6:
        return ()
    if plural:
        if (
            re.search(r"\b(?:who|what|which(?: \w+)?) (?:is|are|was|were)$", head, re.I)
            and not tail
        ):
            return ()
        head = f"{head.rpartition(' ')[0]} {_PLURAL_BE[last]}"
    elif asked_many:
        be = _PLURAL_BE[asked_many["be"].casefold()]
        head = f"{asked_many['a']} {be} the {singular(asked_many['noun'])} {asked_many['of']}"
    elif last in ("is", "was", "does", "did", "can", "has") and not each:
        return ()
    tail = tail.replace(" respectively", "")
    return tuple((f"{head} {thing}{tail}?", thing) for thing in things)
