"""Pages that are no use as evidence, told by stated rules.

A page that is flagged by mistake is lost for every answer, one that is missed costs a little noise:
each threshold lies well outside what legitimate texts reach. The figures beside them were measured
on 39,600 such texts: fifteen public sets of passages, abstracts and articles (English, and parallel
passages in Arabic, Chinese, German, Greek, Hindi, Romanian, Russian, Spanish, Thai, Turkish and
Vietnamese), 770 pages of software manuals, and 935 files of code, JSON and licences. "At most 0.15
there" means that the most extreme of them has 0.15. Two were flagged, both
near-empty: "Cast & Crew." and "' of Russia.".

Lengths are counted in UTF-8 bytes: a Chinese or Thai character says about as much as three Latin
ones, and takes three bytes. Only the beginning of a text is looked at.
"""

import re
import zlib
from collections.abc import Sequence
from functools import partial

from rag_assets.documents.readers.blocks import Span

PREFIX = 20_000  # characters that are looked at; 5 kB take 0.1 to 0.2 ms

# near-empty: "Home", "Page 3", "Cast & Crew."; "the anchor" has 9 and may be what a note says.
MIN_BYTES = 9  # of letters and digits
MIN_TITLE_BYTES = 30  # where headings are all there is

# menu, link list. A list whose lines hold numbers (prices, dates) is a table to answer from.
MIN_LINK_SHARE = 0.8  # an index of terms has 0.7, a page of news in links 0.4
# One sentence is enough to keep a page: "The modules of this chapter are deprecated ..." heads a
# list of links in Python's manual, and broken HTML links whole articles. Titles are shorter.
MIN_SENTENCE = 60  # bytes, with a full stop
MIN_PROSE = 120  # bytes, without one
MAX_NUMBER_SHARE = 0.3  # of the lines, those with a digit
MAX_MENU_LINE = 24  # bytes a line on average; longer ones are titles
MIN_LINES = 3

# gibberish
MAX_UNDECODED = 0.1  # U+FFFD, private use, C1 controls, "(cid:12)"; at most 0.003 there
MAX_LATIN1 = 0.4  # of the letters, U+0080 to U+00FF: text in a wrong code page; at most 0.15 there
MAX_SYMBOLS = 0.6  # of what is no space, ASCII signs, runs of one sign once; at most 0.53 there
MAX_DUMP = 0.6  # of the bytes, in runs of 40 and more base64 signs; at most 0.34 there
MIN_DUMP_DIGITS = 0.08  # of these runs; base64 has 0.16, paths and options that run on have few
MAX_HEX = 0.15  # of the bytes, in words of up to 16 hex digits, both kinds; at most 0.06 there
MIN_VOWELS = 0.32  # of Latin letters; 2 of 28,900 passages are below, hammered keys far below
MAX_ODD_PAIRS = 0.1  # of pairs of letters, those in _ODD; at most 0.05 there, random letters 0.17
MIN_JUDGED = 150  # bytes or letters below which shares say nothing

# repetitive
MIN_COMPRESSED = 0.04  # deflated to this share; at least 0.053 there (generated JSON), prose 0.26
MIN_REPEATED = 1000  # bytes

# placeholder
MAX_NOTICE = 250  # bytes; a longer page may explain the error
MAX_CONSENT = 1500

_SPACE = b" \t\n"
_DIGITS = b"0123456789"
_LETTERS = bytes(range(65, 91)) + bytes(range(97, 123))
_SIGNS = bytes(c for c in range(33, 127) if not chr(c).isalnum())
_VOWELS = b"aeiouyAEIOUY"
_LEADS = bytes(range(0xC3, 0xF8))  # the first byte of a character beyond U+00BF
_UNDECODED = re.compile("[\ufffd\ue000-\uf8ff\x80-\x9f]|\\(cid:\\d+\\)")
_RUN = re.compile(rb"([^\w\s])\1+")
_DUMP = re.compile(rb"[A-Za-z0-9+/=_-]{40,}")
_HEX = re.compile(rb"\b(?=[0-9]*[a-fA-F])(?=[a-fA-F]*[0-9])[0-9a-fA-F]{2,16}\b")
_PAIR = re.compile(rb"[a-z](?=[a-z])")
# Each below 3 in 100,000 pairs in English, German, Spanish, Romanian, Turkish and Vietnamese.
_ODD = re.compile(
    rb"b(?=[kvx])|c(?=[jwx])|d(?=[xz])|f(?=[jqvx])|g(?=[jqx])|h(?=[jqvx])|j(?=[bdfghjkmpqrtvwxyz])"
    rb"|k(?=[cfjqvx])|l(?=x)|m(?=[jqvx])|p(?=[jq])|q(?=[cdefghijkmnoqrstvwxyz])|r(?=x)|s(?=[jx])"
    rb"|t(?=[jq])|v(?=[fghjkmpqtwxz])|w(?=[bgjkmpqvxz])|x(?=[bgjklnqrsz])|y(?=[hjqxy])"
    rb"|z(?=[fjkqrsx])"
)
_URL = re.compile(r"https?://\S+")
_PART = re.compile(r"(?<!\s)\s++[|·•»\u203a]\s+")  # from each run's start only: no squares
_SENTENCE = re.compile(r"[.!?。\uff01\uff1f؟।]['\")»”]*$")
_LINE = partial(re.compile, flags=re.IGNORECASE | re.MULTILINE)
_HTTP_ERROR = re.compile(
    r"\W*(?P<said>(?:http|error|fehler|erreur|errore|ошибка|エラー|错误)\W*)*"
    r"(?:4(?:0[0-9]|10|29)|50[0-4])\W*"
    r"(?P<reason>error|(?:page |file )?not found|forbidden|unauthorized|access denied|gone"
    r"|bad request|too many requests|internal server error|bad gateway"
    r"|service (?:temporarily )?unavailable|gateway time-?out|(?:seite )?nicht gefunden"
    r"|(?:page )?(?:introuvable|non trouvée)|(?:página )?no encontrada|pagina non trovata)?"
    r"\W*(?:\n|$)",
    re.IGNORECASE,
)
_NO_SCRIPT = re.compile(
    r"(?:enable|aktivier\w*|activ\w+|habilit\w+|abilit\w+|включите)\W+(?:\w+\W+)?javascript\b",
    re.IGNORECASE,
)
_CONSENT = _LINE(
    r"^\W*(?:accept|agree|allow|reject|decline|akzeptier|ablehnen|alle[ns]? |zustimmen|accepter"
    r"|refuser|tout |aceptar|rechazar|accetta|rifiuta|aceitar|akceptuj|принять|同意|接受)"
    r"(?:\W*\w+){0,3}\W*$"
)


def quality_flags(text: str, blocks: Sequence[Span], link_share: float) -> list[str]:
    """Why a document is no page to answer from; none for one that is.

    Flags, each by a rule of its own:
        near-empty: hardly any letters or digits, or no more than a short title.
        menu, link list: links to other pages, in short words or in titles, and no sentences.
        gibberish: bytes in a wrong encoding, dumps, signs without words, hammered keys.
        repetitive: the same few words over and over.
        placeholder: only says that a page is missing, or asks for cookies or JavaScript.

    ``link_share`` is that of link texts among the characters, in [0, 1]; 0 where the format does
    not tell.
    """
    head = text[:PREFIX]
    data = head.encode("utf-8", "replace")
    flags = []
    if _is_near_empty(data, blocks):
        flags.append("near-empty")
    if links := _links(head, blocks, link_share):
        flags.append(links)
    if _is_gibberish(head, data):
        flags.append("gibberish")
    if len(data) >= MIN_REPEATED and len(zlib.compress(data, 1)) < MIN_COMPRESSED * len(data):
        flags.append("repetitive")
    if _is_placeholder(head, len(data)):
        flags.append("placeholder")
    return flags


def _count(data: bytes, members: bytes) -> int:
    """How many bytes are among ``members``; far faster than a loop or a pattern."""
    return len(data) - len(data.translate(None, members))


def _is_near_empty(data: bytes, blocks: Sequence[Span]) -> bool:
    if len(data) > 4 * MIN_TITLE_BYTES:
        return False
    n_told = len(data.translate(None, _SPACE + _SIGNS))
    only_titles = all(block.kind == "heading" for block in blocks)
    return n_told < (MIN_TITLE_BYTES if only_titles else MIN_BYTES)


def _links(head: str, blocks: Sequence[Span], link_share: float) -> str | None:
    """``menu``, ``link list`` or neither."""
    has_urls = head.count("://") >= MIN_LINES
    if has_urls and sum(map(len, _URL.findall(head))) > MIN_LINK_SHARE * len(head):
        return "link list"
    if link_share < MIN_LINK_SHARE:
        return None
    lines = [line for block in blocks if block.start < PREFIX for line in _lines(head, block)]
    sizes = [len(line.encode("utf-8", "replace")) for line in lines]
    n_numbers = sum(any(map(str.isdigit, line)) for line in lines)
    if len(lines) < MIN_LINES or any(map(_is_prose, lines, sizes)):
        return None
    if n_numbers > MAX_NUMBER_SHARE * len(lines):
        return None
    return "menu" if sum(sizes) <= MAX_MENU_LINE * len(lines) else "link list"


def _lines(head: str, block: Span) -> list[str]:
    """What stands by itself in a block: lines, but the parts of a paragraph that holds a menu."""
    text = head[block.start : block.end]
    parts = _PART.split(text) if block.kind == "paragraph" else text.split("\n")
    return [part.strip() for part in parts if part.strip()]


def _is_prose(line: str, size: int) -> bool:
    """Whether a line of ``size`` bytes is more than a title."""
    return size >= MIN_PROSE or (size >= MIN_SENTENCE and _SENTENCE.search(line) is not None)


def _is_gibberish(head: str, data: bytes) -> bool:
    if len(data) < MIN_JUDGED:
        return False
    n_shown = len(data) - _count(data, _SPACE)
    n_ascii = _count(data, _LETTERS)
    n_letters = n_ascii + _count(data, _LEADS)
    n_latin1 = data.count(b"\xc3") + data.count(b"\xc2")
    return (
        n_latin1 > MAX_LATIN1 * (n_ascii + _count(data, _LEADS + b"\xc2"))
        or (len(data) > n_ascii and _is_undecoded(head, data))
        or _has_few_words(data, n_shown)
        or _is_dump(data, n_shown)
        or (n_ascii >= MIN_JUDGED and _is_hammered(data, n_letters))
    )


def _is_undecoded(head: str, data: bytes) -> bool:
    if not (b"(cid:" in data or b"\xef" in data or b"\xee" in data or b"\xc2" in data):
        return False
    return sum(map(len, _UNDECODED.findall(head))) > MAX_UNDECODED * len(head)


def _has_few_words(data: bytes, n_shown: int) -> bool:
    if _count(data, _SIGNS) <= MAX_SYMBOLS * n_shown:
        return False
    folded = _RUN.sub(rb"\1", data)  # dot leaders and rulers are no noise
    n_signs = _count(folded, _SIGNS)
    return n_signs > MAX_SYMBOLS * (len(folded) - _count(folded, _SPACE))


def _is_dump(data: bytes, n_shown: int) -> bool:
    if len(data) - n_shown < 0.08 * len(data):  # in spaced words 0.16 are spaces
        runs = b"".join(_DUMP.findall(data))
        has_digits = _count(runs, _DIGITS) > MIN_DUMP_DIGITS * len(runs)
        if has_digits and len(runs) > MAX_DUMP * len(data):
            return True
    if _count(data, _DIGITS) < 0.2 * n_shown:
        return False
    return sum(map(len, _HEX.findall(data))) > MAX_HEX * len(data)


def _is_hammered(data: bytes, n_letters: int) -> bool:
    """Letters as nobody's language has them; what is no ASCII letter counts as a vowel."""
    n_vowels = _count(data, _VOWELS + _LEADS)
    if n_vowels >= MIN_VOWELS * n_letters:
        return False
    lower = data.lower()
    n_pairs = len(_PAIR.findall(lower))
    return n_pairs >= MIN_JUDGED // 2 and len(_ODD.findall(lower)) > MAX_ODD_PAIRS * n_pairs


def _is_placeholder(head: str, size: int) -> bool:
    if size > MAX_CONSENT:
        return False
    if "cookie" in head.lower() and _CONSENT.search(head):
        return True
    if size > MAX_NOTICE:
        return False
    error = _HTTP_ERROR.match(head)
    is_error = error is not None and (error["said"] or error["reason"]) is not None
    return is_error or _NO_SCRIPT.search(head) is not None
