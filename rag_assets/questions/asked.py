"""What a question asks for: its kind, the type of its answer, the names and times in it."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Literal

from rag_assets.questions.choices import options_of
from rag_assets.questions.english import AUXILIARY, QUESTION_WORD, flat
from rag_assets.questions.plan import AnswerType
from rag_assets.questions.times import MONTH, When, times_in
from rag_assets.questions.wants import wanted

Kind = Literal[
    "lookup", "yes_no", "choice", "definition", "how_to", "list", "count", "comparison",
    "negation", "summary", "corpus", "keywords", "imperative",
]  # fmt: skip

_IMPERATIVES = (
    r"(?:list|name|give|show|tell|find|enumerate|state|describe|explain|summari[sz]e|compare|"
    r"outline|count|say|print|provide|write|translate|calculate|identify|mention)"
)
_PLEASE = re.compile(
    r"^(?:please[,\s]+|(?:can|could|would|will) you (?:please )?"
    rf"(?={_IMPERATIVES}\b)|i (?:want|need|would like|'d like) (?:you )?to (?:know )?)+",
    re.IGNORECASE,
)
_COLLECTION = (
    r"(?:documents?|files?|sources?|collection|corpus|library|index|texts?|papers?|pages?)"
)
_BY_WORDS: tuple[tuple[Kind, str], ...] = (
    (
        "corpus",
        rf"^(?:how many|which|what|list|show)(?: (?:all|me|the|of))* {_COLLECTION}\b"
        rf"|^what (?:is|are) (?:this|these|those|it|they|here|(?:the|this|these) {_COLLECTION})"
        rf"(?: {_COLLECTION})? about\b"
        r"|^what (?:topics|subjects)\b.*\b(?:cover|covered|here)\b"
        r"|^(?:what|which) (?:is|are) the (?:newest|latest|oldest|most recent) "
        rf"(?:[\w-]+ ){{0,2}}(?:{_COLLECTION}|reports?|minutes|manuals?|handbooks?|notices?|"
        r"contracts?|invoices?|versions? of (?:this|these))\W*$"
        r"|^(?:the )?(?:newest|latest|oldest|most recent) (?:document|report|file)s?\W*$"
        rf"|^(?:wie viele|welche) (?:dokumente|dateien)\b|^worum geht es (?:hier|in "
        rf"diese[nrm])",
    ),
    (
        "summary",
        r"^(?:summari[sz]e|sum up|outline|give (?:me )?(?:an? |the )?(?:\w+ )?(?:summary|"
        r"overview|outline))\b"
        r"|^what (?:is|are) the (?:main|key) (?:points?|ideas?|findings?|message)\b"
        r"|^what does (?:the|this) (?:document|report|file|text|paper|page) (?:say|deal "
        r"with)\W*$"
        r"|^(?:fasse?|fass)\b.* zusammen\b",
    ),
    (
        "how_to",
        r"^how (?:do|can|should|must|may|would) (?:i|you|we|one|passengers?|users?|customers?|"
        r"members?|visitors?|patients?|people|staff|crews?)\b(?! (?:know|feel))"
        r"|^how to\b|^how (?:is|are) .* (?:installed|configured|booked|reset|started|renewed|"
        r"cleaned|set up|done|made|replaced|calibrated)\W*$|^what (?:are the )?steps\b"
        r"|^wie (?:kann|muss|soll) (?:ich|man|wir)\b|^comment (?:puis-je|peut-on|faire)\b",
    ),
    (
        "definition",
        r"^(?:define|what does .+ (?:mean|stand for)|what is meant by|what is the (?:meaning|"
        r"definition) of)\b"
        r"|^what (?:is|are) (?:an? )[\w' -]{2,40}\W*$|^who or what (?:is|was)\b"
        r"|^what is [A-Z][\w-]*\?$|^was (?:ist|sind|bedeutet|heißt) (?:ein|eine)?\b",
    ),
    (
        "list",
        r"^(?:list|enumerate|name (?:all|the|every|each))\b|^(?:give|show|tell)(?: me)? (?:a "
        r"list of|all)\b"
        r"|^(?:what|which) are (?:all )?(?:the )?\w+"
        r"|^(?:which|what) (?!is\b|was\b|does\b|did\b|has\b|year\b)(?:\w+ ){0,2}?"
        r"(?:are|were|do|have|can|may)\b(?! (?:i|you|we|it)\b)|^wh(?:ich|at) of\b.* are\b",
    ),
    (
        "count",
        r"^(?:in |on |at |by |for |to )?how many\b|^what (?:is|was) the number of\b"
        r"|^(?:wie ?viele|combien de|quanti|quante|cuántos|cuántas|hoeveel|hur många|"
        r"hvor mange)\b",
    ),
)
_KINDS = tuple((kind, re.compile(words, re.IGNORECASE)) for kind, words in _BY_WORDS)
_NEGATION = re.compile(
    r"\b(?:not|no longer|never|without|except|other than|n[o']t|cannot|lacks?)\b"
    r"|\b(?:has|have|had|with|is|are|does|accept|offer)s? no\b|n't\b",
    re.IGNORECASE,
)
_COMPARES = re.compile(
    r"\b(?:compare[ds]?|comparison|difference between|differ|versus|vs\.?)\b"
    r"|\bmore .{2,60} than\b|\b(?!other|rather|later? than\b)\w{3,}er than\b|\bless .{0,60}than\b",
    re.IGNORECASE,
)
_YES_NO = re.compile(rf"^(?:and |but |so )?{AUXILIARY}(?:n't)?\s+\w", re.IGNORECASE)
_QUESTION = re.compile(
    rf"\b{QUESTION_WORD}\b|\b(?:wer|wem|wen|wessen|wann|wo|wohin|woher|wie|warum|weshalb|"
    rf"welche[rsnm]?|"
    r"wieviele?|quand|où|qui|quel(?:le)?s?|comment|pourquoi|combien|cuándo|dónde|quién|cuál(?:es)?|"
    r"cómo|quando|dove|chi|quale|quali|perché|wanneer|waar|welke?|hoe|när|vem|var|vilken|hur)\b",
    re.IGNORECASE,
)
# A name: capitalised words in a run, with numbers and small words inside, or a quotation, or code.
_WORD = r"[A-ZÀ-ÖØ-Þ\ue000-\uf8ff][\w'.&/+-]*"
_NAME = re.compile(
    r"[\"“”„]([^\"“”„]{2,80})[\"“”]|`([^`]+)`"
    rf"|\b({_WORD}(?:[ ](?:(?<=[a-z][ ])(?:of|the|de|la|le|du|van|von|der|den|and|for|in)[ ]"
    rf"(?:the[ ])?(?={_WORD})(?!{MONTH}(?:[ ]\d|\W*$)))?"
    rf"(?:{_WORD}|\d[\w.]*))*(?:\s\([A-Z][^()]*\))?)"
    r"|\b([a-z]+[-_.]?\d[\w.-]*|\w+[_]\w+)|(?<!\S)(--?[a-z][\w-]+)",
)
_STARTERS = re.compile(
    rf"^(?:{QUESTION_WORD}|{AUXILIARY}|{_IMPERATIVES}|in|on|at|by|for|from|to|of|according|and|the|"
    r"a|an|please|between|under|during|after|before|since|until|if|was|ist|sind|wer|wann|wo|wie|"
    r"warum|welche[rsnm]?|qui|quand|où|comment|quel(?:le)?s?|i|it|that|this|these|those|with|below|"
    r"above|about)\b'?\s*",
    re.IGNORECASE,
)
_IS_TIME = re.compile(rf"{MONTH}(?: \d[\d, ]*)?")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question asks for.

    Attributes:
        kind: of question.
        wants: the type of the answer.
        unit: the words of its unit or of what is counted: "cars", "kWh"; "" for none.
        options: of a choice.
        names: capitalised or quoted runs, and codes.
        times: that the question names.
        language: two letters, "en" where nothing tells.
        negated: whether it asks for what is not so.
    """

    kind: Kind
    wants: AnswerType
    unit: str
    options: tuple[str, ...]
    names: tuple[str, ...]
    times: tuple[When, ...]
    language: str
    negated: bool

    def period(self, today: date) -> tuple[date, date] | None:
        """First and last day of the time that it names, None if none or several."""
        periods = [period for when in self.times if (period := when.period(today))]
        return periods[0] if len(periods) == 1 else None


def asked(question: str) -> Asked:
    """What ``question`` asks for, by its words."""
    text = flat(question)
    plain = _PLEASE.sub("", text)
    language = language_of(text)
    options = options_of(plain)
    kind = _kind(plain, language, options)
    wants, unit = wanted(plain) if kind not in ("yes_no", "summary") else ("text", "")
    if kind == "yes_no":
        wants = "yes_no"
    elif kind == "choice" and wants == "text":
        wants = "name"
    return Asked(
        kind, wants, unit, options, names_in(text), times_in(text), language,
        _NEGATION.search(text) is not None,
    )  # fmt: skip


def _kind(text: str, language: str, options: tuple[str, ...]) -> Kind:
    for kind, pattern in _KINDS[:4]:
        if pattern.search(text):
            return kind
    if options:
        return "choice"
    starts_yes_no = _YES_NO.match(text) is not None and language == "en"
    if starts_yes_no:
        return "yes_no"
    if _COMPARES.search(text):
        return "comparison"
    if _NEGATION.search(text) and re.match(r"^(?:which|what|who|list|name)\b", text, re.I):
        return "negation"
    for kind, pattern in _KINDS[4:]:
        if pattern.search(text):
            return kind
    if re.match(rf"^{_IMPERATIVES}\b", text, re.IGNORECASE) and len(text.split()) > 2:
        return "imperative"
    if not text.endswith("?") and not _QUESTION.search(text):
        return "keywords"
    if language == "de" and re.match(
        r"^(?:ist|sind|war|waren|hat|haben|kann|können|darf|dürfen|muss|müssen|gibt|wird|werden)\b",
        text, re.IGNORECASE,
    ):  # fmt: skip
        return "yes_no"
    return "lookup"


def names_in(question: str) -> tuple[str, ...]:
    """Names in a question: capitalised and quoted runs, codes; each once, in order; no months."""
    found: dict[str, None] = {}
    for match in _NAME.finditer(question):
        name = next(group for group in match.groups() if group)
        if match.start() == 0 or question[: match.start()].rstrip().endswith((".", "?", "!", ":")):
            while (shorter := _STARTERS.sub("", name, count=1)) != name:
                name = shorter
        name = name.rstrip(".,;:'").removesuffix("'s").strip()
        if _IS_TIME.fullmatch(name):
            continue
        if len(name) > 1 or any("\ue000" <= letter <= "\uf8ff" for letter in name):
            found.setdefault(name)
    return tuple(found)


_FUNCTION_WORDS = {
    "en": "the of is are was were how what which who when where why does did do and in on for to "
    "with by from can has have a an many much that it this",
    "de": "der die das den dem des ein eine einen einem einer ist sind war wie wer wann wo warum "
    "welche welcher welches welchem und für in im am auf von mit nicht kostet wird werden zu bei "
    "viele",
    "fr": "le la les des du un une est sont qui quand où comment pourquoi quel quelle combien et "
    "dans pour sur avec de que au aux à",
    "es": "el la los las un una es son quién cuándo dónde cómo por qué cuál cuánto cuántos y en "
    "para con de del al que",
    "it": "il in lo la gli le un una è sono chi quando dove come perché quale quanto quanti e per "
    "con di del della che",
    "nl": "de het een is zijn wie wanneer waar hoe waarom welke hoeveel en in voor met van op naar",
    "sv": "den det en ett är vem när var hur varför vilken många och i för med av på till som",
    "pt": "o a os as um uma é são quem quando onde como por quê qual quanto e em para com do da",
}  # fmt: skip
_STARTS = "who what which where when why how whose are does did were according please"
_ENGLISH_STARTS = frozenset(_STARTS.split())
_WORDS = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}


def language_of(question: str) -> str:
    """The language that the function words tell, "en" where none tells more."""
    words = re.findall(r"[^\W\d_]+", question.casefold())
    if words and words[0] in _ENGLISH_STARTS:
        return "en"  # names in other languages count for nothing
    scores = {language: sum(word in known for word in words) for language, known in _WORDS.items()}
    best = max(scores.values(), default=0)
    return "en" if scores["en"] == best else next(k for k, v in scores.items() if v == best)
