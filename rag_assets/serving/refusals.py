"""Why a request is not answered, in the form that OpenAI's clients read."""

from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse

from rag_assets.markup import without_places


@dataclass(frozen=True, slots=True)
class Refusal:
    """One error, as every route says it.

    Attributes:
        status: of HTTP.
        message: a sentence.
        code: a word for programs.
        param: the field of the request that is at fault; None: it is none.
        retry_after_s: when a repeat may help; None: it does not.
    """

    status: int
    message: str
    code: str
    param: str | None = None
    retry_after_s: int | None = None

    @property
    def error(self) -> dict[str, Any]:
        """The error object; where things are stands in the log alone."""
        return {
            "message": without_places(self.message) if self.status == 503 else self.message,
            "type": _type_of(self.status),
            "param": self.param,
            "code": self.code,
        }

    def response(self, **more: Any) -> JSONResponse:  # noqa: ANN401 - JSON
        """The answer to the request, with further fields beside the error."""
        headers = {"Cache-Control": "no-store"}  # also of what fails before any middleware
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        elif self.status >= 500:
            headers["x-should-retry"] = "false"  # clients would pay the same failure three times
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse({**more, "error": self.error}, self.status, headers=headers)


def no_such_route(method: str, path: str) -> Refusal:
    """Of a path that nobody answers, or not by this method."""
    told = f"{method} {path}: Not Found"
    if path.startswith("/v1/"):
        told += "; POST /v1/chat/completions and POST /v1/answers answer questions"
    return Refusal(404, told, "not_found")


def _type_of(status: int) -> str:
    if status == 429:
        return "rate_limit_error"
    return "server_error" if status >= 500 else "invalid_request_error"
