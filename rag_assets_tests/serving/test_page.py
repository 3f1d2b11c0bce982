"""The page in a real Chromium: what a person sees, by mouse, keyboard and screen reader."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from rag_assets.access.rules import hash_of
from rag_assets.answers.feedback import TABLE
from rag_assets.lake.store import LakeStore
from rag_assets.models.errors import EngineUnavailableError, ModelRequestError
from rag_assets.serving import page_routes
from rag_assets.serving.app import create_app
from rag_assets.serving.listening import HTTP, claim_port
from rag_assets.serving.service import Service
from rag_assets_tests import chromium
from rag_assets_tests.answers.fakes import ScriptedChat, WordEmbedder
from rag_assets_tests.answers.world import FERRIES, Doc, publish_docs
from rag_assets_tests.chromium import Browser
from rag_assets_tests.serving.kept import PLAN, keep

pytestmark = pytest.mark.skipif(
    not chromium.installed(), reason="no Chromium to drive; Debian: apt install chromium"
)
BUILT = "When was MV Tern built?"
DOCKS = "When does MV Gannet dock at Hestvik Yard?"
UNKNOWN = "What is the colour of the funnel of MV Zephyr?"
EVIL = Doc(
    "fleet:evil.html",
    "<img src=x onerror=alert(1)>",
    (("Pilot", "The pilot <b>Ola</b> & <script>document.title='owned'</script> came in 1999."),),
)
LIMIT_S = 30.0
DESKTOP, PHONE = (1200, 850), (360, 700)
NO_SIDEWAYS = "document.documentElement.scrollWidth <= innerWidth"
# What a screen reader, or anyone's eyes, stumble over: axe-core by its rules for WCAG 2.2 AA.
AXE = """axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa",
  "best-practice"]}).then(({violations}) => violations.map(
    (one) => one.id + ": " + one.nodes.map((node) => node.html).join(" ")))"""


@dataclass
class Page:
    """The page of a running answerer."""

    browser: Browser
    url: str

    def open(self, path: str = "/") -> None:
        self.browser.call("Page.navigate", url=f"{self.url}{path}")
        self.sees("document.querySelector('#about').textContent "
                  "|| document.querySelector('#key-asked[open]') "
                  "|| !document.querySelector('#trouble').hidden")  # fmt: skip

    def sees(self, condition: str) -> None:
        self.browser.wait(condition, condition, LIMIT_S)

    def ask(self, question: str = BUILT) -> None:
        before = self.browser.run("document.querySelectorAll('.turn').length")
        self.browser.run("document.querySelector('#question').focus()")
        self.browser.write(question)
        self.browser.press("Enter", 13)
        self.sees(f"document.querySelectorAll('.turn').length == {before + 1} && "
                  "!document.querySelector('[aria-busy]')")  # fmt: skip

    def text(self, selector: str = "body") -> str:
        return str(self.browser.run(f"document.querySelector({json.dumps(selector)}).innerText"))

    def click(self, selector: str) -> None:
        self.browser.run(f"document.querySelector({json.dumps(selector)}).click()")

    def complaints(self) -> list[str]:
        """What the browser complains of: errors, and breaches of the page's policy."""
        self.browser.run("0")
        kinds = ("Runtime.exceptionThrown", "Log.entryAdded")
        told = [one for one in self.browser.events if one["method"] in kinds]
        return [json.dumps(one) for one in told if '"level": "verbose"' not in json.dumps(one)]

    def barriers(self) -> list[str]:
        found: list[str] = self.browser.run(AXE)
        return found


@contextmanager
def running(service: Service) -> Iterator[str]:
    listener = claim_port(0)
    config = uvicorn.Config(
        create_app(service), http=HTTP, log_config=None, access_log=False, lifespan="off",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with chromium.browser(chromium.installed()) as browser:
        for domain in ("Page", "Runtime", "Log", "Network"):
            browser.call(f"{domain}.enable")
        axe = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=axe)
        yield browser


@pytest.fixture
def browser(window: Browser) -> Browser:
    window.call("Network.clearBrowserCookies")
    window.call("Emulation.setEmulatedMedia", features=[])
    window.size(*DESKTOP)
    window.events.clear()
    return window


@pytest.fixture
def full_service(empty_service: Service, embedder: WordEmbedder) -> Service:
    publish_docs(empty_service.store, [*FERRIES, PLAN, EVIL], embedder)
    assert empty_service.live.reload().error == ""
    keep(empty_service.store, *FERRIES, PLAN, EVIL)
    return empty_service


@pytest.fixture
def page(browser: Browser, full_service: Service) -> Iterator[Page]:
    with running(full_service) as url:
        page = Page(browser, url)
        page.open()
        yield page
        assert page.complaints() == []


def test_a_question_is_answered_with_what_stands_behind_it(page: Page) -> None:
    assert "5 documents in 1 source" in page.text("#about")
    page.ask()
    assert "MV Tern was built in 2003 by Solvik Marine [1]." in page.text(".answer")
    assert "Answered in" in page.text("#status")
    assert "fleet:tern.html" in page.text(".citations")
    page.click("details summary")
    told = page.text("details dl")
    for name in ("Way", "Model", "Time", "Tokens", "Index"):
        assert name in told
    assert page.browser.run("document.querySelector('#question').value") == ""


def test_a_citation_opens_the_passage_marked_in_its_document(page: Page) -> None:
    page.ask()
    page.click(".answer a")
    page.sees("document.querySelector('#passage mark')")
    assert page.text("#passage mark") == "MV Tern was built in 2003 by Solvik Marine."
    assert "Passengers 180." in page.text("#passage-text")
    assert page.text("#passage-title") == "MV Tern"
    assert page.browser.run("document.querySelector('#passage-pages').hidden")


def test_of_a_pdf_the_page_is_shown(page: Page) -> None:
    page.ask(DOCKS)
    page.click(".answer a")
    page.sees("document.querySelector('#passage img')?.naturalWidth > 500")
    assert "Page 2 of Docking plan" in page.browser.run("document.querySelector('img').alt")


def test_an_address_opens_a_citation(page: Page) -> None:
    page.ask()
    href = page.browser.run("document.querySelector('.answer a').getAttribute('href')")
    page.open(href)
    page.sees("document.querySelector('#passage[open] mark')")
    page.open("/?c=answer_0.1")
    page.sees("document.querySelector('#passage[open] #passage-note:not([hidden])')")
    assert "Ask the question again" in page.text("#passage-note")
    page.browser.events.clear()  # the browser tells of the 404 that this is about


def test_keys_do_everything(page: Page) -> None:
    assert page.browser.run("document.activeElement.id") == "question"
    page.browser.write("When was")
    page.browser.press("Enter", 13, modifiers=8)
    assert page.browser.run("document.querySelectorAll('.turn').length") == 0
    page.browser.run("document.querySelector('#question').value = ''")
    page.ask()
    for _ in range(40):
        page.browser.press("Tab", 9)
        if page.browser.run("document.activeElement.closest('.answer') !== null"):
            break
    assert page.browser.run("document.activeElement.ariaLabel") == "Source 1: MV Tern"
    page.browser.press("Enter", 13)
    page.sees("document.querySelector('#passage[open] mark')")
    page.browser.press("Escape", 27)
    page.sees("!document.querySelector('#passage').open")
    assert page.browser.run("document.activeElement.closest('.answer') !== null"), "focus is lost"


def test_a_follow_up_takes_the_earlier_turns_along(page: Page) -> None:
    page.ask()
    page.ask("Who built her?")
    sent = [
        json.loads(one["params"]["request"]["postData"])
        for one in page.browser.events
        if one["method"] == "Network.requestWillBeSent" and one["params"]["request"].get("postData")
    ]
    assert "messages" not in sent[0]
    first, second = sent[1]["messages"]
    assert first == {"role": "user", "content": BUILT}
    assert second["role"] == "assistant"
    assert "2003" in second["content"]
    page.click("#anew")
    assert page.browser.run("document.querySelectorAll('.turn').length") == 0
    page.browser.events.clear()
    page.ask()
    (sent_anew,) = [
        one["params"]["request"]["postData"]
        for one in page.browser.events
        if one["method"] == "Network.requestWillBeSent" and one["params"]["request"].get("postData")
    ]
    assert "messages" not in json.loads(sent_anew)


def test_filters_go_along(page: Page) -> None:
    page.browser.run("document.querySelector('#filters').open = true")
    page.click("#filter-source input")
    page.browser.run("document.querySelector('#filter-until').value = '2023-12-31'")
    page.browser.run("document.querySelector('#filters').dispatchEvent(new Event('change'))")
    assert page.text("#filters-title") == "Filters (2 in use)"
    assert page.barriers() == []
    page.ask()
    assert "Only documents of: source fleet, until 2023-12-31" in page.text(".turn")
    assert "Take filters away" in page.text(".turn .notice")  # the pages are of 2024
    page.click("#no-filters")
    page.ask()
    assert "2003" in page.text(".turn:last-child .answer")


def test_a_stream_is_shown_as_it_comes(page: Page, full_service: Service) -> None:
    record = full_service.answer(BUILT, "auto").to_record()
    sentence = {"text": record["answer"], "citations": record["citations"]}
    told = [("status", {"status": "2 passages found"}), ("sentence", sentence)]
    asked = streamed(page, told)
    assert "stream" in asked
    page.sees("document.querySelector('.turn .notice')")
    assert "broke off" in page.text(".turn"), "a stream without its end"
    page.browser.run("document.querySelector('#question').value = ''")
    streamed(page, [*told, ("answer", record)])
    page.sees("document.querySelector('.answer a')")
    assert page.text(".turn:last-child .answer") == record["answer"]
    page.browser.run("document.querySelector('#question').value = ''")
    streamed(page, [("error", {"error": {"message": "the model is gone", "code": "x"}})])
    page.sees("document.querySelectorAll('.turn .notice').length == 2")
    assert "the model is gone" in page.text(".turn:last-child")


def streamed(page: Page, told: list[tuple[str, Any]]) -> dict[str, Any]:
    """Ask, and have a stream of events come back; what was asked."""
    page.browser.call("Fetch.enable", patterns=[{"urlPattern": "*/v1/answers"}])
    page.browser.run("document.querySelector('#question').focus()")
    page.browser.write(BUILT)
    page.browser.press("Enter", 13)
    paused = page.browser.event("Fetch.requestPaused")
    events = "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in told)
    page.browser.call(
        "Fetch.fulfillRequest",
        requestId=paused["requestId"], responseCode=200,
        responseHeaders=[{"name": "Content-Type", "value": "text/event-stream"}],
        body=base64.b64encode(f": keep-alive\n\n{events}".encode()).decode(),
    )  # fmt: skip
    page.browser.call("Fetch.disable")
    asked: dict[str, Any] = json.loads(paused["request"]["postData"])
    return asked


def test_text_of_documents_is_never_markup(page: Page) -> None:
    page.ask("When did the pilot come?")
    page.click(".citations a")
    page.sees("document.querySelector('#passage mark')")
    assert "<script>" in page.text("#passage mark")
    assert page.text("#passage-title") == EVIL.title
    assert page.browser.run("document.title") == "Ask the documents"
    assert page.browser.run("document.querySelectorAll('main b, dialog b, img').length") == 0


def test_the_policy_stops_what_slips_through(page: Page) -> None:
    with pytest.raises(chromium.BrowserError, match="TrustedHTML"):
        page.browser.run("document.body.innerHTML = '<i>x</i>'")
    page.browser.run(
        "document.head.append(Object.assign(document.createElement('link'),"
        "{rel: 'stylesheet', href: 'https://elsewhere.example/x.css'}))"
    )
    page.browser.event("Log.entryAdded")
    page.browser.events.clear()


def test_what_was_wrong_can_be_said(page: Page, store: LakeStore) -> None:
    page.ask()
    page.click(".judge button:nth-of-type(2)")
    assert page.browser.run("document.activeElement.id").startswith("expected-")
    page.browser.write("2004")
    page.browser.press("Enter", 13)
    page.sees("document.querySelector('.judge output').textContent.includes('kept')")
    (row,) = store.rows(TABLE)
    assert (row["right"], row["expected"], row["question"]) == (False, "2004", BUILT)


def test_nothing_found_says_what_to_do(page: Page) -> None:
    page.ask(UNKNOWN)
    assert "The documents do not answer this question." in page.text(".answer")
    assert 'No document mentions "MV Zephyr".' in page.text(".turn .notice")
    assert "Ask in other words" in page.text(".turn .notice")
    assert "Nothing was found" in page.text("#status")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModelRequestError("the model refused"), "Ask in other words"),
        (EngineUnavailableError("no engine answers for llm"), "looks every 5 seconds"),
        (RuntimeError("a bug"), "its log says where"),
    ],
)
def test_an_error_says_what_to_do(
    page: Page, llm: ScriptedChat, error: Exception, said: str
) -> None:
    def fails(_: object) -> str:
        raise error

    llm.reply = fails
    page.ask()
    assert said in page.text(".turn .notice")
    assert page.browser.run("document.querySelector('#question').value") == BUILT
    assert page.barriers() == []
    page.browser.events.clear()  # the browser tells of the failed request


def test_sources_that_cannot_be_had_are_no_silence(
    browser: Browser, full_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_routes, "sources_shown", lambda *_: 1 / 0)
    with running(full_service) as url:
        page = Page(browser, url)
        page.open()
        assert "The sources are not known: the answerer failed" in page.text("#about")


def test_an_answerer_that_is_gone_is_told(browser: Browser, full_service: Service) -> None:
    with running(full_service) as url:
        page = Page(browser, url)
        page.open()
    page.ask()
    assert "The answerer cannot be reached." in page.text(".turn .notice")
    assert "rag up" in page.text(".turn .notice")


def test_an_empty_lake_says_what_to_do_and_fills(
    browser: Browser, empty_service: Service, embedder: WordEmbedder
) -> None:
    with running(empty_service) as url:
        page = Page(browser, url)
        page.open()
        page.sees("!document.querySelector('#trouble').hidden")
        assert "Nothing can be asked yet" in page.text("#trouble")
        assert "rag refresh" in page.text("#trouble")
        assert "rag refresh" in page.text("#about")
        assert page.barriers() == []
        publish_docs(empty_service.store, FERRIES, embedder)
        empty_service.live.reload()
        page.sees("document.querySelector('#trouble').hidden")
        page.sees("document.querySelector('#about').textContent.startsWith('3 documents')")


def test_engines_that_start_are_waited_for(browser: Browser, full_service: Service) -> None:
    problem = ["no engine answers for llm; start the engines with `rag up`"]
    with running(replace(full_service, engines_problem=lambda: problem[0])) as url:
        page = Page(browser, url)
        page.open()
        page.sees("!document.querySelector('#trouble').hidden")
        assert "The models are not ready" in page.text("#trouble")
        assert problem[0] in page.text("#trouble")
        problem[0] = ""
        page.sees("document.querySelector('#trouble').hidden")


def test_a_key_is_typed_once(browser: Browser, full_service: Service, tmp_path: Path) -> None:
    (tmp_path / "access.yaml").write_text(
        f'keys: [{{name: ada, sha256: "{hash_of("ada")}"}}]\nsources: {{fleet: everyone}}\n'
    )
    with running(full_service) as url:
        page = Page(browser, url)
        page.open()
        page.sees("document.querySelector('#key-asked[open]')")
        assert page.browser.run("document.activeElement.id") == "key"
        assert page.barriers() == []
        page.browser.write("wrong")
        page.browser.press("Enter", 13)
        page.sees("document.querySelector('#key-error').textContent")
        assert "ask who runs this" in page.text("#key-error")
        page.browser.run("document.querySelector('#key').value = ''")
        page.browser.write("ada")
        page.browser.press("Enter", 13)
        page.sees("!document.querySelector('#key-asked').open")
        page.ask()
        assert "2003" in page.text(".answer")
        assert page.browser.run("document.cookie") == ""
        page.open()
        page.sees("document.querySelector('#about').textContent.startsWith('5 documents')")
        page.click("#leave")
        page.sees("document.querySelector('#key-asked[open]')")


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_nothing_stands_in_the_way(page: Page, size: tuple[int, int], colours: str) -> None:
    scheme = {"name": "prefers-color-scheme", "value": colours}
    page.browser.call("Emulation.setEmulatedMedia", features=[scheme])
    page.browser.size(*size)
    assert page.barriers() == []
    page.ask(DOCKS)
    page.ask(UNKNOWN)
    page.click("details summary")
    page.click(".judge button")
    assert page.barriers() == []
    assert page.browser.run(NO_SIDEWAYS)
    page.click(".answer a")
    page.sees("document.querySelector('#passage img')?.naturalWidth > 500")
    assert page.barriers() == []
    assert page.browser.run(NO_SIDEWAYS)
    page.click("#passage button.close")
    page.click("#show-sources")
    page.sees("document.querySelector('#sources-rows tr')")
    assert "fleet" in page.text("#sources-rows")
    assert page.barriers() == []
