"""What the answerer and the door before it share: the port, the state file, the bounds."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_assets.access.rules import FILE
from rag_assets.errors import RagError
from rag_assets.files import replace_file
from rag_assets.models.errors import PortTakenError
from rag_assets.process_identity import ProcessId, identity, is_alive
from rag_assets.serving.client import STATE_FILE, AnswererClient
from rag_assets.serving.connections import PromptHeaders
from rag_assets.serving.refusals import Refusal
from rag_assets.settings import LOOPBACK, Settings

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
MAX_BODY_BYTES = 1_000_000  # the longest question allowed is some 10 kB
BODY_S = 10.0  # for a request to be whole
HTTP: Final = PromptHeaders


class ExposedError(RagError):
    """Other machines could read everything."""


_DAMAGED: Final = (ValueError, KeyError, TypeError, AttributeError)


class WholeBodies:
    """ASGI middleware: hands on requests that are whole and not too long.

    Bytes are counted as they come, whatever the request says of its length. Half a request would
    hold up the end of the process.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await whole_body(Request(scope, receive))
        except TimeoutError:
            late = f"the request was not whole within {BODY_S:g} s"
            refused = Refusal(408, late, "request_timeout").response()
        except ValueError as error:
            refused = Refusal(413, str(error), "request_too_large").response()
        except ClientDisconnect:
            return
        else:
            await self._app(scope, body_again(body, receive), send)
            return
        await refused(scope, receive, send)


class Unstored:
    """ASGI middleware: browsers and proxies keep no response that does not allow it itself.

    What is answered depends on who asks and on the rules of the moment.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, sent)


async def whole_body(request: Request) -> bytes:
    """The body, once it is whole.

    Raises:
        TimeoutError: it was not within BODY_S.
        ValueError: it is too long.
    """
    body = bytearray()
    async with asyncio.timeout(BODY_S):
        async for part in request.stream():
            body += part
            if len(body) > MAX_BODY_BYTES:
                raise ValueError(
                    f"the request is too long; at most {MAX_BODY_BYTES:,} bytes are read"
                )
    return bytes(body)


def body_again(body: bytes, receive: Receive) -> Receive:
    """The messages of a request whose body has been read: the body, then what comes after it."""
    parts: list[Message] = [{"type": "http.request", "body": body}]

    async def again() -> Message:
        return parts.pop() if parts else await receive()

    return again


async def disconnected(receive: Receive) -> None:
    """Return when the caller is gone; the body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


def require_keys(settings: Settings) -> None:
    """Refuse to let other machines in before there are keys.

    Raises:
        ExposedError: they could reach the answerer, and it would ask nobody for a key.
    """
    if settings.is_exposed and not (settings.home / FILE).exists():
        raise ExposedError(
            "by RAG_HOST or RAG_ALLOWED_HOSTS other machines may reach the answerer, and without "
            f"{settings.home / FILE} it would ask nobody for a key; make one first "
            "(`rag keys add NAME`), or unset both"
        )


def claim_port(port: int, host: str = LOOPBACK) -> socket.socket:
    """A listening socket on a port; of the loopback interface where no address is given.

    Raises:
        PortTakenError: somebody listens there already.
    """
    listener = socket.socket()
    # a restart must not wait for the old connections' TIME_WAIT
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        is_ours = AnswererClient(f"http://{LOOPBACK}:{port}").is_up()
        by = "by an answerer" if is_ours else f"by another program ({error.strerror})"
        raise PortTakenError(
            f"port {port} is in use {by}; stop it (`rag down` stops an answerer), or set "
            "RAG_ANSWERER_PORT to a free port"
        ) from error
    return listener


@contextlib.contextmanager
def state_file(folder: Path, port: int, key: str) -> Iterator[Path]:
    """``answerer.json`` {process, port, url, key} while the body runs, then nothing.

    The owner of the file alone may read it: with the key one may do everything.
    """
    path = folder / STATE_FILE
    own = str(identity(os.getpid()))
    state = {"process": own, "port": port, "url": f"http://{LOOPBACK}:{port}", "key": key}
    replace_file(path, json.dumps(state).encode())
    try:
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError, ValueError):
            if json.loads(path.read_text()).get("process") == own:  # not a successor's
                path.unlink()


def answerer_address(folder: Path) -> str:
    """Where the answerer itself listens, as the state file says; "" where there is none."""
    try:
        return str(json.loads((folder / STATE_FILE).read_bytes())["url"])
    except (FileNotFoundError, *_DAMAGED):
        return ""


def running_answerer(folder: Path) -> ProcessId | None:
    """The answerer that the state file names, if it lives."""
    try:
        process = ProcessId.parse(json.loads((folder / STATE_FILE).read_bytes())["process"])
    except (FileNotFoundError, *_DAMAGED):
        return None
    return process if is_alive(process) else None
