"""The door before a real answerer, and before none."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from rag_assets.serving.client import STATE_FILE, AnswererClient
from rag_assets.serving.listening import running_answerer
from rag_assets.watching import KEPT, Report, ReportFile
from rag_assets_tests.serving.test_process import answerer, free_port, wait_until

DOOR = """
import sys
from pathlib import Path
from rag_assets.serving import door, listening
listening.BODY_S = 0.5
class Settings:
    answerer_port, state = int(sys.argv[1]), Path(sys.argv[2])
    host, is_exposed = "127.0.0.1", False
door.main(Settings)
"""


@contextmanager
def door(state: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", DOOR, str(port), str(state)])
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _is_open(url))
        yield process, url
    finally:
        process.kill()
        process.wait()


def _is_open(url: str) -> bool:
    try:
        return httpx.get(f"{url}/doorz").is_success
    except httpx.TransportError:
        return False


def test_it_passes_questions_and_refusals_on(tmp_path: Path) -> None:
    with answerer(tmp_path) as (_, client), door(tmp_path / "run") as (_, url):
        through = AnswererClient(url)
        asked = "When was MV Tern built?"
        assert through.ask(asked)["answer"] == client.ask(asked)["answer"]
        assert through.readiness() == ""
        refused = httpx.post(f"{url}/v1/answers", json={"question": ""})
        assert (refused.status_code, list(refused.json())) == (400, ["error"])
        streamed = httpx.post(
            f"{url}/v1/chat/completions",
            json={"stream": True, "messages": [{"role": "user", "content": asked}]},
        )
        assert streamed.headers["content-type"].startswith("text/event-stream")
        assert streamed.text.rstrip().endswith("data: [DONE]")
        assert "transfer-encoding" in streamed.headers  # as it came, not gathered
        # a web page under a name of its own is still refused
        assert httpx.get(f"{url}/healthz", headers={"Host": "evil.example"}).status_code == 400


def test_paths_go_through_as_they_are(tmp_path: Path) -> None:
    def got(url: str, path: str) -> tuple[int, bytes]:
        with closing(HTTPConnection(url.removeprefix("http://"), timeout=20)) as caller:
            caller.request("GET", path)
            answer = caller.getresponse()
            return answer.status, answer.read()

    with answerer(tmp_path) as (_, client), door(tmp_path / "run") as (_, url):
        for wanted in ("%00", "%0a", "a%3Fb", "a%23b", "%2561", "a%2Fb", "x?n=1%262"):
            path = f"/v1/documents/{wanted}"
            assert got(url, path) == got(client.url, path)
        assert got(url, "@evil.example/")[0] == 400


def test_an_answerer_that_is_not_there_is_a_503_that_says_why(tmp_path: Path) -> None:
    ReportFile(tmp_path / KEPT).write([Report("answerer", "waiting", "", 2, "out of memory")])
    with door(tmp_path) as (_, url):
        for _ in range(2):
            answer = httpx.post(f"{url}/v1/answers", json={"question": "Who?"})
            assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
            said = answer.json()["error"]["message"]
            assert said.startswith("the answerer does not run; answerer is started again")
            assert "restart 2: out of memory" in said
            # next time: named, but dead
            (tmp_path / STATE_FILE).write_text(
                json.dumps({"process": "1 1 x", "url": f"http://127.0.0.1:{free_port()}"})
            )
        assert running_answerer(tmp_path) is None


def test_an_answerer_that_dies_in_the_middle_is_a_503(tmp_path: Path) -> None:
    with answerer(tmp_path, delay=60) as (process, client), door(tmp_path / "run") as (_, url):
        answers: list[httpx.Response] = []

        def ask() -> None:
            body = {"question": "When was MV Tern built?"}
            answers.append(httpx.post(f"{url}/v1/answers", json=body, timeout=60))

        asking = threading.Thread(target=ask)
        asking.start()
        wait_until(lambda: client.status()["running"] == 1)
        process.kill()
        asking.join()
        assert answers[0].status_code == 503
        assert answers[0].headers["Retry-After"]
        assert "ended while it answered" in answers[0].json()["error"]["message"]


def test_a_stream_goes_through_part_by_part_and_says_why_it_ends(tmp_path: Path) -> None:
    asked = {"question": "When was MV Tern built?", "stream": True}
    with (
        answerer(tmp_path, delay=60) as (process, client),
        door(tmp_path / "run") as (_, url),
        httpx.stream("POST", f"{url}/v1/answers", json=asked, timeout=60) as response,
    ):
        parts = response.iter_lines()
        assert next(parts) == "event: status"
        assert json.loads(next(parts).removeprefix("data: ")) == {"status": "searching"}
        assert client.status()["running"] == 1
        process.kill()
        *_, name, data = [line for line in parts if line]
        assert name == "event: error"
        assert (
            "ended while it answered" in json.loads(data.removeprefix("data: "))["error"]["message"]
        )


HALVES = {
    "half a header": b"POST /v1/answers HTTP/1.1\r\nHost: local",
    "half a body": b"POST /v1/answers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
    "nothing": b"",
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES.keys())
def test_half_a_request_delays_the_end_of_neither(tmp_path: Path, half: bytes) -> None:
    with answerer(tmp_path) as (process, client), door(tmp_path / "run") as (outer, url):
        for address, ending in ((url, outer), (client.url, process)):
            with socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1]))) as caller:
                caller.sendall(half)
                time.sleep(0.2)
                assert httpx.get(f"{address}/healthz").is_success
                ending.send_signal(signal.SIGTERM)
                ending.wait(15)  # the answerer's whole grace for answers would be more


def test_half_a_body_is_told_so(tmp_path: Path) -> None:
    with (
        door(tmp_path) as (_, url),
        socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))) as caller,
    ):
        caller.sendall(HALVES["half a body"])
        caller.settimeout(20)
        assert caller.recv(100).startswith(b"HTTP/1.1 408")


def test_headers_without_end_are_refused_by_both(tmp_path: Path) -> None:
    with answerer(tmp_path) as (_, client), door(tmp_path / "run") as (_, url):
        for address in (url, client.url):
            port = int(address.rsplit(":", 1)[1])
            with socket.create_connection(("127.0.0.1", port)) as caller:
                caller.settimeout(20)
                caller.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
                with suppress(ConnectionError):
                    for _ in range(200):
                        caller.sendall(b"x" * 10_000)
                    caller.sendall(b"\r\n\r\n")
                with suppress(ConnectionError):
                    assert caller.recv(100)[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 431", b"")


def test_who_leaves_gives_up_the_place_behind_the_door(tmp_path: Path) -> None:
    with answerer(tmp_path, delay=60) as (_, client), door(tmp_path / "run") as (_, url):

        def ask(timeout_s: float) -> None:
            body = {"question": "When was MV Tern built?"}
            with suppress(httpx.TransportError):
                httpx.post(f"{url}/v1/answers", json=body, timeout=timeout_s)

        for _ in range(4):  # as many as are answered at once
            threading.Thread(target=ask, args=(60,), daemon=True).start()
        wait_until(lambda: client.status()["running"] == 4)
        threading.Thread(target=ask, args=(2,), daemon=True).start()
        wait_until(lambda: client.status()["waiting"] == 1)
        wait_until(lambda: client.status()["waiting"] == 0, 20)
        assert client.status()["running"] == 4


def test_a_stopped_door_is_no_hang_for_its_keeper(tmp_path: Path) -> None:
    with door(tmp_path) as (process, url):
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        with pytest.raises(httpx.TimeoutException):
            httpx.get(f"{url}/doorz", timeout=0.3)
