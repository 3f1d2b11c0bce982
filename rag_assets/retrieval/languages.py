"""The words by which a language asks: for yes or no, for a thing, for a choice, or by a command.

They are read only in questions of that language. "Was" begins a question for yes or no in English,
and asks for a thing in German; "of" offers a choice in Dutch alone.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

_CLAUSE = r"(?:^|[,:;.?!\u00bf]\s)\W*"
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Language:
    """How a language asks.

    Attributes:
        code: ISO 639-1.
        yes: what it says to agree.
        no: what it says to deny.
        words: by which a question of this language is known.
        opening: how a question for yes or no begins: it, or a part of it.
        asking: a word that asks for a thing, wherever it stands.
        choice: a word that offers a choice.
        first: how a sentence begins that asks or commands, with or without a question mark.
    """

    code: str
    yes: str
    no: str
    words: frozenset[str]
    opening: re.Pattern[str]
    asking: re.Pattern[str]
    choice: re.Pattern[str]
    first: re.Pattern[str]


def _language(
    code: str,
    yes: str,
    no: str,
    *,
    verbs: str,
    asking: str,
    either: str,
    common: str,
    commands: str,
    joint: str = "",
    also: str = "",
) -> Language:
    """A language by its words, each list parted by white space.

    Args:
        code: ISO 639-1.
        yes: what it says to agree.
        no: what it says to deny.
        verbs: that begin a question for yes or no.
        asking: words that ask for a thing and have no other use. (A question that begins with
            another one, such as "que", begins with no verb, and needs no list.)
        either: what offers a choice.
        common: further words that are frequent in questions.
        commands: verbs that begin a command.
        joint: conjunctions that may stand before all this.
        also: a pattern of further ways to begin a question for yes or no.
    """
    before = rf"{_CLAUSE}(?:(?:{_any(joint)})\s+)?" if joint else _CLAUSE
    begins = rf"{before}(?:{_any(verbs)})(?:n['\u2019]t)?\s+\W*\w"
    choice = rf"\b(?:{_any(either)})\b"
    said = " ".join((verbs, asking, either, common)).casefold().split()
    opens = rf"(?:{_any(asking)}|{_any(verbs)}|{_any(commands)})\b"
    return Language(
        code,
        yes,
        no,
        frozenset(said),
        re.compile(f"{begins}|{also}" if also else begins, re.IGNORECASE),
        re.compile(rf"\b(?:{_any(asking)})\b(?!\s+{choice})", re.IGNORECASE),
        re.compile(choice, re.IGNORECASE),
        re.compile(rf"^\W*(?:(?:{_any(joint or 'please')})\s+)?{opens}", re.IGNORECASE),
    )


def _any(words: str) -> str:
    return "|".join(map(re.escape, words.split()))


ENGLISH = _language(
    "en",
    "Yes",
    "No",
    verbs="""
    is are was were do does did has have had can could will would should may might must
    """,
    asking="who whom whose what which where when why how",
    either="or",
    common="""
    a about an any at by for from if in it me my not of on than that the there they this to with you
    """,
    commands="""
    calculate compare count define describe explain find give identify list mention name outline
    point provide quote recommend say show state sum summarise summarize tell translate write
    """,
    joint="and but so please",
)
GERMAN = _language(
    "de",
    "Ja",
    "Nein",
    verbs="""
    ist sind war waren hat haben hatte hatten kann können konnte konnten darf dürfen durfte durften
    muss müssen musste mussten soll sollen sollte sollten will wollen wird werden wurde wurden würde
    würden gibt gab fährt fahren gilt gelten geht gehen kommt kommen hält trägt nimmt lässt
    """,
    asking="""
    was wer wen wem wessen wann wo wohin woher warum weshalb wieso wie wieviel wieviele welche
    welcher welches welchen welchem womit wofür wozu woran
    """,
    either="oder",
    common="""
    als an auf aus bei das dem den der des die durch ein eine einem einen einer eines es für im in
    kein keine mich mir mit nach nicht pro sich sie über um und vom von vor zu zum zur
    kostet heißt
    """,
    commands="""
    nenne nennen liste erkläre erklären beschreibe vergleiche zähle zeige gib sag sage schreibe
    """,
    joint="und aber bitte",
    # any other verb that a subject follows: "Kostet die Fahrt ...?"; never a noun and its genitive
    also=rf"{_CLAUSE}[^\W\d_]+(?:t|en)\s+(?:die|das|ein|eine|es|er|man|ich|wir)\b[^?]*\?",
)
_FRENCH = _language(
    "fr",
    "Oui",
    "Non",
    verbs="""
    est sont était étaient a ont avait avez peut peuvent pouvez doit doivent faut
    """,
    asking="""
    qui quoi quand où pourquoi comment combien quel quelle quels quelles lequel laquelle lesquels
    lesquelles
    """,
    either="ou",
    common="""
    au aux avec ce cette ces d dans de des du elle en et il ils j je l la le les moi n ne pas par
    plus pour qu que s se sur un une y
    """,
    commands="""
    calculez cite citez comparez compare dites décris décrivez donne donnez explique expliquez liste
    listez nomme nommez résume résumez
    """,
    joint="et mais",
    # "Est-ce que ...?", "Les chiens sont-ils ...?", "Y a-t-il ...?"
    also=r"(?<!['\u2019])\best-ce\s+qu(?!i)|\b[^\W\d_]+-(?:t-)?(?:il|elle|ils|elles|on|vous|nous|tu|je)\b",
)
_SPANISH = _language(
    "es",
    "Sí",
    "No",
    verbs="""
    es son está están era eran fue fueron hay había ha han tiene tienen tenía puede pueden puedo
    podía debe deben hace cuesta cuestan sale salen abre cierra incluye incluyen acepta aceptan
    existe existen necesita necesito se
    """,
    asking="""
    qué quién quiénes cuándo dónde adónde cómo cuánto cuánta cuántos cuántas cuál cuáles
    """,
    either="o u",
    common="""
    a al cuál con de del dónde el en la las lo los más me mi no para por que quien si su sus un una
    y cuando donde como cuanto cual
    """,
    commands="""
    calcula cita compara cuenta da dame describe di dime enumera explica haz indica lista menciona
    muestra nombra resume
    """,
    joint="y pero",
)
_ITALIAN = _language(
    "it",
    "Sì",
    "No",
    verbs="""
    è sono era erano fu c'è ha hanno aveva può possono posso deve devono costa costano parte partono
    apre chiude include esiste esistono serve servono accetta si
    """,
    asking="chi cosa quando dove perché quanto quanta quanti quante quale quali qual",
    either="o oppure",
    common="""
    a ai al alla alle che come con da dal dalla dei del della delle di e gli i il in la le lo ma nel
    nella non per più su sul sulla un una uno
    """,
    commands="""
    calcola cita confronta descrivi dimmi elenca indica nomina mostra riassumi spiega
    """,
    joint="e ma",
)
_PORTUGUESE = _language(
    "pt",
    "Sim",
    "Não",
    verbs="""
    é são está estão era eram foi foram há havia tem têm tinha pode podem posso deve devem custa
    custam parte partem abre fecha inclui existe existem aceita aceitam precisa
    """,
    asking="""
    quem quando onde quanto quanta quantos quantas qual quais porquê
    """,
    either="ou",
    common="""
    a ao aos as com como da das de do dos e em mais na nas no nos não o os para pela pelo por porque
    que se sua um uma
    """,
    commands="""
    calcule cite compare conte dê descreva diga enumere explique indique liste mencione mostre
    nomeie resuma
    """,
    joint="e mas",
)
_DUTCH = _language(
    "nl",
    "Ja",
    "Nee",
    verbs="""
    is zijn was waren heeft hebben had hadden kan kunnen kon konden mag mogen mocht moet moeten
    moest wordt worden werd werden zal zullen zou zouden gaat gaan geldt kost kosten vaart varen
    vertrekt komt doet ligt staat
    """,
    asking="wat wie wiens wanneer waar waarom waarheen hoe hoeveel welk welke",
    either="of",
    common="""
    aan bij dat de deze die dit een en er het hij ik in je met mijn naar niet om op over te tot u
    uit van voor we wij ze zij
    """,
    commands="""
    beschrijf bereken geef leg lijst noem som tel toon vergelijk vertel
    """,
    joint="en maar",
)
# Of languages that are as likely the first is taken: English.
_LANGUAGES = (ENGLISH, GERMAN, _FRENCH, _SPANISH, _ITALIAN, _PORTUGUESE, _DUTCH)


@lru_cache(maxsize=256)
def language_of(question: str) -> Language:
    """The language with most of the question's words; English if none has any."""
    words = [word.casefold() for word in _WORD.findall(question)]
    return max(_LANGUAGES, key=lambda language: sum(word in language.words for word in words))


def asks(sentence: str, language: Language) -> bool:
    """Whether a sentence asks or commands, by its mark or by its first word."""
    end = sentence.rstrip("\"'\u2019\u201d)] ")
    return end.endswith(("?", "\uff1f", "\u061f")) or language.first.search(sentence) is not None
