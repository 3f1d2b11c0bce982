"""Which pages are flagged and which text is called boilerplate: on good texts, and on made-up junk.

Good texts are passages, articles and abstracts that questions were asked about: whatever is found
in them is a mistake. Junk is made here, from a seed, class by class.
"""

import base64
import random
import string
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from rag_assets.documents.cleaning import clean_blocks
from rag_assets.documents.quality import quality_flags
from rag_assets.documents.readers.blocks import Block, RejectedError
from rag_assets.documents.reading import read_document
from rag_assets.documents.signatures import bands, shingles
from rag_assets.evaluations.sampling import sample
from rag_assets.sections.boilerplate import Boilerplate, Page, find_boilerplate
from rag_assets_tests.benchmarks.data import members
from rag_assets_tests.benchmarks.findings import BenchmarkError, Goal, Part, Say, Table
from rag_assets_tests.suites.datasets import DATASETS, DataMissingError, load

SEED = 20_260_101
N_DOCUMENTS = 500  # of each data set
N_PAGES = 60  # of each set of web pages, which take 50 ms each
N_JUNK = 50  # of each class
MAX_FALSE = 0.001  # of the documents of all sets together
MIN_CAUGHT = 0.95  # of a class of junk
WEB = ("html-zyte-articles", "html-trafilatura-eval")
BOOKS = ("developers-reference", "debian-reference-de")
PLANTED = (1.0, 0.6, 0.3, 0.1)  # share of pages that a planted text stands on; the last is too few

LINKED = {"menu": 1.0, "list of links": 0.9}  # class of junk -> link share

Make = Callable[[random.Random], list[str]]  # the texts of a document's blocks


def measure(data: Path, say: Say) -> Part:
    """Flags and boilerplate on samples of all sets, at most a minute.

    Raises:
        BenchmarkError: a set is not in ``data``.
    """
    texts: dict[str, list[str]] = {}
    for name in DATASETS:
        texts[name] = _texts(name, data)
        say(f"{name}: {len(texts[name])} documents")
    good = {name: [_flags([text]) for text in of] for name, of in texts.items()}
    for name in WEB:
        good[name] = [_read(*page)[1] for page in _pages(data / name / "pages.tar.xz", N_PAGES)]
        say(f"{name}: {len(good[name])} pages")
    caught = [(name, _caught(make, LINKED.get(name, 0.0))) for name, make in JUNK.items()]
    sources = {name: [_page(text.split("\n\n")) for text in of] for name, of in texts.items()}
    for name in BOOKS:
        archive = data / "html-pdf-pairs" / name / f"{name}-html.tar.xz"
        sources[name] = [_read(*page)[0] for page in _pages(archive, N_PAGES)]
    found = {name: find_boilerplate(pages) for name, pages in sources.items()}
    say("boilerplate: counted")
    planted = _planted(texts["squad2"])
    return Part(
        "quality",
        "Low-information pages flagged, boilerplate found",
        [
            Table("Good texts", ("set", "documents", "flagged", "as"), _good_rows(good)),
            Table("Made-up junk", ("class", "texts", "flagged"), [
                (name, str(N_JUNK), f"{share:.0%}") for name, share in caught
            ]),
            Table("Boilerplate found", ("source", "pages", "texts", "most frequent"), [
                (name, str(len(sources[name])), str(len(of)), _most(of))
                for name, of in found.items()
            ]),
            Table("Planted in SQuAD 2 passages", ("on this share of pages", "found"), planted),
        ],
        _goals(good, dict(caught), sum(len(found[name]) for name in DATASETS), planted),
        ["Good texts are flagged by their first 20,000 characters, web pages as they are read."],
    )  # fmt: skip


def _goals(
    good: dict[str, list[list[str]]],
    caught: dict[str, float],
    n_false: int,
    planted: Sequence[Sequence[str]],
) -> list[Goal]:
    worst = {name: sum(map(bool, of)) / max(len(of), 1) for name, of in good.items()}
    at_worst = max(worst, key=lambda name: worst[name])
    least = min(caught, key=lambda name: caught[name])
    n_flagged = sum(sum(map(bool, of)) for of in good.values())
    share = n_flagged / sum(map(len, good.values()))
    return [
        Goal(
            f"less than {MAX_FALSE:.1%} of good texts flagged",
            f"{share:.3%} of all, {worst[at_worst]:.1%} of {at_worst}",
            share < MAX_FALSE,
        ),
        Goal(
            f"at least {MIN_CAUGHT:.0%} of each class of junk flagged",
            f"least {caught[least]:.0%}, of {least}",
            caught[least] >= MIN_CAUGHT,
        ),
        Goal("no boilerplate found in passages", f"{n_false} texts", n_false == 0),
        Goal(
            "planted texts found where they are on 20 % of pages, and only there",
            ", ".join(" ".join(row) for row in planted),
            [row[1] for row in planted] == ["yes", "yes", "yes", "no"],
        ),
    ]


def _texts(name: str, data: Path) -> list[str]:
    try:
        documents = sample(load(name, data).documents(), N_DOCUMENTS, seed=SEED)
    except DataMissingError as error:
        raise BenchmarkError(str(error)) from error
    return [document.text for document in documents]


def _pages(archive: Path, n: int) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of the archive's first pages."""
    return islice((page for page in members(archive) if page[0].endswith((".html", ".htm"))), n)


def _read(name: str, content: bytes) -> tuple[Page, list[str]]:
    """A page and its flags; what is rejected is an empty page, and lost like a flagged one."""
    try:
        document = read_document(content, name)
    except RejectedError as error:
        return _page([]), [f"rejected: {error.reason}"]
    return Page(document.text, [asdict(b) for b in document.blocks], document.bands), document.flags


def _page(texts: Iterable[str]) -> Page:
    cleaned = clean_blocks([Block("paragraph", text) for text in texts])
    text, spans = cleaned.text, cleaned.blocks
    return Page(text, [asdict(span) for span in spans], bands(shingles(text)))


def _flags(texts: Sequence[str], link_share: float = 0.0) -> list[str]:
    cleaned = clean_blocks([Block("paragraph", text) for text in texts])
    text, spans = cleaned.text, cleaned.blocks
    return quality_flags(text, spans, link_share)


def _good_rows(good: dict[str, list[list[str]]]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for name, of in good.items():
        flags = Counter(flag for found in of for flag in found)
        n_flagged = sum(map(bool, of))
        share = f"{n_flagged} ({n_flagged / max(len(of), 1):.2%})"
        rows.append((name, str(len(of)), share, ", ".join(flags) or "-"))
    return rows


def _most(found: Sequence[Boilerplate]) -> str:
    if not found:
        return "-"
    return f"{found[0].text} ({found[0].n_pages / found[0].n_sampled:.0%} of pages)"


def _planted(texts: Sequence[str]) -> list[Sequence[str]]:
    """For each share of ``PLANTED``, whether a footer on so many pages is found."""
    footers = [f"Footer number {n} that stands on many pages." for n in range(len(PLANTED))]
    pages = [
        _page([text, *(f for f, s in zip(footers, PLANTED, strict=True) if n < s * len(texts))])
        for n, text in enumerate(texts)
    ]
    found = {boilerplate.text for boilerplate in find_boilerplate(pages)}
    return [
        (f"{share:.0%}", "yes" if footer in found else "no")
        for footer, share in zip(footers, PLANTED, strict=True)
    ]


def _caught(make: Make, link_share: float) -> float:
    drawn = random.Random(SEED)
    return sum(bool(_flags(make(drawn), link_share)) for _ in range(N_JUNK)) / N_JUNK


_LABELS = (
    "Home", "About us", "Products", "News", "Blog", "Contact", "Log in", "Search", "Startseite",
    "Über uns", "Kontakt", "Impressum", "Accueil", "Mentions légales", "首页", "关于我们", "Карта",
)  # fmt: skip
_SENTENCE = "Паром отправляется в девять часов утра и прибывает на остров через сорок минут. "


def _words(drawn: random.Random, keys: str, n: int) -> str:
    return " ".join("".join(drawn.choices(keys, k=drawn.randint(3, 9))) for _ in range(n))


def _error(drawn: random.Random) -> list[str]:
    error = drawn.choice(["404 Not Found", "Error 403: Forbidden", "502 Bad Gateway"])
    return [error, *drawn.choice([[], ["nginx"], ["Please try again."]])]


def _consent(drawn: random.Random) -> list[str]:
    return drawn.choice(
        [
            ["We use cookies to improve your visit.", "Accept all"],
            ["Wir verwenden Cookies für unsere Website.", "Alle akzeptieren"],
            ["Nous utilisons des cookies sur ce site.", "Tout accepter"],
            ["Utilizamos cookies en este sitio.", "Aceptar"],
        ]
    )


def _misread(drawn: random.Random) -> list[str]:
    text = _SENTENCE * drawn.randint(2, 9)
    return [text.encode(drawn.choice(["utf-8", "koi8-r"])).decode("latin-1")]


def _hex(drawn: random.Random) -> list[str]:
    return ["\n".join(f"{n:08x}: {drawn.randbytes(16).hex(' ', 2)}" for n in range(60))]


JUNK: dict[str, Make] = {
    "menu": lambda drawn: drawn.sample(_LABELS, k=6),
    "list of links": lambda drawn: [_words(drawn, "aeioulnrst", 9) for _ in range(8)],
    "near-empty page": lambda drawn: [drawn.choice(["Home", "Page 3", "Index", "Loading"])],
    "base64": lambda drawn: [base64.encodebytes(drawn.randbytes(900)).decode()],
    "hex dump": _hex,
    "wrong code page": _misread,
    "undecoded glyphs": lambda drawn: ["".join(f"(cid:{n})" for n in drawn.sample(range(99), 60))],
    "random letters": lambda drawn: [_words(drawn, string.ascii_lowercase, 80)],
    "hammered keys": lambda drawn: [_words(drawn, "asdfghjkl", 80)],
    "repeated line": lambda drawn: [_words(drawn, "aeioulnrst", 5)] * drawn.randint(80, 200),
    "error page": _error,
    "cookie notice alone": _consent,
}
