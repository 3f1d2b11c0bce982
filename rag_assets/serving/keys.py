"""Who asks: as soon as the home has an ``access.yaml``, a request needs a key."""

import logging
from datetime import UTC, datetime
from hmac import compare_digest

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from rag_assets.access.file import AccessFile
from rag_assets.access.rules import Caller, Rules
from rag_assets.errors import RagError
from rag_assets.serving.refusals import Refusal, no_such_route

log = logging.getLogger("rag_assets.serving")
OPEN = ("/healthz", "/readyz")  # probes have no key
OF_OPERATORS = ("/admin", "/metrics")
OPERATOR = Caller()


class Keys:
    """ASGI middleware: refuses whom ``access.yaml`` does not know, and notes who asks.

    Args:
        app: answers the requests.
        access: the file, which may not be there; then everybody is an operator.
        own_key: of the commands of this home, which are the operator's.
    """

    def __init__(self, app: ASGIApp, access: AccessFile, own_key: str) -> None:
        self._app, self._access, self._own_key = app, access, own_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"] not in OPEN:
            caller = self._caller(Headers(scope=scope))
            if isinstance(caller, Response):
                await caller(scope, receive, send)
                return
            if not caller.is_operator and scope["path"].startswith(OF_OPERATORS):
                unknown = no_such_route(scope["method"], scope["path"])  # as of any other path
                await unknown.response()(scope, receive, send)
                return
            scope.setdefault("state", {})["caller"] = caller
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _caller(self, headers: Headers) -> Caller | Response:
        try:
            rules = self._access.rules()
        except RagError as error:
            log.error("nobody is answered: %s", error)
            sentence = "who may read what cannot be told; the answerer's log says why"
            return Refusal(503, sentence, "access_unknown", retry_after_s=5).response()
        if rules is None:
            return OPERATOR
        given = headers.get("authorization", "").encode()
        if self._own_key and compare_digest(given, f"Bearer {self._own_key}".encode()):
            return OPERATOR
        known = rules.caller(headers, datetime.now(UTC).date())
        if known is not None:
            return _named_twice(rules, headers) or known
        sentence = (
            "expected the header Authorization: Bearer KEY with a key of access.yaml; got none, or "
            "one that is unknown or has expired (`rag ask` takes yours from RAG_KEY)"
        )
        return Refusal(401, sentence, "invalid_api_key").response()


def _named_twice(rules: Rules, headers: Headers) -> Response | None:
    """Of a request that names persons twice: one may come from who asks, not from the gateway."""
    for key in rules.keys:
        for name in (key.acts_for.user, key.acts_for.groups) if key.acts_for else ():
            if name is not None and len(headers.getlist(name)) > 1:
                said = f"expected the header {name} once, got it again; a gateway has to set it"
                return Refusal(400, said, "invalid_value").response()
    return None


def caller_of(request: Request) -> Caller:
    """Who asks, of a request that ``Keys`` let in."""
    caller: Caller = request.state.caller
    return caller
