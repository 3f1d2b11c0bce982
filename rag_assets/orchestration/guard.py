"""The guard before Dagster's UI: who may reach it, and what no other page may make a browser do.

Dagster's webserver asks nobody who he is, runs mutations that come by GET or as plain text, and
takes a websocket from any page. Whoever gets past the guard is an operator.
"""

from collections.abc import Collection
from hashlib import sha256
from hmac import compare_digest
from urllib.parse import urlsplit

from starlette.datastructures import URL, Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag_assets.serving.listening import LOOPBACK_HOSTS

COOKIE = "rag_ui"
OPEN = "/server_info"  # the keeper's probe: versions alone
COOKIE_S = 30 * 86_400


class Guard:
    """ASGI middleware: refuses with a sentence what is not the UI's own or an operator's script.

    Args:
        app: the webserver's application.
        hosts: names other than the loopback's under which a proxy serves it.
        token: what an operator has to bring; "" where none is asked for.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = (), token: str = "") -> None:
        self._app = app
        self._hosts = {*LOOPBACK_HOSTS, *(host.lower() for host in hosts)}
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse a websocket before it is one."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def framed(message: Message) -> None:
            if message["type"].endswith("http.response.start"):
                headers = MutableHeaders(scope=message)
                # beside the page's own policy; a browser keeps to both
                headers.append("Content-Security-Policy", "frame-ancestors 'none'")
                headers["X-Frame-Options"] = "DENY"
            await send(message)

        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, framed)

    def _refusal(self, scope: Scope) -> Response | None:
        given = Headers(scope=scope)
        return self._foreign(scope, given) or _forged(scope, given) or self._unknown(scope, given)

    def _foreign(self, scope: Scope, headers: Headers) -> Response | None:
        """Of a request under another name, or from another page."""
        host = ", ".join(headers.getlist("host"))
        if _name(host) not in self._hosts:
            return _said(
                400,
                f"expected the header Host to be one of {', '.join(sorted(self._hosts))}; got "
                f"{host!r}. Name further ones in RAG_UI_HOSTS",
            )
        own = f"{scope['scheme'].replace('ws', 'http')}://{host.lower()}"
        for origin in headers.getlist("origin"):
            if origin.lower() != own:
                return _said(
                    403,
                    f"expected the header Origin to be {own}; got {origin!r}. A proxy with TLS has "
                    "to send X-Forwarded-Proto: https, and Host as it came",
                )
        is_link = scope.get("method") == "GET" and headers.get("sec-fetch-dest") == "document"
        if headers.get("sec-fetch-site") == "cross-site" and not is_link:
            return _said(403, "another site's page sent this request; open the UI itself")
        return None

    def _unknown(self, scope: Scope, headers: Headers) -> Response | None:
        """Of whoever lacks the token; whoever brings it in the address gets a cookie for it."""
        if not self._token or (scope["type"] == "http" and scope["path"] == OPEN):
            return None
        cookie = sha256(f"{COOKIE}:{self._token}".encode()).hexdigest()
        given = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        bearer = headers.get("authorization", "")
        if _same(given, cookie) or _same(bearer, f"Bearer {self._token}"):
            return None
        query = QueryParams(scope["query_string"])
        if scope.get("method") == "GET" and _same(query.get("token", ""), self._token):
            response = RedirectResponse(str(URL(scope=scope).remove_query_params("token")), 303)
            response.set_cookie(
                COOKIE,
                cookie,
                max_age=COOKIE_S,
                httponly=True,
                samesite="strict",
                secure=scope["scheme"] == "https",
            )
            response.headers["Referrer-Policy"] = "no-referrer"
            return response
        sentence = (
            "expected the token of RAG_UI_TOKEN: in a browser open the UI's address once with "
            "?token=TOKEN at its end; a script sends the header Authorization: Bearer TOKEN"
        )
        return JSONResponse({"error": sentence}, 401, headers={"WWW-Authenticate": "Bearer"})


def _forged(scope: Scope, headers: Headers) -> Response | None:
    """Of what a form, a link or a picture of another page could make a browser send."""
    if scope["type"] != "http":
        return None  # Dagster runs no mutation that comes by a websocket
    if "query" in QueryParams(scope["query_string"]) and scope["path"].rstrip("/").endswith(
        "/graphql"
    ):
        return _said(403, "expected the query in the body of a POST; got it in the address")
    kinds = [kind.split(";")[0].strip().lower() for kind in headers.getlist("content-type")]
    if scope["method"] == "POST" and kinds != ["application/json"]:
        return _said(
            415, f"expected Content-Type: application/json; got {', '.join(kinds) or 'none'}"
        )
    return None


def _name(host: str) -> str:
    """The name of a Host header, in which an address of IPv6 stands in brackets."""
    try:
        found = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
    return f"[{found}]" if ":" in found else found


def _same(given: str, expected: str) -> bool:
    return compare_digest(given.encode(), expected.encode())


def _said(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status)
