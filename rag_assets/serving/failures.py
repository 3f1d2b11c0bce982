"""Every failure as an error object with its true status."""

import logging

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from rag_assets.answers.filters import FilterError
from rag_assets.answers.questions import QuestionError, QuestionTooLongError
from rag_assets.models.errors import EngineUnavailableError, GoneError, ModelRequestError
from rag_assets.serving.admission import BusyError
from rag_assets.serving.chat_request import ParameterError, UnknownModelError
from rag_assets.serving.documents import UnknownDocumentError
from rag_assets.serving.refusals import Refusal, no_such_route
from rag_assets.serving.service import NoCitationError, NotReadyError, Service

log = logging.getLogger("rag_assets.serving")
RETRY_AFTER_S = 5
STATUSES: dict[type[Exception], tuple[int, str]] = {
    QuestionTooLongError: (400, "context_length_exceeded"),
    UnknownModelError: (404, "model_not_found"),
    QuestionError: (400, "invalid_value"),
    NoCitationError: (404, "not_found"),
    UnknownDocumentError: (404, "not_found"),
    BusyError: (429, "rate_limit_exceeded"),
    GoneError: (499, "client_gone"),  # as nginx logs it; nobody reads it
    NotReadyError: (503, "not_ready"),
    EngineUnavailableError: (503, "engine_unavailable"),
    ModelRequestError: (502, "model_failed"),
}


def unready(sentence: str, code: str) -> Refusal:
    """Of a service that cannot answer now; the whole sentence stands in the log."""
    log.warning("answered 503: %s", sentence)
    return Refusal(503, sentence, code, retry_after_s=RETRY_AFTER_S)


def refusal_of(service: Service, error: Exception) -> Refusal:
    """Why a question is not answered; counted."""
    kinds = (told for kind, told in STATUSES.items() if isinstance(error, kind))
    status, code = next(kinds, (500, "internal_error"))
    service.metrics.errors.labels(str(status)).inc()
    if status == 503:
        return unready(str(error), code)
    if status == 500:
        log.error("a question failed", exc_info=error)
        kind = type(error).__name__
        said = f"the answerer failed on this request ({kind}); its log says where"
        return Refusal(500, said, code)
    if isinstance(error, ParameterError):
        return Refusal(status, str(error), error.code, error.param)
    if isinstance(error, FilterError):
        return Refusal(status, str(error), code, "filters")
    return Refusal(status, str(error), code, retry_after_s=RETRY_AFTER_S if status == 429 else None)


def _invalid(error: RequestValidationError) -> Refusal:
    """Of a body that is no JSON, or not of its form."""
    first = error.errors()[0]
    names = [] if first["type"] == "json_invalid" else list(first["loc"])
    param = ""
    for name in names:
        if isinstance(name, int):
            param += f"[{name}]"
        elif name != "body" and name.isidentifier() and name not in ("str", "int", "bool"):
            param += f".{name}" if param else name
    return Refusal(400, f"{param or 'the body'}: {first['msg']}", "invalid_value", param or None)


def add_errors(app: FastAPI, service: Service) -> None:
    """Have the application answer every failure so."""

    async def failed(request: Request, error: Exception) -> Response:
        return refusal_of(service, error).response()

    async def invalid(request: Request, error: Exception) -> Response:
        if not isinstance(error, RequestValidationError):
            raise error
        service.metrics.errors.labels("400").inc()
        return _invalid(error).response()

    async def http(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        if error.status_code == 404:
            return no_such_route(request.method, request.url.path).response()
        said = f"{request.method} {request.url.path}: {error.detail}"
        return Refusal(error.status_code, said, "method_not_allowed").response()

    for kind in STATUSES:
        app.add_exception_handler(kind, failed)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, failed)
