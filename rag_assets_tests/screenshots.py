"""Make the README's screenshots of the running UI: ``python -m rag_assets_tests.screenshots``.

Needs ``rag up``, a run of ``ask_job`` that has ended, and Chromium (Debian: ``apt install
chromium``; elsewhere ``--browser PATH``). Chromium is driven over its own protocol, so no driver
has to be installed. Writes ``docs/images/asset-graph.png`` and ``docs/images/ask-job.png``.
"""

import argparse
import base64
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import ClientConnection, connect

from rag_assets.settings import load_settings

IMAGES = Path(__file__).parent.parent / "docs" / "images"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run", "--remote-debugging-port=0",
)  # fmt: skip
START_S = 60.0
PAGE_S = 300.0  # a UI beside busy engines is slow
STILL_S = 3.0  # how long a page has to stay as it is to count as drawn
NEWEST_ASKED = """{ runsOrError(filter: {pipelineName: "ask_job", statuses: [SUCCESS]}, limit: 1) {
  ... on Runs { results { runId } } } }"""


class Browser:
    """One page of a headless Chromium."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = itertools.count(1)

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """The result of a method of the browser's protocol."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=PAGE_S))
            if answer.get("id") == number:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result

    def run(self, script: str) -> Any:  # noqa: ANN401 - whatever the script returns
        """The value of an expression in the page."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get(
            "value"
        )

    def open(self, url: str, sign: str, size: tuple[int, int]) -> None:
        """Open a page and wait until it shows ``sign`` and has stopped changing."""
        width, height = size
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        self.call("Page.navigate", url=url)
        self.wait(f"document.body && document.body.innerText.includes({json.dumps(sign)})", sign)
        self.settle()

    def wait(self, condition: str, what: str) -> None:
        """Wait until a condition holds in the page."""
        until = time.monotonic() + PAGE_S
        while not self.run(f"Boolean({condition})"):
            if time.monotonic() > until:
                raise SystemExit(f"the page does not show {what} within {PAGE_S:.0f} s")
            time.sleep(0.5)

    def settle(self) -> None:
        """Wait until the page has stayed as it is for a moment."""
        last, since = "", time.monotonic()
        until = since + PAGE_S
        while time.monotonic() < min(since + STILL_S, until):
            now = str(self.run("document.body.innerHTML.length"))
            if now != last:
                last, since = now, time.monotonic()
            time.sleep(0.25)

    def save(self, path: Path) -> None:
        """Write what the page shows."""
        shot = self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(shot["data"]))
        print(path)  # noqa: T201 - the command's output


@contextmanager
def browser(command: str) -> Iterator[Browser]:
    """A headless Chromium with an empty profile, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        arguments = [command, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
        process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = _port(Path(profile, "DevToolsActivePort"))
            pages = httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False).json()
            (address,) = [p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page"]
            with connect(address, max_size=None, proxy=None) as connection:
                yield Browser(connection)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _port(file: Path) -> int:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if file.exists() and file.read_text():
            return int(file.read_text().split()[0])
        time.sleep(0.2)
    raise SystemExit(f"the browser did not start within {START_S:.0f} s")


def _queried(ui: str, query: str) -> dict[str, Any]:
    address = f"{ui}/graphql"
    answer = httpx.post(
        address,
        json={"query": query},
        headers=load_settings().ui_headers,
        trust_env=False,
        timeout=PAGE_S,
    ).json()
    data: dict[str, Any] = answer["data"]
    return data


def newest_ask_run(ui: str) -> str:
    """Id of the newest run of ``ask_job`` that succeeded."""
    results = _queried(ui, NEWEST_ASKED)["runsOrError"]["results"]
    if not results:
        raise SystemExit("no run of ask_job has succeeded yet; launch one in the UI first")
    return str(results[0]["runId"])


def asset_graph(page: Browser, ui: str, path: Path) -> None:
    """The graph of all assets, with every group open where the UI's shortcut opens them."""
    page.open(f"{ui}/asset-groups", "Materialize all", (1600, 900))
    for kind in ("rawKeyDown", "keyUp"):  # Alt+E toggles all groups; modifier 1 is Alt
        page.call(
            "Input.dispatchKeyEvent",
            type=kind, modifiers=1, key="e", code="KeyE", windowsVirtualKeyCode=69,
        )  # fmt: skip
    page.settle()
    # Open groups are in the address by now; opened anew, the graph is fitted to the page.
    page.open(str(page.run("location.href")), "Materialize all", (1600, 900))
    page.save(path)


def asked(page: Browser, ui: str, path: Path) -> None:
    """The first answer of the newest run of ``ask_job``."""
    page.open(f"{ui}/runs/{newest_ask_run(ui)}", "answer_001", (1400, 1000))
    # Each entry of Markdown is a link that opens it; that of answer_001 comes after its name.
    page.run(
        """(() => {
          const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
          let seen = false;
          while (texts.nextNode()) {
            const text = texts.currentNode.textContent;
            seen = seen || text.includes("answer_001");
            if (seen && /show markdown/i.test(text)) {
              texts.currentNode.parentElement.click();
              return;
            }
          }
        })()"""
    )
    page.wait("document.body.innerText.includes('finish reason')", "the answer")
    page.settle()
    page.save(path)


def main() -> None:
    """Make both pictures."""
    parser = argparse.ArgumentParser(prog="python -m rag_assets_tests.screenshots")
    parser.add_argument("--browser", default=shutil.which("chromium") or "chromium")
    parser.add_argument("--ui", default=load_settings().ui_url)
    parser.add_argument("--images", type=Path, default=IMAGES)
    given = parser.parse_args()
    if shutil.which(given.browser) is None:
        raise SystemExit(f"expected Chromium at {given.browser}; install it or give --browser PATH")
    try:
        httpx.get(f"{given.ui}/server_info", trust_env=False).raise_for_status()
    except httpx.HTTPError as error:
        raise SystemExit(f"no UI at {given.ui}; start it with `rag up`") from error
    given.images.mkdir(parents=True, exist_ok=True)
    with browser(given.browser) as page:
        if token := load_settings().ui_token:
            page.open(f"{given.ui}/?token={token}", "Overview", (1400, 1000))
        asset_graph(page, given.ui, given.images / "asset-graph.png")
        asked(page, given.ui, given.images / "ask-job.png")


if __name__ == "__main__":
    main()
