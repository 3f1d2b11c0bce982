r"""Whether two texts say the same: all their words, numbers and signs, without what layout adds.

A copy may differ from its original in white space, line breaks, hyphens, case, punctuation, markup
and page furniture. Any other word may be a fact: "diesel" and "petrol", "sesenta" and "setenta"
(60 and 70), a keyword of a programming interface. Which words are names cannot be told in scripts
without capitals, and a typing error cannot be told from another word. So no list of words says
what matters: texts say the same if nothing but layout tells them apart.

What counts as page furniture, line by line:

* page numbers: "Page 3 of 12", "- 3 -", or a number alone or after a head that counts the pages;
* print stamps: "Printed on 30.11.2026 10:22", the address line of a browser's print;
* the line numbers of a whole text; copyright lines; cookie notices and links for moving about;
* running heads: repeated lines that stand beside a page number or at a distance from one another.
  A head counts once, where it stands first. A copy may lack it as a whole if it stands on several
  pages and holds no number and no negation.

A text has a key for each way in which its heads may be missing from a copy, the first for none.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence, Set
from itertools import pairwise

import xxhash

VERSION = "1"  # of the keys: raise it when one comes out otherwise
N_KEYS = 3
LONGEST_FURNITURE = 160  # characters of a line
MIN_HEADS = 3  # repeats of a line without page numbers beside it
MIN_BETWEEN = 3  # lines between two page numbers, or two repeats of a head
MOST_HEAD_WORDS = 12
MIN_NUMBERED = 5  # lines

_PAGE = (
    r"(?:(?:pg|p|pag|pág|стр|str)\.|page|pages|seite|página|pagina|pàgina|страница|сторінка|strona"
    r"|strana|stránka|side|sida|sivu|oldal|sayfa|halaman|trang|σελίδα|صفحة|الصفحة|पृष्ठ|หน้า|第)"
)
_OF = r"(?:of|von|de|di|sur|van|av|af|z|ze|iz|из|з|din|dari|trên|του|من|का|จาก|共|/|\|)"
_PAGES = r"(?:页|頁|ページ|쪽|페이지)"
_EDGE = r"[\s\-\u2010-\u2015|·•.:,()\[\]]*"
_NUMBERED_PAGE = (
    rf"(?:{_PAGE}\.?\s*\d{{1,5}}\s*{_PAGES}?(?:{_EDGE}{_OF}\s*\d{{1,5}}\s*{_PAGES}?)?"
    rf"|\d{{1,5}}\s*(?:{_OF}\s*\d{{1,5}}\s*)?{_PAGES})"
)
_PAGE_LINE = re.compile(rf"{_EDGE}{_NUMBERED_PAGE}{_EDGE}|-\s*\d{{1,5}}\s*-|https?://\S+\s+\d+/\d+")
_HEADLINE = re.compile(r"[^\W\d_][^\d(){}\[\]=<>_;|`\"]*[^\W\d_.)]")
_DIGIT = re.compile(r"\d")
_MOST_NUMBER = 40  # characters of a page number
_BARE_NUMBER = re.compile(rf"{_EDGE}(\d{{1,5}}){_EDGE}")
_MOST_BARE = 16  # characters of one
_COUNTED = re.compile(rf"(.*?){_EDGE}(?<!\d)(\d{{1,4}})\s*{_OF}\s*(\d{{1,4}})")
# A page number that shares its line with a head; in prose ("see page 3") nothing parts them.
_PAGE_FIRST = re.compile(rf"^{_EDGE}{_NUMBERED_PAGE}\s*[|·•\u2013\u2014-]\s*(?=\D)")
_PAGE_LAST = re.compile(
    rf"(?:\s*[|·•\u2013\u2014-]\s*{_NUMBERED_PAGE}"
    rf"|\s{_PAGE}\.?\s*\d{{1,5}}\s*{_OF}\s*\d{{1,5}}){_EDGE}$"
)
_PRINTED = re.compile(
    r"\W*(?:printed|print date|date printed|print time|downloaded|exported|gedruckt|ausgedruckt"
    r"|druckdatum|heruntergeladen|imprimé|téléchargé|impreso|descargado|impresso|stampato|scaricato"
    r"|afgedrukt|gedownload|wydrukowano|udskrevet|utskrivet|utskriven|skrevet ut|tulostettu"
    r"|vytištěno|tipărit|yazd\u0131r\u0131ld\u0131|напечатано|распечатано|印刷日時?|打印日期|打印时间|인쇄일)\b.*?"
    r"(?:\d{4}[-./年]\d{1,2}[-./月]\d{1,2}|\d{1,2}[-./]\s?\d{1,2}[-./]\s?\d{2,4}|\d{1,2}:\d\d"
    r"|(?:19|20)\d\d).*"
)
_MOST_PRINTED = 80  # characters of a print stamp
_LEGAL = re.compile(
    r".*(?:©|\(c\)\s*(?:19|20)\d\d|\bcopyright\b.*(?:19|20)\d\d|all rights reserved"
    r"|alle rechte vorbehalten|tous droits réservés|todos los derechos reservados"
    r"|tutti i diritti riservati|todos os direitos reservados|alle rechten voorbehouden"
    r"|wszelkie prawa zastrzeżone|все права защищены|版权所有|無断転載).*"
    r"|\W*(?:(?:we|this (?:web)?site|our (?:web)?site) uses? cookies|wir verwenden cookies"
    r"|diese (?:web)?seite (?:verwendet|nutzt) cookies|ce site utilise des cookies"
    r"|este sitio (?:web )?utiliza cookies|questo sito utilizza (?:i )?cookie"
    r"|este site utiliza cookies|deze (?:web)?site gebruikt cookies).*"
    r"|\W*(?:skip to (?:main )?content|back to top|print this page|share this page"
    r"|zum inhalt springen|nach oben|seite drucken|haut de page|retour en haut|volver arriba"
    r"|torna su|imprimer cette page)\W*"
)
# What a line of _LEGAL holds: plain strings, as they are looked for in every line
_LEGAL_HINTS = (
    "©", "(c)", "copyright", "right", "recht", "droit", "derecho", "diritti", "direito", "prawa",
    "права", "权", "転載", "cookie", "content", "to top", "this page", "inhalt", "oben", "seite",
    "haut", "page", "arriba", "torna su",
)  # fmt: skip
_LINE_NUMBER = re.compile(r"\s*(\d{1,5})[.:)|]?\s+(?=\S)")
_NEGATIONS = re.compile(
    r"\b(?:not?|never|none|without|draft|void|cancelled|nicht|kein\w*|nie|ohne|entwurf|ungültig|pas"
    r"|non|sans|jamais|brouillon|sin|nunca|ningun\w*|senza|niet|geen|nie|bez|не|нет|без|não|sem|ikke"
    r"|inte|ei|değil|μη|δεν)\b|[不没無ない無非]|لا|ليس|नहीं|ไม่|않|아니"
)

# Signs between digits, kept where everything else that is no word goes
_SUPERSCRIPT = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹]")
_DASH = "-\u2010-\u2015\u2212"
_NUMBERS = re.compile(r"\d+(?: \d+)+")
_GROUPED = re.compile(r"\d{1,3}(?: \d{3})+")
_BETWEEN_DIGITS = re.compile(rf"(?<=\d)(?:[ \t]*[{_DASH}]\s+|[{_DASH}]|[.,:/'\u2019])(?=\d)")
_MINUS = re.compile(rf"[{_DASH}](?=\d)(?<![\w)\]{_DASH}][{_DASH}])")
_MARKUP = re.compile(r"^[\s>*#|•·▪●○◦‣\-\u2010-\u2015]+(?=\s|$)", re.MULTILINE)
_INNER = dict(zip(".,:/'\u2019-", "\ue000\ue001\ue002\ue003\ue004\ue004\ue005", strict=True))
_NEGATIVE = "\ue006"
_APART = "\ue007"  # between two numbers
_NO_SIGNS = frozenset("|~_^`*#\\@&")  # markup; "&" stands for a word that its copy may spell out
_RULE = re.compile(r"([=+<>])\1{2,}")


def keys_of(text: str) -> tuple[int, int, int]:
    """Hashes, unsigned 64 bits, of what a text says: with its heads, with one at the top, without.

    They are equal where there are no heads, or where heads may not be missing.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _SUPERSCRIPT.sub(r"^\g<0>", text))
    lines, heads, running = _without_furniture(text.casefold())
    lines = _once(lines, heads)
    full = _key(_said(lines))
    if not running or any(_tells(head) for head in running):
        return full, full, full
    titled = [line for at, line in enumerate(lines) if at == 0 or line not in running]
    key = full if titled == lines else _key(_said(titled))
    return full, key, _key(_said(titled[1:])) if lines[0] in running else key


def agree(left: Sequence[int], right: Sequence[int]) -> bool:
    """Whether texts with these keys say the same; heads that both have must be equal."""
    return left[0] in right or right[0] in left


def _key(said: str) -> int:
    return xxhash.xxh3_64_intdigest(said.encode("utf-8", "surrogatepass"))


def _said(lines: Sequence[str]) -> str:
    """The words, numbers and signs of lines, without a space but numbers kept apart."""
    text = _MARKUP.sub("", "\n".join(lines))
    text = _RULE.sub(" ", text)
    text = _BETWEEN_DIGITS.sub(_inner, text)
    text = _MINUS.sub(_NEGATIVE, text)
    for char in set(text):
        if not _is_kept(char):
            text = text.replace(char, " ")
    return _NUMBERS.sub(_grouped, " ".join(text.split())).replace(" ", "")


def _grouped(match: re.Match[str]) -> str:
    """Numbers in a row, or one number in groups of three digits: 10 000."""
    numbers = match[0]
    return numbers.replace(" ", "" if _GROUPED.fullmatch(numbers) else _APART)


def _inner(match: re.Match[str]) -> str:
    return _INNER.get(match[0], _INNER["-"])


def _is_kept(char: str) -> bool:
    """Whether a character says something: letters with their accents, digits, units, signs."""
    if char.isalnum():
        return True
    if char in _NO_SIGNS:
        return False
    category = unicodedata.category(char)
    return category[0] in "MN" or category in ("Sc", "Sm", "So", "Co") or char in "%‰§"


def _once(lines: Sequence[str], heads: Set[str]) -> list[str]:
    """The lines with each head only where it stands first."""
    seen: set[str] = set()
    found = []
    for line in lines:
        if line not in seen:
            found.append(line)
        if line in heads:
            seen.add(line)
    return found


def _tells(head: str) -> bool:
    """Whether a head may not be missing from a copy."""
    return any(char.isdigit() for char in head) or _NEGATIONS.search(head) is not None


def _without_furniture(text: str) -> tuple[list[str], set[str], set[str]]:
    """The lines that are left, heads among them, and those of these that run over pages."""
    stripped = map(str.strip, text.split("\n"))
    lines = _without_line_numbers([line for line in stripped if line])
    hints = [hint for hint in _LEGAL_HINTS if hint in text]
    kept: list[str] = []
    breaks: list[int] = []  # where in ``kept`` a page number was taken out
    marked: set[str] = set()  # lines that one was cut from
    counting = _page_counters(lines) | _counted_heads(lines)
    for number, line in enumerate(lines):
        if head := counting.get(number):
            marked.add(head)
            kept.append(head)
            breaks.append(len(kept))
        elif number in counting:
            breaks.append(len(kept))
        elif len(line) > LONGEST_FURNITURE:
            kept.append(line)
        elif _is_legal(line, hints):
            continue
        elif not _DIGIT.search(line):
            kept.append(line)
        elif _is_page_number(line):
            breaks.append(len(kept))
        elif len(line) > _MOST_PRINTED or not _PRINTED.fullmatch(line):
            cut = _without_page_number(line)
            if cut != line:
                marked.add(cut)
                breaks.append(len(kept))
            kept.append(cut)
    return kept, *_heads(kept, breaks, marked)


def _is_legal(line: str, hints: Sequence[str]) -> bool:
    return any(hint in line for hint in hints) and _LEGAL.fullmatch(line) is not None


def _is_page_number(line: str) -> bool:
    is_short = len(line) <= _MOST_NUMBER or line.startswith("http")
    return is_short and _PAGE_LINE.fullmatch(line) is not None


def _without_page_number(line: str) -> str:
    """A head without the page number that shares its line; any other line as it is."""
    cut = line
    if _DIGIT.search(line, 0, _MOST_NUMBER):
        cut = _PAGE_FIRST.sub("", cut, count=1)
    if _DIGIT.search(line, max(0, len(line) - _MOST_NUMBER)):
        tail = max(0, len(cut) - _MOST_NUMBER)
        cut = cut[:tail] + _PAGE_LAST.sub("", cut[tail:])
    cut = cut.strip()
    return cut if len(cut.split()) <= MOST_HEAD_WORDS else line


def _without_line_numbers(lines: list[str]) -> list[str]:
    """The lines without the numbers that count them all."""
    if len(lines) < MIN_NUMBERED:
        return lines
    matches = []
    for number, line in enumerate(lines, start=1):
        match = _LINE_NUMBER.match(line)
        if match is None or int(match[1]) != number:
            return lines
        matches.append(match)
    return [line[match.end() :] for line, match in zip(lines, matches, strict=True)]


def _page_counters(lines: Sequence[str]) -> dict[int, str]:
    """Which lines are bare numbers that count pages: one more each time, with text between."""
    found = [
        (at, int(match[1]))
        for at, line in enumerate(lines)
        if len(line) <= _MOST_BARE and (match := _BARE_NUMBER.fullmatch(line))
    ]
    if len(found) < 2:
        return {}
    for (at, n), (next_at, next_n) in pairwise(found):
        if next_n != n + 1 or next_at - at <= MIN_BETWEEN:
            return {}
    return {at: "" for at, _ in found}


def _counted_heads(lines: Sequence[str]) -> dict[int, str]:
    """Lines that end in 1/3, 2/3 and 3/3 after the same head; with it, it may be ""."""
    found: dict[tuple[str, int], list[tuple[int, int]]] = {}
    for at, line in enumerate(lines):
        is_short = len(line) <= LONGEST_FURNITURE and line[-1].isdigit()
        if is_short and (match := _COUNTED.fullmatch(line)):
            found.setdefault((match[1], int(match[3])), []).append((at, int(match[2])))
    return {
        at: head
        for (head, last), some in found.items()
        if last > 1 and [n for _, n in some] == list(range(1, last + 1))
        for at, _ in some
    }


def _is_headline(line: str) -> bool:
    """Whether it may be a running head without a page number: a few words, no code and no row."""
    return 2 <= len(line.split()) <= MOST_HEAD_WORDS and _HEADLINE.fullmatch(line) is not None


def _heads(
    lines: Sequence[str], breaks: Sequence[int], marked: set[str]
) -> tuple[set[str], set[str]]:
    """Repeated lines beside a page number or at a distance, and those on several pages."""
    running = set(marked)
    counts = Counter(line for line in lines if len(line) <= LONGEST_FURNITURE)
    beside: Counter[str] = Counter()
    for at in {0, *breaks, len(lines)} if breaks else ():
        beside.update(set(lines[max(0, at - 2) : at + 2]))
    for line, count in counts.items():
        if count > 1 and beside[line] > 1:
            running.add(line)
        elif count >= MIN_HEADS and _is_headline(line):
            places = [at for at, other in enumerate(lines) if other == line]
            apart = pairwise(places)
            if all(later - at > MIN_BETWEEN for at, later in apart):
                running.add(line)
    return running | {line for line in beside if counts[line] > 1}, running
