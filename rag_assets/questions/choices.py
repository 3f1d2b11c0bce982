"""Choices that a question offers: "A or B?", "A vs B", "Which of A, B and C", "Between A and B"."""

import re

_FRAMES = (
    re.compile(r"^which (?:one )?of (?!the\b(?!\s+[A-Z])|these\b|those\b|them\b)(?P<list>.+?)\s+"
               r"(?=(?:is|are|was|were|has|have|had|can|could|does|did|do|will|would|needs?|came|"
               r"costs?|carries|takes?|holds?|opens?|closes?|leaves?|[a-z]+(?:ed|s))\b)",
               re.IGNORECASE),
    re.compile(r"^(?:between|of|out of|among)\s+(?P<list>[^,]+(?:,[^,]+)*?(?:,)?\s+(?:and|"
               r"or)\s+[^,]+),\s*"
               r"(?=which|who|what|whose)", re.IGNORECASE),
    re.compile(r"\b(?:out of|between|among)\s+(?P<list>[A-Z\ue000-\uf8ff][^?]*?\s+(?:and|"
               r"or)\s+[^?]+?)\s*\?*$"),
)  # fmt: skip
_VERSUS = re.compile(r"\s+(?:vs\.?|versus)\s+", re.IGNORECASE)
_OR = re.compile(r"\s+or\s+", re.IGNORECASE)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_SUFFIX = re.compile(
    r"\s+(?:born|built|founded|released|opened|published|made|launched|first|last|earlier|later|"
    r"earliest|latest|older|younger|larger|longer|cheaper|faster|bigger|heavier|taller|"
    r"higher)\b.*$",
    re.IGNORECASE,
)


def options_of(question: str) -> tuple[str, ...]:
    """What a question lets one choose from, in order; empty where it offers no choice."""
    text = " ".join(question.split()).rstrip("?. ")
    for frame in _FRAMES:
        found = frame.search(text)
        if found:
            return listed(found["list"])
    if _VERSUS.search(text):
        tail = re.split(r"[,:]\s+", text)[-1]
        parts = [part for part in _VERSUS.split(tail)]
        if len(parts) > 1:
            return tuple(_named(part) for part in parts)
    if not _OR.search(text):
        return ()
    # Behind the comma or colon that ends the question proper: "Which is older, A or B?"
    if re.match(
        r"(?:which|what|who|whose|when|where|is|are|was|(?:in|on|at|of) which|how)\b", text, re.I
    ):
        behind = _behind_question(text)
        if behind:
            return listed(behind)
    names = re.search(
        r"(?P<a>(?:the )?[A-Z\d\ue000-\uf8ff][^,]*?)\s+or\s+(?P<b>(?:the "
        r")?[A-Z\d\ue000-\uf8ff][^,]*)$",
        text,
    )
    if names and re.match(r"(?:who|which|what|is|are|was|were|did|does|do|has|have)\b", text, re.I):
        before = re.search(
            r"(?:^|[a-z,]\s)(?P<a>(?:the "
            r")?[A-Z\ue000-\uf8ff][\w'.&()-]*(?:\s(?:[A-Z\d(][\w'.&()-]*|of|the|de|la|van|von))*)$",
            text[: names.end("a")].lstrip(),
        )
        second = _SUFFIX.sub("", names["b"])
        if before and not re.match(r"(?:who|which|what|is|are|was|were|did|does|do)\b$",
                                   before["a"], re.I):  # fmt: skip
            first = re.sub(r"^(?:Who|Which|What|Is|Are|Was|Were|Did|Does|Do|Has|Have)\s+", "",
                           before["a"])  # fmt: skip
            return (_named(first), _named(second))
    return _plain_or(text)


def _behind_question(text: str) -> str:
    """The list behind the question proper: after the comma or colon before the first option."""
    for sign in (", ", ": "):
        pieces = text.split(sign)
        for start in range(1, len(pieces)):
            head, tail = sign.join(pieces[:start]), sign.join(pieces[start:])
            begins = re.match(r"(?:and|but|or|who|which|that|in|on|at)\b(?! [A-Z])", tail)
            if _OR.search(tail) and not begins and len(head.split()) > 2:
                return tail
    return ""


def _plain_or(text: str) -> tuple[str, ...]:
    """Common words: "Is the fee paid monthly or yearly?", "open or closed"."""
    if not re.match(r"(?:is|are|was|were|does|do|did|can|must|should|will|has|have)\b", text, re.I):
        return ()
    found = re.search(
        r"\b(?P<a>[\w'-]+)\s+or\s+(?P<b>(?:an? |the |in |on |at |by )?[\w'-]+)$", text
    )
    if not found or found["b"].casefold() in ("not", "no", "more", "less", "so"):
        return ()
    return (found["a"], found["b"])


def listed(text: str) -> tuple[str, ...]:
    """The members of "A, B and C" or "A, B or C"; "and" within names of an "or" list stays."""
    text = text.strip(" ,?.")
    joint = _OR if _OR.search(text) else _AND
    *head, last = joint.split(text)
    members = [part for piece in head for part in piece.split(", ")] if head else []
    if not head:
        members, last = text.split(", ")[:-1], text.split(", ")[-1]
    if len({member.casefold() for member in members}) < len(members):
        members = head  # "No, No, Nanette" is one name
    return tuple(name for part in (*members, last) if (name := _named(part)))


def _named(text: str) -> str:
    text = re.sub(r"^(?:either|whether|both)\s+", "", text.strip(" ,?"), flags=re.IGNORECASE)
    return re.sub(r"^(?:the )?(?:film|movie)\s+(?=[A-Z])", "", text).strip()
