"""Which of two related documents is the newer version of the other, by their names and dates.

Two documents are versions of one if they have the same name but for a mark, in the path
("fares-2023.md" and "fares-2024.md", "v1/install.md" and "v2/install.md", "archive/rules.md" and
"rules.md") or in the title ("Fares 2023" and "Fares 2024"). The same path in another format counts
as well. What is newer is said by the first of these that differs: a word ("old", "draft",
"archive" against "final", "current"), the revision, the date in the name, the date that the
document states of itself. Where none differs, none supersedes the other.

Names that differ in anything else, such as a ship, are names of different documents. Minutes,
invoices and other records of one occasion never supersede those of another.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Self

_OLD_WORDS = """
    archive archives archived old older previous superseded obsolete outdated deprecated expired
    draft drafts backup archiv alt entwurf veraltet ungültig vorherig ancien ancienne brouillon
    périmé antiguo anterior obsoleto borrador antigo rascunho vecchio bozza oud concept arkiv
    gammal gammel utkast
"""
_NEW_WORDS = """
    final current latest new neu aktuell endfassung actuel nouveau nuevo actual novo nuovo nieuw
    ny gjeldende
"""
_OLD = frozenset(_OLD_WORDS.split())
_NEW = frozenset(_NEW_WORDS.split())
_COPY = re.compile(
    r"^(?:copy|kopie|copie|copia|kopia|kopi)(?: of| von| de| di| av)? | (?:copy|kopie)$"
)
# Of one day, person or sale: the later one does not replace the earlier.
_OF_AN_OCCASION = re.compile(
    r"\b(?:minutes|meetings?|agenda|protocol|invoices?|receipts?|bills?|orders?|statements?"
    r"|payslips?|tickets?|vouchers?|quotes?|logs?|logbook|diary|journal|newsletter|press"
    r"|protokolle?|sitzung|rechnung(?:en)?|quittung|bestellung|gutschrift|lieferschein|tagebuch"
    r"|procès|compte rendu|factures?|reçu|commande|actas?|facturas?|recibos?|pedidos?|ata|atas"
    r"|faturas?|verbal[ei]|fattur[ae]|ricevut[ae]|notulen|facturen|factuur|referat|faktura|kvitto)\b"
)
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janvier enero januari gennaio janeiro",
            "february feb februar février febrero februari febbraio fevereiro",
            "march mar märz mars marzo maart março",
            "april apr avril abril aprile",
            "may mai mayo mei maggio maio",
            "june jun juni juin junio giugno junho",
            "july jul juli juillet julio luglio julho",
            "august aug août agosto augustus",
            "september sep sept septembre septiembre settembre setembro",
            "october oct oktober okt octobre octubre ottobre outubro",
            "november nov novembre noviembre novembro",
            "december dec dezember dez décembre diciembre desember dicembre dezembro",
        ),
        start=1,
    )
    for name in names.split()
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_YEAR = r"(?:19|20)\d\d"
_SEP = r"[ ._/-]?"
_DATE = re.compile(
    rf"(?<!\d)(?P<y>{_YEAR}){_SEP}(?P<m>0[1-9]|1[0-2])(?:{_SEP}(?P<d>0[1-9]|[12]\d|3[01]))?(?!\d)"
    rf"|(?<!\d)(?P<d2>\d{{1,2}})[./-](?P<m2>\d{{1,2}})[./-](?P<y2>{_YEAR})(?!\d)"
    rf"|(?:(?<!\d)(?P<d3>\d{{1,2}})\.? )?\b(?P<n3>{_MONTH})\.? "
    rf"(?:(?P<d4>\d{{1,2}}),? )?(?P<y3>{_YEAR})(?!\d)"
    rf"|\bq(?P<q5>[1-4])[ -]?(?P<y5>{_YEAR})|(?<!\d)(?P<y6>{_YEAR})[ -]?q(?P<q6>[1-4])\b"
    rf"|(?<![\d.])(?P<y7>{_YEAR})(?:[/-](?P<s7>\d\d)(?!\d))?(?![\d.]*\d)"
)
_REVISED = (
    "version|versión|versione|versão|versie|rev|revision|révision|revisión|edition|édition|edición"
    "|edizione|ausgabe|fassung|release"
)
_REVISION = re.compile(
    rf"\b(?:{_REVISED}|v|ver|r|ed)[ .:]*(?P<n>\d{{1,4}}(?:\.\d{{1,4}}){{0,3}})(?![\d\w])"
    rf"|\b(?:{_REVISED})[ .:]+(?P<letter>[a-h])\b"
    r"|\b(?P<dotted>\d{1,3}(?:\.\d{1,3}){1,3})\b"
    r"|\b(?P<ordinal>\d{1,2})(?:st|nd|rd|th|\.) (?:edition|revision|version|ausgabe|auflage)\b"
)
_COUNTER = re.compile(r"\((\d{1,2})\)$")
_PARTED = re.compile(r"[\s_\-()\[\],;:]+")


@dataclass(frozen=True, slots=True)
class Name:
    """A name without its marks, and the marks."""

    plain: str
    age: int  # -1 old, 1 new, 0 unsaid
    revision: tuple[int, ...]  # () if there is none
    date: tuple[int, int, int]  # year, month, day; 0 where unsaid

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a title, or a part of a path."""
        text = text.casefold().replace("_", " ")
        revision: tuple[int, ...] = ()
        if match := _COUNTER.search(text):  # "report (1)", a download's
            text = text[: match.start()]
        date = max(map(_date_of, _DATE.finditer(text)), default=(0, 0, 0))
        text = _DATE.sub(_without_date, text)
        if match := _REVISION.search(text):
            revision = _revision_of(match)
            text = f"{text[: match.start()]} {text[match.end() :]}"
        words = [word for word in _PARTED.split(text.replace(".", " ")) if word]
        ages = [-1 if word in _OLD else 1 for word in words if word in _OLD or word in _NEW]
        plain = " ".join(word for word in words if word not in _OLD and word not in _NEW)
        age = min(ages, default=0)
        return cls(_COPY.sub("", plain), age, revision, date)

    @property
    def is_marked(self) -> bool:
        """Whether there is a mark of age, revision or date."""
        return (self.age, self.revision, self.date) != (0, (), (0, 0, 0))


@dataclass(frozen=True, slots=True)
class Named:
    """What a document is called, and the date it states of itself."""

    folders: Name
    file: Name
    title: Name
    stated: str  # YYYY-MM-DD, "" if it states none
    said: str  # the title as it stands

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Of a row of ``documents`` with uri, title, modified and created."""
        path = PurePosixPath(document["uri"].partition(":")[2].split("?")[0])
        stem = path.stem if re.fullmatch(r"\.[A-Za-z]\w{0,4}", path.suffix) else path.name
        stated = document["modified"] or document["created"] or ""
        folders = Name.of(" / ".join(path.parts[:-1]))
        title = document["title"]
        return cls(folders, Name.of(stem), Name.of(title), stated, title)

    @property
    def is_of_an_occasion(self) -> bool:
        """Whether it records one occasion, as minutes and invoices do."""
        return any(map(_OF_AN_OCCASION.search, (self.file.plain, self.title.plain)))


def newer(one: Named, other: Named) -> int:
    """1 if the first is the newer version of the second, -1 the other way round, 0 if neither."""
    if one.is_of_an_occasion or other.is_of_an_occasion:
        return 0
    if _same_path(one, other):
        sources = [(one.folders, other.folders), (one.file, other.file), (one.title, other.title)]
    elif _same_title(one, other):
        sources = [(one.title, other.title), (one.file, other.file)]
    else:
        return 0
    for mark in (_by_age, _by_revision, _by_date):
        for left, right in sources:
            if found := mark(left, right):
                return found
    return (one.stated > other.stated) - (one.stated < other.stated) if _stated(one, other) else 0


def _stated(one: Named, other: Named) -> bool:
    return bool(one.stated and other.stated)


def _same_path(one: Named, other: Named) -> bool:
    """Whether their paths differ in marks or the ending alone; what is put away may lie apart."""
    if one.file.plain != other.file.plain or not one.file.plain:
        return False
    put_away = one.folders.age < 0 or other.folders.age < 0
    return put_away or one.folders.plain == other.folders.plain


def _same_title(one: Named, other: Named) -> bool:
    """Whether their titles differ in a mark alone."""
    left, right = one.title, other.title
    is_same = left.plain == right.plain and bool(left.plain)
    return is_same and left != right


def _by_age(one: Name, other: Name) -> int:
    return (one.age > other.age) - (one.age < other.age)


def _by_revision(one: Name, other: Name) -> int:
    """The higher revision; a first one often has no number."""
    return (one.revision > other.revision) - (one.revision < other.revision)


def _by_date(one: Name, other: Name) -> int:
    """The later date; what bears none is what stands now."""
    if one.date == other.date:
        return 0
    undated = (0, 0, 0)
    if undated in (one.date, other.date):
        return 1 if one.date == undated else -1
    return 1 if one.date > other.date else -1


def _without_date(match: re.Match[str]) -> str:
    """What is left of a date: of a number such as 2024/17 its second part, of a season nothing."""
    season = match["s7"]
    is_number = season and int(season) != (int(match["y7"]) + 1) % 100
    return f" {season} " if is_number else " "


def _date_of(match: re.Match[str]) -> tuple[int, int, int]:
    found = {name[0]: value for name, value in match.groupdict().items() if value}
    month = found.get("m", "0")
    if "n" in found:
        month = str(_MONTHS[found["n"]])
    if "q" in found:
        month = str(3 * int(found["q"]))
    return int(found["y"]), int(month), int(found.get("d", "0"))


def _revision_of(match: re.Match[str]) -> tuple[int, ...]:
    said: str = match["n"] or match["letter"] or match["dotted"] or match["ordinal"]
    if said.isalpha():
        return (ord(said) - ord("a") + 1,)
    return tuple(map(int, said.split(".")))
