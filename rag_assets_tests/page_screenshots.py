"""Make the pictures of the page: ``python -m rag_assets_tests.page_screenshots``.

Needs ``rag up`` on the sample, and Chromium (Debian: ``apt install chromium``; elsewhere
``--browser PATH``). Asks two questions. Writes ``docs/images/page*.png``: an answer, a citation in
its document, both in the dark on a phone's width.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

from rag_assets.settings import load_settings
from rag_assets_tests.chromium import PAGE_S, Browser, browser, installed

IMAGES = Path(__file__).parent.parent / "docs" / "images"
QUESTIONS = (
    "How many seats does the Half Deck cafe on MV Alder have?",
    "At what speed did MV Rowan strike the pier at Brandholm on 12 February 2021?",
)
DESKTOP, PHONE = (1100, 800), (390, 800)


def ask(page: Browser, question: str) -> None:
    """Ask, and wait for the answer."""
    page.run("document.querySelector('#question').focus()")
    page.write(question)
    page.press("Enter", 13)
    last = f"document.querySelector('.turn:last-child').innerText.includes({json.dumps(question)})"
    page.wait(f"{last} && !document.querySelector('[aria-busy]')", "an answer", PAGE_S)


def colours(page: Browser, name: str) -> None:
    """Light or dark."""
    scheme = {"name": "prefers-color-scheme", "value": name}
    page.call("Emulation.setEmulatedMedia", features=[scheme])


def pictures(page: Browser, url: str, images: Path) -> None:
    """All four."""
    colours(page, "light")
    page.open(url, "document", DESKTOP)
    for question in QUESTIONS:
        ask(page, question)
    page.run("document.querySelector('.turn:last-child details').open = true")
    page.run("document.querySelector('.turn:last-child').scrollIntoView()")
    page.save(images / "page.png")
    page.size(*PHONE)
    colours(page, "dark")
    page.run("document.querySelector('.turn:last-child details').open = false")
    page.run("document.querySelector('.turn:last-child').scrollIntoView()")
    time.sleep(0.5)
    page.save(images / "page-phone-dark.png")
    page.size(*DESKTOP)
    colours(page, "light")
    page.run("document.querySelector('.turn:last-child .answer a').click()")
    page.wait("document.querySelector('#passage mark')", "the passage")
    page.wait("[...document.images].every((one) => one.naturalWidth)", "the page of the PDF")
    time.sleep(0.5)
    page.save(images / "page-passage.png")
    page.size(*PHONE)
    colours(page, "dark")
    time.sleep(0.5)
    page.save(images / "page-passage-phone-dark.png")


def main() -> None:
    """Make them."""
    parser = argparse.ArgumentParser(prog="python -m rag_assets_tests.page_screenshots")
    parser.add_argument("--browser", default=installed() or "chromium")
    parser.add_argument("--url", default=load_settings().answerer_url)
    parser.add_argument("--images", type=Path, default=IMAGES)
    given = parser.parse_args()
    if shutil.which(given.browser) is None:
        raise SystemExit(f"expected Chromium at {given.browser}; install it or give --browser PATH")
    with browser(given.browser) as page:
        pictures(page, given.url, given.images)


if __name__ == "__main__":
    main()
