import base64
import random
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_assets.documents.cleaning import clean_blocks
from rag_assets.documents.quality import quality_flags
from rag_assets.documents.readers.blocks import Block
from rag_assets.documents.reading import read_document

RANDOM = random.Random(7)
RUSSIAN = "Паром отправляется в девять часов утра от второго причала и идёт на остров сорок минут. "
CHINESE = "渡轮早上九点从二号码头出发。四十分钟后到达岛上。"
BYTES = RANDOM.randbytes(1600)
SAMPLE = Path(__file__).parents[2] / "data" / "sample" / "corpus"


def flags(*texts: str, kind: str = "paragraph", link_share: float = 0.0) -> list[str]:
    cleaned = clean_blocks([Block(kind, text) for text in texts])  # type: ignore[arg-type]
    text, spans = cleaned.text, cleaned.blocks
    return quality_flags(text, spans, link_share)


def mash(keys: str) -> str:
    words = ("".join(RANDOM.choices(keys, k=RANDOM.randint(3, 9))) for _ in range(80))
    return " ".join(words)


def lines_of(width: int) -> list[bytes]:
    return [BYTES[start : start + width] for start in range(0, len(BYTES), width)]


@pytest.mark.parametrize("text", ["Home", "Page 3", "Loading...", "' of Russia.", "- - -"])
def test_near_empty(text: str) -> None:
    assert flags(text) == ["near-empty"]


def test_only_a_title() -> None:
    assert flags("My new project", kind="heading") == ["near-empty"]
    assert flags("The ferry to Kelva leaves at 9:40 from pier two", kind="heading") == []


@pytest.mark.parametrize(
    "texts",
    [
        ("Home", "About us", "Products", "Contact", "Log in"),
        ("- Home\n- About\n- News\n- Blog",),
        ("Startseite · Über uns · Kontakt · Impressum",),
        ("首页", "关于我们", "产品", "联系方式"),
    ],
)
def test_menu(texts: tuple[str, ...]) -> None:
    kind = "list" if texts[0].startswith("-") else "paragraph"
    assert flags(*texts, kind=kind, link_share=0.95) == ["menu"]
    assert "menu" not in flags(*texts, kind=kind)  # a list of names, for all one knows


def test_link_list() -> None:
    titles = [
        "Parliament passes the new ferry law after long debate",
        "Storm closes three harbours",
    ]
    assert flags(*titles, *titles, link_share=0.9) == ["link list"]
    assert flags(*titles, *titles, link_share=0.7) == []
    urls = "\n".join(f"https://example.org/page/{n}" for n in range(20))
    assert flags(urls) == ["link list"]


@pytest.mark.parametrize(
    "texts",
    [
        ("Wenn der Tag zu wenige Stunden hat, hilft es, die eigene Zeit zu planen.",) * 3,
        ("- Espresso machine | 349\n- Milk jug | 12\n- Grinder | 89",),  # linked products
        ("1066 Battle of Hastings", "1215 Magna Carta", "1314 Bannockburn"),
        ("Contact",),
        (
            *["email: MIME handling", "mmap: mapped files"] * 9,
            "This chapter describes modules which support data formats of the internet.",
        ),
    ],
)
def test_links_that_say_something(texts: tuple[str, ...]) -> None:
    assert flags(*texts, link_share=1.0) in ([], ["near-empty"])


@pytest.mark.parametrize(
    "text",
    [
        base64.encodebytes(BYTES).decode(),
        base64.b64encode(BYTES).decode(),
        "\n".join(line.hex(" ") for line in lines_of(16)),
        "\n".join(f"{n:08x}: {line.hex(' ', 2)}" for n, line in enumerate(lines_of(16))),
        (RUSSIAN * 3).encode().decode("latin-1"),
        (RUSSIAN * 3).encode("koi8-r").decode("latin-1"),
        (CHINESE * 6).encode("gbk").decode("latin-1"),
        (RUSSIAN * 3).encode().decode("ascii", "replace"),
        "(cid:12)(cid:44) (cid:7)" * 20,
        "\ue001\ue002\ue044 " * 60,
        "#$%&*()@!~ ^^ ;;{}[]<>?/|\\ +=-_ " * 10,
        mash(string.ascii_lowercase),
        mash("asdfghjkl"),
        mash("qwertzuiopasdfghjklyxcvbnm"),
    ],
)
def test_gibberish(text: str) -> None:
    assert flags(text) == ["gibberish"]


@pytest.mark.parametrize("text", ["Buy now! Best price here.\n" * 80, "lorem ipsum " * 200])
def test_repetitive(text: str) -> None:
    assert flags(text) == ["repetitive"]


@pytest.mark.parametrize(
    "texts",
    [
        ("404 Not Found", "nginx/1.18"),
        ("Error 404", "The page you are looking for does not exist."),
        ("Fehler 404: Seite nicht gefunden",),
        ("503 Service Temporarily Unavailable",),
        ("You need to enable JavaScript to run this app.",),
        ("We use cookies to improve your experience.", "Accept all", "Settings"),
        ("Wir verwenden Cookies, um Inhalte zu zeigen.", "Alle akzeptieren"),
    ],
)
def test_placeholder(texts: tuple[str, ...]) -> None:
    assert flags(*texts) == ["placeholder"]


@pytest.mark.parametrize(
    "texts",
    [
        ("the anchor",),
        ("你好世界",),
        ("Kaffee 3 €",),
        ("WLAN: gast1234",),
        ("404 Main Street, Springfield. Open 9 to 5.",),
        ("HTTP status 404 means that the page was not found.",),
        ("404 Not Found", "The proxy has lost its upstream. Restart it on the host; " * 5),
        ("A cookie is a small file. Sites must accept that users delete it.",),
        ("Chocolate chip cookies", "- 200 g flour\n- 2 eggs", "Accept no butter that is cold."),
        ("aft\nbeam\nbow\nhull\nkeel\nport\nstern\nstarboard\nanchor\nberth",),
        ("Chapter 1 ........................ 5\nChapter 2 ........................ 9",) * 3,
        (" ".join(str(n * 7919) for n in range(400)),),
        ("def f(x: int) -> int:\n    return x ** 2 + (x & 0xFF) * [1, 2][x % 2]\n",) * 5,
        ("--enable-optimizations--with-address-sanitizer--no-report--top-level-directory" * 6,),
        ("/usr/share/zoneinfo/America/Argentina/Buenos_Aires\n" * 6,),
        (CHINESE * 20,),
        (RUSSIAN * 3,),
        ("Bên cạnh đó, tài liệu này được viết bằng tiếng Việt có dấu đầy đủ. " * 4,),
        ("Strč prst skrz krk. Chrt pln skvrn zvlhl z mlh, vlk zmrzl. " * 4,),  # no vowels at all
        ("เรือออกเวลาเก้าโมงเช้าจากท่าเรือที่สองและถึงเกาะในสี่สิบนาที " * 4,),
        ("تغادر العبارة في الساعة التاسعة صباحا من الرصيف الثاني. " * 4,),
    ],
)
def test_legitimate(texts: tuple[str, ...]) -> None:
    assert flags(*texts) == []


@pytest.mark.parametrize(
    "path",
    sorted(p for p in SAMPLE.rglob("*") if p.suffix in {".md", ".txt"} and p.stat().st_size),
    ids=lambda p: p.name,
)
def test_sample_corpus_is_all_worth_keeping(path: Path) -> None:
    assert read_document(path.read_bytes(), path.name).flags == []


@given(st.lists(st.text(max_size=300), max_size=5), st.floats(0, 1))
def test_any_text_has_an_answer(texts: list[str], link_share: float) -> None:
    known = {"near-empty", "menu", "link list", "gibberish", "repetitive", "placeholder"}
    found = flags(*texts, link_share=link_share)
    assert known.issuperset(found)
    assert len(set(found)) == len(found)


def test_only_the_beginning_is_read() -> None:
    prose = [f"Line {n} of it. {n * n}" for n in range(2_000)]
    cleaned = clean_blocks([Block("paragraph", text) for text in [*prose, "\ufffd" * 200_000]])
    assert quality_flags(cleaned.text, cleaned.blocks, 0.0) == []
