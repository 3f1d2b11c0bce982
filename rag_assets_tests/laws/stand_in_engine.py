"""In place of vLLM where only processes matter: a server, and a core of its own that computes.

``environment`` makes a folder that looks like an environment with vLLM. Its server takes vLLM's
command line, answers /health by itself, has the core compute the rest, and ends with the core.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LOAD_S = 2.0
ANSWER_S = 0.3
DIMENSION = 384


def environment(folder: Path) -> Path:
    """Make the environment; returns its interpreter, for RAG_ENGINE_PYTHON."""
    packages = folder / "lib" / "python3.11" / "site-packages"
    server = packages / "vllm" / "entrypoints" / "openai"
    server.mkdir(parents=True)
    for package in (packages / "vllm", packages / "vllm" / "entrypoints", server):
        (package / "__init__.py").touch()
    code = f"import runpy; runpy.run_path({__file__!r}, run_name='__main__')\n"
    (server / "api_server.py").write_text(code)
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nPYTHONPATH={packages} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return python


class Core:
    """The process that computes; one request at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, __file__, "core"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        threading.Thread(target=self._end_with_it, daemon=True).start()

    def _end_with_it(self) -> None:
        self._process.wait()
        os._exit(1)

    def compute(self) -> None:
        with self._lock:
            if self._process.stdin is None or self._process.stdout is None:
                raise RuntimeError("the core was started without pipes")
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
            self._process.stdout.readline()


def vector(inputs: object) -> str:
    seed = json.dumps(inputs).encode()
    data = b"".join(hashlib.sha256(seed + bytes([n])).digest() for n in range(DIMENSION // 32))
    numbers = b"".join(b"\0\0" + bytes([byte, 0x3F]) for byte in data)  # float32, all positive
    return base64.b64encode(numbers).decode()


def answer(path: str, body: dict[str, Any]) -> dict[str, Any]:
    if path.endswith("/embeddings"):
        given = body["input"] if isinstance(body["input"], list) else [body["input"]]
        return {"data": [{"index": n, "embedding": vector(one)} for n, one in enumerate(given)]}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    message = {"role": "assistant", "content": "The documents do not say."}
    return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}


def serve(port: int) -> None:
    core = Core()
    time.sleep(LOAD_S)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._say(b"{}")

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            core.compute()
            self._say(json.dumps(answer(self.path, body)).encode())

        def _say(self, data: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            return

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    if sys.argv[1:] == ["core"]:
        for _ in sys.stdin:
            time.sleep(ANSWER_S)
            sys.stdout.write("done\n")
            sys.stdout.flush()
    else:
        serve(int(sys.argv[sys.argv.index("--port") + 1]))
