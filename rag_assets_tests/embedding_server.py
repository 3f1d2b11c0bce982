"""The fake embedder behind HTTP, as an engine's state file would name it; for other processes."""

import json
import os
import socket
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event

from rag_assets.models.engines.state import EngineState, write_states
from rag_assets.models.profile_files import load_profile
from rag_assets.process_identity import identity
from rag_assets_tests.fakes import FakeEmbedder
from rag_assets_tests.servers import http_server


@contextmanager
def embedding_server(state_dir: Path, computed: Counter[str] | None = None) -> Iterator[Event]:
    """Serve the cpu profile's embedder; yields the gate before which requests wait, now open.

    In ``computed`` each text is counted as often as it was embedded for somebody.
    """
    spec = load_profile("cpu").spec("embedder")
    model = FakeEmbedder(dimension=spec.dimension or 0, max_tokens=10_000)
    gate = Event()
    gate.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            inputs = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
            texts = [" ".join(map(str, ids)) for ids in inputs]  # a token a word
            gate.wait()
            if self._is_alone():
                self.close_connection = True
                return
            if computed is not None:
                computed.update(texts)
            rows = [
                {"index": n, "embedding": b64encode(row.astype("<f4").tobytes()).decode()}
                for n, row in enumerate(model.embed(texts))
            ]
            body = json.dumps({"data": rows}).encode()
            try:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:  # who asked was killed meanwhile
                self.close_connection = True

        def _is_alone(self) -> bool:
            """Whether who asked has hung up, as it was killed meanwhile."""
            try:
                return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False

        def log_message(self, *_: object) -> None:
            return

    with http_server(Handler) as server:
        port = server.server_port
        state = EngineState(
            "embedder", identity(os.getpid()), port, f"http://127.0.0.1:{port}", spec.model_id,
            spec.served_name, spec.revision, "cpu",
        )  # fmt: skip
        state_dir.mkdir(parents=True, exist_ok=True)
        write_states(state_dir, [state])
        try:
            yield gate
        finally:
            gate.set()
