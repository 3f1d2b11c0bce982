"""A gateway that somebody else runs: it wants a key, and it can drop, delay, truncate and lie."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from itertools import cycle
from typing import Any

import httpx

from rag_assets_tests.servers import http_server

KEY = "sk-of-the-gateway-0123456789"
LATE_S = 3.0


class Gateway:
    """Hands requests on to the server of the model that they name.

    Attributes:
        servers: base URL (without /v1) by model.
        faults: names in FAULTS, one a request for an answer or vectors; "" hands it on unharmed.
    """

    def __init__(self, servers: Mapping[str, str]) -> None:
        self.servers = dict(servers)
        self.faults: Iterator[str] = cycle([""])
        self.url = ""
        self.lock = threading.Lock()
        self.met: list[str] = []

    def next_fault(self) -> str:
        with self.lock:
            self.met.append(next(self.faults))
            return self.met[-1]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        gateway: Gateway = self.server.gateway  # type: ignore[attr-defined] # set below
        if self._refused():
            return
        if self.path == "/v1/models":
            listed: list[Any] = []
            for name, url in gateway.servers.items():
                there = httpx.get(f"{url}/v1/models", headers=_auth(), trust_env=False).json()
                listed += [{**one, "id": name} for one in there["data"]]
            self.reply(200, json.dumps({"data": listed}).encode())
            return
        self.reply(404, b'{"error": "no such route"}')

    def do_POST(self) -> None:
        gateway: Gateway = self.server.gateway  # type: ignore[attr-defined] # set below
        body = self.rfile.read(int(self.headers["content-length"]))
        if self._refused():
            return
        url = gateway.servers.get(json.loads(body).get("model", ""))
        if url is None or not self.path.startswith("/v1/"):
            self.reply(404, b'{"error": {"message": "no such model"}}')
            return
        there = httpx.post(
            url + self.path, content=body, timeout=300, trust_env=False,
            headers={**_auth(), "content-type": "application/json"},
        )  # fmt: skip
        answers = self.path.endswith(("/chat/completions", "/embeddings"))
        fault = gateway.next_fault() if answers else ""
        FAULTS[fault](self, there.status_code, there.content)

    def _refused(self) -> bool:
        if self.headers.get("authorization") == f"Bearer {KEY}":
            return False
        self.reply(401, b'{"error": "Unauthorized"}')
        return True

    def reply(self, status: int, data: bytes, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data) if length is None else length))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def _auth() -> dict[str, str]:
    return {"authorization": f"Bearer {KEY}"}


def _drop(handler: Handler, _: int, __: bytes) -> None:
    handler.close_connection = True
    handler.connection.close()


def _delay(handler: Handler, status: int, data: bytes) -> None:
    time.sleep(LATE_S)
    handler.reply(status, data)


def _truncate(handler: Handler, status: int, data: bytes) -> None:
    handler.reply(status, data[: len(data) // 2], len(data))
    handler.close_connection = True


def _lie(handler: Handler, _: int, data: bytes) -> None:
    """What came is complete and of the right form, and says nothing true."""
    answer = json.loads(data)
    for row in answer.get("data", []):
        row["embedding"] = row["embedding"][:7]
    for choice in answer.get("choices", []):
        choice["message"]["content"] = None
    handler.reply(200, json.dumps(answer).encode())


FAULTS: Mapping[str, Callable[[Handler, int, bytes], None]] = {
    "": lambda handler, status, data: handler.reply(status, data),
    "drop": _drop,
    "delay": _delay,
    "truncate": _truncate,
    "half JSON": lambda handler, _, data: handler.reply(200, data[: len(data) // 2]),
    "lie": _lie,
    "busy": lambda handler, _, __: handler.reply(429, b'{"error": {"message": "slow down"}}'),
    "down": lambda handler, _, __: handler.reply(503, b"<html>down for maintenance</html>"),
}


@contextmanager
def running(servers: Mapping[str, str]) -> Iterator[Gateway]:
    """A gateway before these servers (URL by model), on a port of its own."""
    gateway = Gateway(servers)
    with http_server(Handler) as http:
        http.gateway = gateway  # type: ignore[attr-defined] # read by the handler
        gateway.url = f"http://127.0.0.1:{http.server_port}"
        yield gateway
