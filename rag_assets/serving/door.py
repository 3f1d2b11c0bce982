"""The door: holds the answerer's port while the answerer itself comes and goes.

``python -m rag_assets.serving.door`` passes each whole request on to the answerer that
``<state>/answerer.json`` names. Where none answers, or one ends in the middle, the caller gets 503
with ``Retry-After`` and the reason, in place of a broken connection. If the keeper and its standby
die together, it starts the keeper again. It does nothing else, and so has little to fall over by.
"""

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import httpx
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from rag_assets.files import DamagedFileError
from rag_assets.models.errors import PortTakenError
from rag_assets.serving.client import ANSWER_S, DOOR_PATH
from rag_assets.serving.listening import (
    HTTP,
    ExposedError,
    WholeBodies,
    answerer_address,
    claim_port,
    disconnected,
    require_keys,
)
from rag_assets.serving.refusals import Refusal
from rag_assets.settings import Settings, load_settings
from rag_assets.watching import KEEPER, KEEPER_COMMAND, KEPT, PART, is_abandoned, read_reports

CONNECT_S = 2.0
LOOK_S = 3.0  # between two looks for the keeper; longer than a standby or `rag down` needs
RETRY_AFTER_S = 3
STREAM = "text/event-stream"
SHUTDOWN_S = 3  # for requests in flight
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "expect"}


class Door:
    """An ASGI application that passes requests on, to stand behind ``WholeBodies``.

    Args:
        state: the folder in which the answerer says where it is.
        answer_s: how long the answerer may take.
    """

    def __init__(self, state: Path, answer_s: float = ANSWER_S) -> None:
        self._state = state
        timeout = httpx.Timeout(answer_s, connect=CONNECT_S)
        limits = httpx.Limits(max_connections=None)
        self._client = httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        if scope["path"] == DOOR_PATH:
            response: Response = JSONResponse({"status": "ok"})
        else:
            body = await request.body()
            passing = asyncio.ensure_future(self._passed_on(request, body))
            leaving = asyncio.ensure_future(disconnected(receive))
            await asyncio.wait((passing, leaving), return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            if not passing.done():  # the caller is gone: so is its place in the answerer's queue
                passing.cancel()
                return
            response = passing.result()
        await response(scope, receive, send)

    async def _passed_on(self, request: Request, body: bytes) -> Response:
        url = answerer_address(self._state)
        if not url:
            return self._unavailable("the answerer does not run").response()
        path = request.scope["raw_path"]  # what it says is for the answerer alone to decode
        query = request.scope["query_string"]
        target = path + b"?" + query if query else path
        if not path.startswith(b"/"):
            said = "expected a path that begins with /"
            return Refusal(400, said, "invalid_value").response()
        asked = self._client.build_request(
            request.method,
            url,
            extensions={"target": target},
            headers=_kept(request.headers.raw),
            content=body,
        )
        try:
            answer = await self._client.send(asked, stream=True)
            if answer.headers.get("content-type", "").startswith(STREAM):
                response: Response = StreamingResponse(self._parts(answer, path))
                response.raw_headers = _kept(answer.headers.raw)
                return response
            await answer.aread()
        except httpx.TransportError as error:
            return self._unavailable(_why(error)).response()
        headers = [(k, v) for k, v in _kept(answer.headers.raw) if k != b"content-encoding"]
        response = Response(answer.content, answer.status_code)
        response.raw_headers = [*(h for h in headers if h[0] != b"content-length"), _length(answer)]
        return response

    async def _parts(self, answer: httpx.Response, path: bytes) -> AsyncIterator[bytes]:
        """The parts of a stream as they come; if it breaks, the last one says why."""
        try:
            async for part in answer.aiter_raw():
                yield part
        except httpx.TransportError as error:
            error_record = {"error": self._unavailable(_why(error)).error}
            # of the two streams that there are, one names its events
            name = "" if path.endswith(b"/completions") else "event: error\n"
            yield f"{name}data: {json.dumps(error_record)}\n\n".encode()
        finally:
            await answer.aclose()  # an answerer whose caller is gone gives up the question

    def _unavailable(self, what: str) -> Refusal:
        try:
            troubles = [r.sentence() for r in read_reports(self._state / KEPT)]
        except (OSError, DamagedFileError):
            troubles = []
        sentence = "; ".join([what, *filter(None, troubles)])
        return Refusal(503, sentence, "not_ready", retry_after_s=RETRY_AFTER_S)


def _why(error: httpx.TransportError) -> str:
    if isinstance(error, httpx.ConnectError):
        return "the answerer does not run"
    if isinstance(error, httpx.TimeoutException):
        return "the answerer did not answer in time"
    return "the answerer ended while it answered"


def _kept(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(k.lower(), v) for k, v in headers if k.lower().decode("latin-1") not in _HOP]


def _length(answer: httpx.Response) -> tuple[bytes, bytes]:
    return b"content-length", str(len(answer.content)).encode()


def _keep_kept(settings: Settings) -> None:
    """Start the keeper whenever nobody keeps what `rag up` started."""
    keeper: subprocess.Popen[bytes] | None = None
    while True:
        time.sleep(LOOK_S)
        try:
            # one that was started a moment ago has not taken the lock yet
            is_ours = keeper is not None and keeper.poll() is None
            if not is_ours and is_abandoned(settings.state, LOOK_S):
                logging.warning("the keeper and its standby are gone; starting the keeper")
                keeper = _start_keeper(settings)
        except OSError as error:  # a full disk, no memory for another process
            logging.warning("the keeper cannot be started: %s", error)


def _start_keeper(settings: Settings) -> subprocess.Popen[bytes]:
    with open(settings.state / "logs" / f"{KEEPER}.log", "ab") as log:
        return subprocess.Popen(
            KEEPER_COMMAND,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=settings.home,
            env={**os.environ, PART: KEEPER},
        )


def main(settings: Settings) -> int:
    """Serve until SIGTERM; the exit code."""
    try:
        require_keys(settings)
        listener = claim_port(settings.answerer_port, settings.host)
    except (ExposedError, PortTakenError) as error:
        logging.error("%s", error)
        return 1
    config = uvicorn.Config(
        WholeBodies(Door(settings.state)),
        http=HTTP,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
        lifespan="off",
    )
    threading.Thread(target=_keep_kept, args=(settings,), daemon=True).start()
    with closing(listener):
        uvicorn.Server(config).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    sys.exit(main(load_settings()))
