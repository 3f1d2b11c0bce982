"""Make the README's screenshots of the running UI: ``python -m rag_assets_tests.screenshots``.

Needs ``rag up``, a run of ``ask_job`` that has ended, and Chromium (Debian: ``apt install
chromium``; elsewhere ``--browser PATH``). Writes ``docs/images/asset-graph.png`` and
``docs/images/ask-job.png``.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import httpx

from rag_assets.settings import load_settings
from rag_assets_tests.chromium import PAGE_S, Browser, browser, installed

IMAGES = Path(__file__).parent.parent / "docs" / "images"
NEWEST_ASKED = """{ runsOrError(filter: {pipelineName: "ask_job", statuses: [SUCCESS]}, limit: 1) {
  ... on Runs { results { runId } } } }"""


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
    parser.add_argument("--browser", default=installed() or "chromium")
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
