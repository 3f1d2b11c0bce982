"""What browsers need: the page's files, a cookie in place of the key, and no foreign page's orders.

A page of another site can make a browser send requests here, with whatever keys it holds. So a
request that changes something, or costs something, must come from a page of ours, and be JSON,
which no form can send.
"""

import base64
import binascii
import json
from datetime import UTC, datetime
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request, cookie_parser
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from rag_assets.access.file import AccessFile
from rag_assets.errors import RagError
from rag_assets.serving.page import page_file
from rag_assets.serving.refusals import Refusal

COOKIE = "rag_key"
COOKIE_S = 30 * 24 * 3600
MAX_KEY = 1000  # characters
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN = frozenset({"same-origin", "none"})  # none: typed by a person


class Browsers:
    """ASGI middleware, to stand before ``Keys``.

    Args:
        app: answers the requests.
        access: what knows the keys.
    """

    def __init__(self, app: ASGIApp, access: AccessFile) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), scope["path"]
        response: Response | None = None
        if scope["method"] not in _SAFE:
            response = _refused(headers)
        if response is None and scope["method"] == "GET":
            response = page_file(path)
        elif response is None and path == "/page/key" and scope["method"] == "POST":
            response = await self._let_in(Request(scope, receive))
        elif response is None and path == "/page/leave" and scope["method"] == "POST":
            response = JSONResponse({"status": "the key is forgotten"})
            response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        if response is None:
            await self._app(_with_key(scope, headers), receive, send)
        else:
            await response(scope, receive, send)

    async def _let_in(self, request: Request) -> Response:
        """Swap a key, typed once, for the cookie."""
        try:
            key = str(json.loads(await request.body())["key"]).strip()
        except (ValueError, KeyError, TypeError, RecursionError):
            return Refusal(400, 'expected {"key": "..."}', "invalid_value", "key").response()
        try:
            rules = self._access.rules()
        except RagError:
            said = "who may read what cannot be told; the answerer's log says why"
            return Refusal(503, said, "not_ready").response()
        if rules is None:
            return JSONResponse({"status": "no key is needed here"})
        asked = {"authorization": f"Bearer {key}"}
        if len(key) > MAX_KEY or rules.caller(asked, datetime.now(UTC).date()) is None:
            said = "this key is unknown or has expired; ask who runs this for a new one"
            return Refusal(401, said, "invalid_api_key").response()
        response = JSONResponse({"status": "the key is kept in this browser"})
        response.set_cookie(
            COOKIE,
            base64.urlsafe_b64encode(key.encode()).decode(),
            max_age=COOKIE_S,
            path="/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response


def _refused(headers: Headers) -> Response | None:
    """Why a request that is no mere reading is not taken; None if it is."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    # Browsers say on what page a request arose; a proxy before us may have changed the host.
    is_own = site in _OWN if site else is_own_origin(origin, headers)
    if not is_own:
        said = "a page of another site asked; only this answerer's own page may"
        return Refusal(403, said, "foreign_page").response()
    is_browser = origin is not None or site is not None or "cookie" in headers
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if is_browser and kind != "application/json":
        said = f"expected Content-Type: application/json, got {kind or 'none'}"
        return Refusal(415, said, "unsupported_media_type").response()
    return None


def is_own_origin(origin: str | None, headers: Headers) -> bool:
    """Whether an origin is this server; programs send none."""
    try:
        return origin is None or urlsplit(origin).netloc == headers.get("host")
    except ValueError:  # no address, such as http://[
        return False


def _with_key(scope: Scope, headers: Headers) -> Scope:
    """The request with the cookie's key where programs send it; one that is sent wins."""
    kept = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
    if not kept or "authorization" in headers:
        return scope
    try:
        key = base64.urlsafe_b64decode(kept.encode())
    except (binascii.Error, UnicodeEncodeError):
        return scope
    return {**scope, "headers": [*scope["headers"], (b"authorization", b"Bearer " + key)]}
