"""Comparisons, differences, sums and "both" as look-ups of each side, reckoned in code."""

import re
from collections.abc import Sequence

from rag_assets.questions.choices import listed, options_of
from rag_assets.questions.english import (
    PERSONS,
    RELATIONS,
    inverted,
    is_past,
    singular,
)
from rag_assets.questions.plan import AnswerType, How, Plan, Reckoning, Step

# What a word of comparison asks of each side, which answer wins, and the type of the answers.
_ASKED: dict[str, tuple[str, How, AnswerType]] = {
    **{
        word: (f"How {plain} is {{}}?", "most", "measure")
        for word, plain in (
            ("larger", "large"), ("bigger", "big"), ("longer", "long"), ("taller", "tall"),
            ("higher", "high"), ("heavier", "heavy"), ("faster", "fast"), ("wider", "wide"),
            ("deeper", "deep"), ("broader", "broad"), ("thicker", "thick"), ("hotter", "hot"),
            ("warmer", "warm"), ("stronger", "strong"), ("steeper", "steep"),
        )
    },
    **{
        word: (f"How {plain} is {{}}?", "least", "measure")
        for word, plain in (
            ("smaller", "large"), ("shorter", "long"), ("lower", "high"), ("lighter", "heavy"),
            ("slower", "fast"), ("narrower", "wide"), ("shallower", "deep"), ("thinner", "thick"),
            ("colder", "cold"), ("cooler", "warm"),
        )
    },
    "cheaper": ("How much does {} cost?", "least", "money"),
    "dearer": ("How much does {} cost?", "most", "money"),
    "pricier": ("How much does {} cost?", "most", "money"),
    "more expensive": ("How much does {} cost?", "most", "money"),
    "less expensive": ("How much does {} cost?", "least", "money"),
    "more populous": ("How many people live in {}?", "most", "number"),
    "less populous": ("How many people live in {}?", "least", "number"),
}  # fmt: skip
_SUPERLATIVE = {
    word: comparative
    for comparative in _ASKED
    for word in (
        {comparative[:-2] + "est"} if comparative.endswith("er") else {
            comparative.replace("more ", "most ").replace("less ", "least ")
        }
    )
}  # fmt: skip
_AGES: tuple[tuple[frozenset[str], str], ...] = (
    (PERSONS, "When was {} born?"),
    (frozenset(["film", "movie", "album", "song", "book", "novel", "single", "version", "release", "update", "record"]),
     "When was {} released?"),
    (frozenset(["company", "band", "club", "school", "university", "museum", "firm", "yard", "newspaper", "magazine", "clinic", "hospital", "airline", "trust", "charity", "league", "team", "society", "party"]),
     "When was {} founded?"),
    (frozenset(["vessel", "ship", "ferry", "boat", "catamaran", "tug", "building", "bridge", "lighthouse", "house", "church", "castle", "harbour", "pier", "station", "engine", "hall", "tower", "plant", "berth"]),
     "When was {} built?"),
    (frozenset(["contract", "lease", "agreement", "treaty", "policy"]), "When was {} signed?"),
)  # fmt: skip
_ORDER = (
    r"(?P<order>first|last|(?:the )?(?:earliest|latest|earlier|later|sooner|soonest)|"
    r"more recently|(?:the )?most recently|before|after)"
)
_FIRST = frozenset({"first", "earlier", "earliest", "sooner", "soonest", "before"})
_WH = r"(?P<wh>who|which|what)(?:\s+(?P<noun>(?!of\b|one of\b)[^,]*?))?"
_HAS_ROLE = re.compile(
    rf"^(?:(?:whose|has (?:the|a)|had (?:the|a)) (?P<role>{RELATIONS})|"
    rf"with the (?P<role2>{RELATIONS}))(?: (?:who|that))?(?: (?:is|was|were))? (?P<rest>.+)$",
    re.IGNORECASE,
)
_THING_OF_SIZE = re.compile(
    r"^(?:has|have|had|with|offers?|uses?) (?:the |a |an )?(?P<word>[\w ]+?)(?P<of> [\w ]+)?$",
    re.IGNORECASE,
)


def compared(question: str) -> Plan | None:
    """The plan of a question that sets two or more things side by side, None if it does not."""
    text = " ".join(question.split()).rstrip("?. ")
    return (
        _choice(text) or _both(text) or _same(text) or _than(text) or _difference(text)
        or _sum(text)
    )  # fmt: skip


def _choice(text: str) -> Plan | None:
    options = options_of(text)
    if not 2 <= len(options) <= 5:
        return None
    predicate, wh, noun = _predicate(text, options)
    if not predicate:
        return None
    asks = _of_each(predicate, wh, noun)
    return _ranked(options, *asks) if asks else None


def _predicate(text: str, options: Sequence[str]) -> tuple[str, str, str]:
    """The question without its options: what is said of one, the question word, its noun."""
    first, last = re.escape(options[0]), re.escape(options[-1])
    span = rf"(?:either |the (?:film )?)?{first}.*?{last}"
    for pattern in (
        rf"^(?P<head>.+?)\s*(?:[,:]|\bout of|\bbetween|\bamong|\bof|,? (?:is it|was it))\s*(?:the )?{span}$",
        rf"^(?:between|of|out of|among)\s+{span},\s*(?P<head>.+)$",
        rf"^(?P<wh>which)(?: one)? of {span}\s+(?P<head>.+)$",
        rf"^(?P<be>was|were|is|are|did)\s+{span}\s+(?P<head>.+)$",
        rf"^(?P<head>(?:who|which|what)\b.+?)\s+{span}$",
    ):
        found = re.search(pattern, text, re.IGNORECASE)
        if not found:
            continue
        groups = found.groupdict()
        head = groups["head"].strip(" ,")
        if groups.get("be"):
            be = groups["be"].casefold()
            head = f"{'was' if be in ('was', 'were') else be} {head}" if be != "did" else head
            return head, "which", ""
        if groups.get("wh"):
            return head, "which", ""
        return _split_head(head)
    return "", "", ""


_HEAD = re.compile(
    r"^(?P<wh>who|which|what)\s+(?P<noun>(?:(?!is\b|are\b|was\b|were\b|has\b|have\b|had\b|can\b|"
    r"does\b|did\b|whose\b|with\b|came\b|will\b)[\w'-]+\s+){0,4}?)"
    r"(?P<said>(?:is|are|was|were|has|have|had|can|does|did|whose|with|came|will|[\w'-]+)\b.*)$",
    re.IGNORECASE,
)


def _split_head(head: str) -> tuple[str, str, str]:
    found = _HEAD.match(head)
    if not found:
        return "", "", ""
    best = found
    # The noun is the longest run before a word that is a verb.
    words = head.split()
    for n in range(1, min(6, len(words))):
        if _says(words[n]):
            noun = " ".join(words[1:n])
            return " ".join(words[n:]), words[0].casefold(), "" if noun == "one" else noun
    return best["said"], best["wh"].casefold(), best["noun"].strip()


def _says(word: str) -> bool:
    return (
        re.fullmatch(r"is|are|was|were|has|have|had|can|could|does|did|whose|with|came|will",
                     word, re.IGNORECASE) is not None
        or inverted(word) is not None
        or is_past(word)
    )  # fmt: skip


def _of_each(said: str, wh: str, noun: str) -> tuple[tuple[str, ...], How, AnswerType, str] | None:
    """Look-ups about ``{}``, the last of which is compared; how, its type, and the word."""
    said = re.sub(r"\s+(?:than the other|of (?:the|these|those) (?:two|three)|of them)$", "", said)
    said = re.sub(r"\bthat (?=is\b|was\b|has\b)", "", said)
    role = _HAS_ROLE.match(said)
    if role:
        name = (role["role"] or role["role2"]).casefold()
        verb = "" if re.match(r"(?:is|was|died|lived)\b", role["rest"]) else "was "
        inner = _of_each(
            role["rest"] if _simple(role["rest"]) else f"{verb}{role['rest']}", "who", "person"
        )
        if inner is None:
            return None
        questions, how, wants, word = inner
        if len(questions) != 1:
            return None
        return (f"Who is the {name} of {{}}?", questions[0].replace("{}", "{1}")), how, wants, word
    return (
        _in_time(said) or _older(said, wh, noun) or _more_of(said) or _sized(said) or _lived(said)
    )


def _simple(said: str) -> bool:
    return bool(re.match(r"(?:is|was|died|lived|has|had)\b", said)) or bool(
        re.match(r"(?:older|younger|the )", said)
    )


_Each = tuple[tuple[str, ...], How, AnswerType, str]


def _in_time(said: str) -> _Each | None:
    """Of "was born first", "came out earlier", "died later", "opens earliest"."""
    found = re.fullmatch(
        rf"(?P<be>is|was|were|are|has been|did|has)?\s*(?P<verb>[\w ]+?)\s+(?:the )?{_ORDER}"
        r"(?P<rest> (?:in|on|at|by|from|to) .+)?",
        said,
        re.IGNORECASE,
    )
    swapped = re.fullmatch(
        rf"(?P<be>is|was|were|are)\s+{_ORDER}\s+(?P<verb>\w+)(?P<rest> (?:in|on|at|by|from|to) .+)?",
        said, re.IGNORECASE,
    )  # fmt: skip
    found = swapped or found
    if not found:
        return None
    order = re.sub(r"^the ", "", found["order"].casefold())
    if order in ("before", "after"):
        return None
    how: How = "least" if order in _FIRST else "most"
    verb, rest = found["verb"].casefold(), found["rest"] or ""
    if found["be"] and found["be"].casefold() != "did":
        if not (is_past(verb.split()[-1]) or verb.split()[-1] == "born"):
            return None
        be = "is" if found["be"].casefold() in ("is", "are") else "was"
        wants: AnswerType = "date" if be == "was" else "time"
        return (f"When {be} {{}} {verb}{rest}?",), how, wants, order
    head, _, particle = verb.partition(" ")
    asks = inverted(head)
    if asks is None or particle not in ("", "out", "into service", "to an end", "service"):
        return None
    aux, base = asks
    particle = f" {particle}" if particle else ""
    # "Which film came out first": the past asks for a date, the present for a time of day.
    return (f"When {aux} {{}} {base}{particle}{rest}?",), how, (
        "date" if aux == "did" else "time"
    ), order  # fmt: skip


def _older(said: str, wh: str, noun: str) -> _Each | None:
    found = re.fullmatch(
        r"(?:is|was|are)?\s*(?:the )?(?P<word>older|oldest|younger|youngest|newer|newest)"
        r"(?: (?P<noun>[\w ]+))?", said, re.IGNORECASE,
    )  # fmt: skip
    if not found:
        return None
    word = found["word"].casefold()
    how: How = "least" if word.startswith("old") else "most"
    noun = (noun or found["noun"] or ("person" if wh == "who" else "")).casefold()
    head = singular(noun.split()[-1]) if noun else ""
    for nouns, ask in _AGES:
        if head in nouns:
            return (ask,), how, "date", word
    return None


def _more_of(said: str) -> _Each | None:
    """Of "has more cars", "can carry the most passengers in winter", "costs less"."""
    found = re.fullmatch(
        r"(?P<verb>(?:can|could|will|does|did) \w+|\w+) (?:the )?(?P<more>more|most|fewer|fewest|less|least)"
        r"(?: (?P<noun>[\w ]+?))?(?P<rest> (?:in|on|at|per|for|to|from|by|during) .+)?",
        said, re.IGNORECASE,
    )  # fmt: skip
    if not found:
        return None
    how: How = "most" if found["more"].casefold() in ("more", "most") else "least"
    verb, noun, rest = found["verb"].casefold(), found["noun"] or "", found["rest"] or ""
    word = f"{found['more'].casefold()} {noun}".strip()
    if not noun:
        known: dict[str, tuple[str, AnswerType]] = {
            "costs": ("How much does {} cost", "money"), "cost": ("How much did {} cost", "money"),
            "weighs": ("How much does {} weigh", "measure"),
            "weighed": ("How much did {} weigh", "measure"),
        }  # fmt: skip
        return ((f"{known[verb][0]}{rest}?",), how, known[verb][1], word) if verb in known else None
    if noun.split()[-1] in ("expensive", "recently", "populous", "recent", "often"):
        return None
    if re.match(r"(?:experience|scope|power|fuel|space|room|money|water|energy)\b", noun):
        many = "much"
    elif noun.split()[-1].endswith("s") or noun.split()[-1] in ("people", "children", "staff"):
        many = "many"
    else:
        return None
    pieces = verb.split()
    if len(pieces) == 2:
        asks: tuple[str, str] | None = (pieces[0], pieces[1])
    else:
        asks = inverted(verb)
    if asks is None:
        return None
    aux, base = asks
    return (f"How {many} {noun} {aux} {{}} {base}{rest}?",), how, "number", word


def _sized(said: str) -> _Each | None:
    """Of "is longer", "is the largest", "has the larger battery", "takes longer"."""
    taking = re.fullmatch(r"(?:takes?|lasts?|took|lasted) (?:the )?(?P<w>longer|longest|shorter|shortest)",
                          said, re.IGNORECASE)  # fmt: skip
    if taking:
        aux, base = inverted(said.split()[0]) or ("does", "take")
        how: How = "most" if taking["w"].startswith("long") else "least"
        return (f"How long {aux} {{}} {base}?",), how, "duration", taking["w"]
    found = re.fullmatch(
        r"(?P<verb>is|was|are|were|has|have|had|with|offers?|charges?|needs?)\s+(?:the |an? )?"
        r"(?P<word>(?:more|less|most|least) \w+|\w+)(?: (?P<noun>[\w' -]+?))?"
        r"(?P<rest> (?:in|on|at|per|for|to|from|by|during) .+)?",
        said, re.IGNORECASE,
    )  # fmt: skip
    if not found:
        return None
    word = found["word"].casefold()
    comparative = _SUPERLATIVE.get(word, word)
    if comparative not in _ASKED:
        return None
    ask, how, wants = _ASKED[comparative]
    rest = found["rest"] or ""
    if found["verb"].casefold() in ("is", "was", "are", "were"):
        if found["noun"]:  # "is the larger vessel": the noun repeats what it is
            return (f"{ask[:-1]}{rest}?",), how, wants, word
        be = found["verb"].casefold()
        ask = ask.replace(" is ", " was ") if be in ("was", "were") else ask
        return (f"{ask[:-1]}{rest}?",), how, wants, word
    noun = found["noun"]
    if not noun:
        return None
    told = f"{word} {noun}"
    money = re.search(
        r"\b(?:fare|price|fee|rent|salary|cost|budget|deposit|rate|revenue|tariff)$", noun
    )
    if money or comparative in ("cheaper", "more expensive", "less expensive", "dearer"):
        return (f"What is the {noun} of {{}}{rest}?",), how, "money", told
    return (f"{ask.replace('{}', f'the {noun} of {{}}')[:-1]}{rest}?",), how, wants, told


def _lived(said: str) -> _Each | None:
    if re.fullmatch(r"lived (?:the )?(?:longer|longest)", said):
        return ("When was {} born?", "When did {} die?"), "most", "duration", "lived longer"
    return None


def _ranked(
    options: Sequence[str], asks: tuple[str, ...], how: How, wants: AnswerType, word: str
) -> Plan:
    steps: list[Step | Reckoning] = []
    over: list[int] = []
    for option in options:
        begin = len(steps)
        for ask in asks:
            question = ask.replace("{1}", f"{{{begin + 1}}}").replace("{}", option)
            kind: AnswerType = wants
            if wants == "duration" and len(asks) == 2:
                kind = "date"
            elif ask is not asks[-1]:
                kind = "person"
            steps.append(Step(question, kind, option))
        if wants == "duration" and len(asks) == 2:  # a life: from its first date to its last
            steps.append(Reckoning("difference", (begin + 2, begin + 1)))
        over.append(len(steps))
    steps.append(Reckoning(how, tuple(over), word))
    return Plan(tuple(steps), (len(steps),), "name", tuple(options))


_BOTH = re.compile(
    r"^(?P<aux>are|were|do|did|have|can|is|was) (?:(?P<both>both) )?(?P<a>.+?) and (?P<b>.+?) (?P<both2>both )(?P<said>.+)$"
    r"|^(?P<aux3>are|were|do|did|have|can) both (?P<list>.+)$",
    re.IGNORECASE,
)
_ONE = {"are": "is", "were": "was", "do": "does", "have": "has", "did": "did", "can": "can"}
_NAME_RUN = (
    r"(?:the )?(?:[A-Z\d\ue000-\uf8ff][\w'.&:-]*|\([^)]*\))"
    r"(?: (?:(?:of|the|de|la|in|for|to|von|van|on|a)(?= (?:the )?[A-Z\d(])|[A-Z\d\ue000-\uf8ff][\w'.&:-]*|\([^)]*\)))*"
)


def _both(text: str) -> Plan | None:
    if re.search(r"\bsame\b", text):
        return None
    found = re.match(
        rf"^(?P<aux>are|were|do|did|have|can) (?:both )?(?P<a>{_NAME_RUN}) and (?P<b>{_NAME_RUN}) (?P<said>.+)$",
        text, re.IGNORECASE if not text[0].isupper() else 0,
    ) or re.match(
        rf"^(?P<aux>Are|Were|Do|Did|Have|Can) (?:both )?(?P<a>{_NAME_RUN}) and (?P<b>{_NAME_RUN}) (?P<said>.+)$",
        text,
    )  # fmt: skip
    if not found or not re.search(r"\bboth\b", text):
        return None
    aux = found["aux"].casefold()
    said = re.sub(r"^both ", "", found["said"])
    if aux in ("are", "were"):
        said = _one_of(said)
    aux = _ONE[aux]
    steps = [
        Step(f"{aux.capitalize()} {thing} {said}?", "yes_no", thing)
        for thing in (found["a"], found["b"])
    ]
    return Plan((*steps, Reckoning("both", (1, 2), "both")), (3,), "yes_no")


def _one_of(said: str) -> str:
    """Of "American documentaries" as "an American documentary"."""
    head, comma, rest = said.partition(" ")
    words = said.split()
    end = next((n for n, w in enumerate(words) if w in ("in", "of", "at", "on", "from", "by", "for")),
               len(words))  # fmt: skip
    if end and singular(words[end - 1]) != words[end - 1] and words[0] not in ("in", "at", "from"):
        noun = " ".join([*words[: end - 1], singular(words[end - 1])])
        article = "an" if noun[0].casefold() in "aeiou" else "a"
        return " ".join([article, noun, *words[end:]])
    return said


_SAME = re.compile(
    rf"^(?P<aux>Are|Were|Do|Did|Have|Is|Was) (?:both )?(?P<a>{_NAME_RUN}) and (?P<b>{_NAME_RUN}) "
    r"(?:both )?(?P<said>.*?)\s?(?:(?P<prep>from|of|in|at|on|by|to) )?the same (?P<what>[\w ]+?)$"
)


def _same(text: str) -> Plan | None:
    """Of "Are A and B from the same country?", "Do A and B have the same captain?"."""
    found = _SAME.match(text)
    if not found:
        return None
    said, prep, what = found["said"].strip(), found["prep"] or "", found["what"]
    aux = _ONE.get(found["aux"].casefold(), found["aux"].casefold())
    if aux in ("is", "was"):
        if not prep:
            return None
        ask = (
            f"What is the {what} of {{}}?" if prep == "of" and not said
            else f"Which {what} {aux} {{}} from?" if prep == "from" and not said
            else f"{prep.capitalize()} which {what} {aux} {{}} {said}".rstrip() + "?"
        )  # fmt: skip
    elif said in ("have", "share") and not prep:
        ask = f"What is the {what} of {{}}?"
    elif prep:
        ask = f"{prep.capitalize()} which {what} {aux} {{}} {said}?"
    else:
        ask = f"Which {what} {aux} {{}} {said}?"
    person = singular(what.split()[-1]) in PERSONS
    kind: AnswerType = "person" if person else "name"
    steps = [Step(ask.replace("{}", thing), kind, thing) for thing in (found["a"], found["b"])]
    return Plan((*steps, Reckoning("same", (1, 2), f"same {what}")), (3,), "yes_no")


_THAN = re.compile(
    rf"^(?P<aux>Is|Was|Does|Did|Can|Has) (?P<a>{_NAME_RUN}) (?P<said>.+?) than (?P<b>{_NAME_RUN})(?: (?:is|was|does|did|can))?$"
)


def _than(text: str) -> Plan | None:
    """Of "Is A longer than B?", "Does A carry more cars than B?"."""
    found = _THAN.match(text)
    if not found:
        return None
    aux, said = found["aux"].casefold(), found["said"]
    born = re.fullmatch(r"(?P<v>\w+) (?P<order>earlier|later)", said)
    if aux in ("does", "can", "did"):
        words = said.split()
        said = f"{aux} {said}" if len(words) > 2 or aux != "does" else said
    else:
        said = f"{aux} {said}"
    asks = _of_each(said, "", "")
    if asks is None or len(asks[0]) != 1:
        return None
    (ask,), how, wants, word = asks
    del born
    steps = [Step(ask.replace("{}", thing), wants, thing) for thing in (found["a"], found["b"])]
    result = Reckoning("above" if how == "most" else "below", (1, 2), word)
    return Plan((*steps, result), (3,), "yes_no")


def _difference(text: str) -> Plan | None:
    more = re.match(
        r"^how (?:many|much) (?P<more>more|fewer|less) (?P<noun>[\w ]+?) (?P<aux>can|does|did|do|has|will) "
        r"(?P<a>.+?) (?P<verb>[a-z]+) than (?P<b>.+?)(?P<rest> in (?:19|20)\d\d)?$",
        text, re.IGNORECASE,
    )  # fmt: skip
    if more and _one(more["a"]) and _one(more["b"]):
        many = "many" if singular(more["noun"]) != more["noun"] else "much"
        rest = more["rest"] or ""
        ask = f"How {many} {more['noun']} {more['aux']} {{}} {more['verb']}{rest}?"
        return _minus(ask, (more["a"], more["b"]), "number", more["more"] != "more", more["noun"])
    been = re.match(
        r"^how (?:much|many (?P<unit>\w+)) (?P<word>\w+er|more expensive) (?P<be>is|was) (?P<a>.+?) than (?P<b>.+)$",
        text, re.IGNORECASE,
    )  # fmt: skip
    if been and (_SUPERLATIVE.get(been["word"], been["word"])) in _ASKED:
        ask, how, wants = _ASKED[been["word"].casefold()]
        if _one(been["a"]) and _one(been["b"]):
            return _minus(ask, (been["a"], been["b"]), wants, how == "least", been["word"])
    costs = re.match(
        r"^how much (?P<more>more|less) (?P<aux>does|did|do) (?P<a>.+?) (?P<verb>cost|weigh|earn|pay) "
        r"(?P<mid>.*?)\s?than (?P<b>.+)$", text, re.IGNORECASE,
    )  # fmt: skip
    if costs and not costs["mid"]:
        ask = f"How much {costs['aux']} {{}} {costs['verb']}?"
        wants: AnswerType = "measure" if costs["verb"] == "weigh" else "money"
        return _minus(ask, (costs["a"], costs["b"]), wants, costs["more"] == "less", "")
    grew = re.match(
        r"^by how (?:many (?P<unit>[\w ]+?)|much) (?P<aux>did|has) (?P<what>.+?) "
        r"(?P<verb>grow|rise|increase|fall|drop|decrease|decline|shrink|change|go up|go down) "
        r"(?:from|between) (?P<y1>(?:19|20)\d\d) (?:to|and) (?P<y2>(?:19|20)\d\d)$",
        text, re.IGNORECASE,
    )  # fmt: skip
    if grew:
        what = grew["what"]
        down = grew["verb"] in ("fall", "drop", "decrease", "decline", "shrink", "go down")
        steps = [
            Step(f"What was {what} in {year}?", "number", f"{year}")
            for year in (grew["y1"], grew["y2"])
        ]
        over = (1, 2) if down else (2, 1)
        return Plan((*steps, Reckoning("difference", over, grew["verb"])), (3,), "number")
    between = re.match(
        r"^(?:what (?:is|was) the |how (?:big|large) (?:is|was) the )difference (?:in (?P<in>[\w ]+) )?between (?P<list>.+ and .+)$",
        text, re.IGNORECASE,
    )  # fmt: skip
    if between:
        return _between(between["in"] or "", between["list"])
    return None


def _between(what: str, pair: str) -> Plan | None:
    things = listed(pair)
    if len(things) != 2:
        return None
    if what:
        ask = f"What is the {what} of {{}}?"
        return _minus(ask, things, "number", False, f"difference in {what}")
    shared = re.match(
        r"^the (?P<n>[\w ]+?) (?P<prep>of|in|on|for|at) (?P<a>.+) and (?P<b>(?!the \w+ of).+)$",
        pair,
    )
    if shared and not re.match(r"the\b", shared["b"]):
        ask = f"What is the {shared['n']} {shared['prep']} {{}}?"
        return _minus(ask, (shared["a"], shared["b"]), "number", False, "difference")
    if all(re.match(r"the [\w ]+ (?:of|in|on|for|at) .+", thing) for thing in things):
        steps = [Step(f"What is {thing}?", "number", thing) for thing in things]
        result = Reckoning("difference", (1, 2), "difference")
        return Plan((*steps, result), (3,), "number")
    return None


def _one(thing: str) -> bool:
    """Whether it names one thing: no clause, no enumeration."""
    return len(thing.split()) <= 8 and not re.search(r",|\b(?:and|or|who|which|that)\b", thing)


def _minus(
    ask: str, things: Sequence[str], wants: AnswerType, swapped: bool, word: str
) -> Plan:  # fmt: skip
    steps = [Step(ask.replace("{}", thing), wants, thing) for thing in things]
    over = (2, 1) if swapped else (1, 2)
    return Plan((*steps, Reckoning("difference", over, word)), (3,), wants)


_TOGETHER = r"(?:altogether|together|in total|combined|in all)"


def _sum(text: str) -> Plan | None:
    found = re.match(
        rf"^how (?P<many>many|much) (?P<noun>[\w ]*?)\s?(?P<aux>do|does|did|can|have|will) "
        rf"(?P<list>.+ and .+?) (?P<verb>[a-z]+)(?P<rest> (?:in|on|at|per|for) [^,]+?)? {_TOGETHER}$",
        text, re.IGNORECASE,
    )  # fmt: skip
    if found:
        things = listed(found["list"])
        aux = {"do": "does", "have": "has"}.get(found["aux"].casefold(), found["aux"].casefold())
        noun = f"{found['noun']} " if found["noun"] else ""
        ask = f"How {found['many']} {noun}{aux} {{}} {found['verb']}{found['rest'] or ''}?"
        wants: AnswerType = "number" if found["many"] == "many" else "money"
        return _plus(ask, things, wants)
    total = re.match(
        r"^what (?:is|was) the (?:(?:total|combined) (?P<n>[\w ]+?)|(?:sum|total) of the (?P<n2>[\w ]+?)) "
        r"(?P<prep>of|on|for|in) (?P<list>.+ and .+)$", text, re.IGNORECASE,
    )  # fmt: skip
    if total:
        things = listed(total["list"])
        noun = singular(total["n"] or total["n2"])
        money = re.search(r"\b(?:cost|price|fare|fee|budget|rent|salary|revenue|deposit)s?$", noun)
        return _plus(
            f"What is the {noun} {total['prep']} {{}}?", things, "money" if money else "number"
        )
    return None


def _plus(ask: str, things: Sequence[str], wants: AnswerType) -> Plan | None:
    if not 2 <= len(things) <= 6 or not all(_one(thing) for thing in things):
        return None
    steps = [Step(ask.replace("{}", thing), wants, thing) for thing in things]
    over = tuple(range(1, len(steps) + 1))
    return Plan((*steps, Reckoning("sum", over, "altogether")), (len(steps) + 1,), wants)
