"""Strings of requests: those that nothing can store or send again are refused before any route.

JSON can hold half of a surrogate pair and the character NUL. The half has no UTF-8, so that tables,
logs and the very answer that names it fail on it.
"""

import json
import re
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from rag_assets.serving.listening import body_again
from rag_assets.serving.refusals import Refusal

_BROKEN = re.compile("[\0\ud800-\udfff]")
_SAID = (
    "expected text, got {what}, which no text holds: the character NUL, or half of a surrogate pair"
)
_NESTED = "expected JSON that is nested less deeply"


class Texts:
    """ASGI middleware, to stand behind ``WholeBodies``: refuses requests with such strings."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = await Request(scope, receive).body()
        said = _of_address(scope) or unreadable(body)
        if said:
            await Refusal(400, said, "invalid_value").response()(scope, receive, send)
            return
        await self._app(scope, body_again(body, receive), send)


def _of_address(scope: Scope) -> str:
    query: bytes = scope["query_string"]
    if _BROKEN.search(scope["path"]) or b"\0" in unquote_to_bytes(query):
        return _SAID.format(what="an address")
    return ""


def unreadable(body: bytes) -> str:
    """Why a body cannot be taken, as a sentence; "" if it can, or is no JSON at all."""
    try:
        left: list[Any] = [json.loads(body)]
    except RecursionError:
        return _NESTED
    except ValueError:  # the route says what it expects
        return ""
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left += [*one, *one.values()]
        elif isinstance(one, list):
            left += one
        elif isinstance(one, str) and (found := _BROKEN.search(one)):
            return _SAID.format(what=f"a string with U+{ord(found[0]):04X}")
    return ""
