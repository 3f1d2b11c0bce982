"""A headless Chromium, driven over its own protocol, so that no driver has to be installed."""

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

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run", "--remote-debugging-port=0",
)  # fmt: skip
START_S = 60.0
PAGE_S = 300.0  # a UI beside busy engines is slow
STILL_S = 3.0  # how long a page has to stay as it is to count as drawn


class BrowserError(Exception):
    """The browser, or a page in it, did not do what was asked."""


def installed() -> str:
    """The command of an installed Chromium; "" where there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or ""


class Browser:
    """One page of a headless Chromium."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = itertools.count(1)
        self.events: list[dict[str, Any]] = []  # that the browser told of, once they are enabled

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """The result of a method of the browser's protocol."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": parameters}
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(timeout=PAGE_S))
            if answer.get("id") == number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def event(self, method: str, limit_s: float = 30.0) -> dict[str, Any]:
        """The parameters of the next event of this kind, which is then taken from ``events``."""
        until = time.monotonic() + limit_s
        while True:
            for number, told in enumerate(self.events):
                if told["method"] == method:
                    return dict(self.events.pop(number)["params"])
            if time.monotonic() > until:
                raise BrowserError(f"the browser told of no {method} within {limit_s:.0f} s")
            self.run("0")  # what was told meanwhile is read before the answer
            time.sleep(0.05)

    def run(self, script: str) -> Any:  # noqa: ANN401 - whatever the script returns
        """The value of an expression in the page, or of the promise that it is.

        Raises:
            BrowserError: the expression failed.
        """
        done = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in done:
            raise BrowserError(f"{script:.200}: {done['exceptionDetails']}")
        return done["result"].get("value")

    def size(self, width: int, height: int) -> None:
        """Make the page so many pixels large."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    def write(self, text: str) -> None:
        """Type where the focus is."""
        self.call("Input.insertText", text=text)

    def press(self, key: str, code: int, *, modifiers: int = 0) -> None:
        """Press and release a key, by its name and its Windows code; 8 is Shift, 1 Alt."""
        text = {"Enter": "\r", "Space": " "}.get(key, "")
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind, key=" " if key == "Space" else key, code=key, modifiers=modifiers,
                windowsVirtualKeyCode=code, **({"text": text} if kind == "keyDown" else {}),
            )  # fmt: skip

    def open(self, url: str, sign: str, size: tuple[int, int]) -> None:
        """Open a page and wait until it shows ``sign`` and has stopped changing."""
        self.size(*size)
        self.call("Page.navigate", url=url)
        self.wait(f"document.body && document.body.innerText.includes({json.dumps(sign)})", sign)
        self.settle()

    def wait(self, condition: str, what: str, limit_s: float = PAGE_S) -> None:
        """Wait until a condition holds in the page."""
        until = time.monotonic() + limit_s
        # What is asked about may not be there yet.
        holds = f"(() => {{ try {{ return Boolean({condition}); }} catch {{ return false; }} }})()"
        while not self.run(holds):
            if time.monotonic() > until:
                raise BrowserError(f"the page does not show {what} within {limit_s:.0f} s")
            time.sleep(0.1)

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
    raise BrowserError(f"the browser did not start within {START_S:.0f} s")
