"""A paragraph's lines to running text.

A word that a hyphen parts at a line's end is put together again if a small letter follows:
"com-" and "pile" give "compile". The hyphen stays where a capital or a figure stands on either side
of it ("X-" and "Ray", "FAA-" and "approved"). Two things are told by the document's other words: a
compound broken at its own hyphen keeps it if it is written so elsewhere and never as one word
("mixed-" and "mode"), and parts in capitals are joined if the whole is found elsewhere ("BUIL-" and
"TIN"). A compound that stands nowhere else loses its hyphen; nothing in the file tells.
"""

import re
from collections.abc import Container, Iterable, Sequence

_HYPHENS = ("\ufffe", "-", "\xad")
_COMPOUND = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_COMPOUND_AT_END = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*$")
_WORD = re.compile(r"[^\W\d_]+")
_TIGHT = re.compile(r"\d\u2013$|://$")  # a range or an address goes on without a space
_CJK = re.compile("[\u3000-\u9fff\uf900-\ufaff\uff00-\uffef]{2}")  # scripts without spaces


def words_of(texts: Sequence[str]) -> set[str]:
    """The words and compounds of a document's lines in small letters; none if none is parted."""
    if not any(text.endswith(_HYPHENS) for text in texts):
        return set()
    return set(_COMPOUND.findall("\n".join(texts).lower()))


def joined_text(lines: Iterable[str], words: Container[str] = frozenset()) -> str:
    """Lines to running text; the module's docstring says what becomes of hyphens.

    Lines have no white space at their ends, and U+FFFE for a hyphen that parts a word.
    """
    text = ""
    for line in lines:
        if not text:
            text = line
        elif text.endswith(_HYPHENS) and len(text) > 1 and not text[-2].isspace():
            stem = text[:-1]
            is_whole = text[-1] == "\xad" or _is_one_word(stem[-80:], line, words)
            text = (stem if is_whole else stem + "-") + line
        elif _TIGHT.search(text[-3:]) or _CJK.fullmatch(text[-1] + line[0]):
            text += line
        else:
            text = f"{text} {line}"
    return text.replace("\ufffe", "-")


def _is_one_word(stem: str, line: str, words: Container[str]) -> bool:
    start, end = _COMPOUND_AT_END.search(stem), _WORD.match(line)
    if start is None or end is None:
        return False
    whole = (start[0] + end[0]).lower()
    if stem[-1].islower() and line[0].islower():
        return whole in words or f"{start[0]}-{end[0]}".lower() not in words
    return start[0].isupper() and end[0].isupper() and whole in words
