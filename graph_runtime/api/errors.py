"""Every error of the HTTP interface as application/problem+json (RFC 9457); mapped here and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError, ResponseValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.errors import BuilderError, ConnectorError
from graph_runtime.contract.flow import Flow
from graph_runtime.contract.problems import Problem
from graph_runtime.storage.database import DATABASE_AWAY

log = structlog.get_logger(__name__)
_TELL_SECONDS = 1.0

SENTENCES: Mapping[int, tuple[str, str]] = {
    400: ("bad_request", "The request cannot be read. Check that the body is valid JSON of the documented shape."),
    404: ("not_found", "There is nothing at this address. Check the path; the API is described at /api/docs."),
    405: ("method_not_allowed", "This address does not take this method. The header Allow names the ones it takes."),
    413: ("too_large", "The request is larger than this address accepts. Send less at once."),
    415: ("unsupported_media_type", "This kind of content is not accepted here. See /api/docs."),
    503: (
        "unavailable",
        "The database cannot be reached at the moment. Repeat the request in a few seconds, with the same Idempotency-Key if you sent one.",
    ),
    500: (
        "error",
        "Something went wrong on our side; it has been logged. Repeat the request, with the same Idempotency-Key if you sent one.",
    ),
}


class ProblemShape(BaseModel):
    """Every error (RFC 9457)."""

    model_config = ConfigDict(
        title="Problem",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:patchcord:error:not_found",
                    "title": "Not Found",
                    "status": 404,
                    "code": "not_found",
                    "detail": "There is no such conversation in this workspace.",
                    "params": {},
                }
            ]
        },
    )
    type: str
    title: str
    status: int
    code: str = Field(description="Stable; programs decide by it.")
    detail: str = Field(description="A sentence for people: what is wrong and what to do.")
    params: dict[str, Any] = Field(default_factory=dict)


class ProblemResponse(JSONResponse):
    """An error as JSON, for people (`detail`) and programs (`code`)."""

    media_type = "application/problem+json"


def install(app: FastAPI) -> None:
    """Let the app answer every error as a problem."""
    app.add_exception_handler(BuilderError, _builder_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(ResponseValidationError, _answer_does_not_fit)
    app.add_exception_handler(HTTPException, _http_error)
    for kind in DATABASE_AWAY:
        app.add_exception_handler(kind, _database_away)
    app.add_exception_handler(Exception, _unexpected_error)


def problem(
    status: int, code: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> ProblemResponse:
    """The answer for an error; `more` are further members such as `params`, `problems`, `errors`."""
    title = HTTPStatus(status).phrase
    body = {"type": f"urn:patchcord:error:{code}", "title": title, "status": status, "code": code, "detail": detail}
    return ProblemResponse(jsonable_encoder(body | more), status, headers=dict(headers or {}))


def problem_of(error: BuilderError) -> ProblemResponse:
    """The answer for one of our own errors, with everything it carries."""
    more = members_of(error)
    headers = {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, round(retry_after)))
    return problem(error.status, error.code, error.message, headers=headers, **more)


def _for_member(request: Request, said: str) -> str:
    """The editor names the language of its page; it shows what a service said as it stands here."""
    language = request.headers.get("accept-language", "")[:2]
    if language not in ("ru", "uk") or not request.url.path.startswith("/api/builder/"):
        return said
    catalog: Catalog = request.app.state.services.catalog
    return catalog.in_language(said, language)


def members_of(error: BuilderError) -> dict[str, Any]:
    """What an error carries besides its sentence, as JSON. A conflict's `paths`, `revision` and `flow` stand on top."""
    params = {k: v for k, v in error.params.items() if k not in ("paths", "revision", "flow")}
    more: dict[str, Any] = {}
    for name in ("paths", "revision", "flow"):
        value = getattr(error, name, error.params.get(name))
        if value is not None:
            more[name] = value.to_json() if isinstance(value, Flow) else sorted(value) if name == "paths" else value
    more["params"] = params
    problems = getattr(error, "problems", ())
    if problems:
        more["problems"] = [p.to_json() if isinstance(p, Problem) else p for p in problems]
    for name in ("node_id", "field", "retry_after"):
        value = getattr(error, name, None)
        if value:
            more[name] = value
    return more


async def _builder_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, BuilderError)
    if isinstance(error, ConnectorError):
        error.message = _for_member(request, error.message)
    if error.status >= 500:
        log.error("request failed", code=error.code, exc_info=error)
    return problem_of(error)


async def _validation_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"where": ".".join(str(part) for part in e["loc"]), "message": e["msg"], "kind": e["type"]}
        for e in error.errors()
    ]
    first = errors[0] if errors else {"where": "body", "message": "it cannot be read"}
    return problem(
        422,
        "input_invalid",
        f"“{first['where']}” does not fit: {first['message']}. See /api/docs for the expected shape.",
        errors=errors,
        params={},
    )


async def _database_away(request: Request, error: Exception) -> Response:
    # Hundreds fail in the same moment, for the same reason.
    now = time.monotonic()
    if now - getattr(request.app.state, "away_told_at", 0.0) >= _TELL_SECONDS:
        request.app.state.away_told_at = now
        log.warning("request refused: the database is away", extra={"reason": type(error).__name__})
    return problem(503, *SENTENCES[503], params={}, headers={"Retry-After": "2"})


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code, detail = SENTENCES.get(error.status_code, (f"http_{error.status_code}", str(error.detail)))
    return problem(error.status_code, code, detail, headers=error.headers, params={})


async def _answer_does_not_fit(_: Request, error: Exception) -> Response:
    """Our own fault; the values that did not fit stay out of the log, because they may be personal."""
    assert isinstance(error, ResponseValidationError)
    places = [".".join(str(part) for part in e["loc"]) for e in error.errors()]
    log.error("an answer does not fit its model", places=places)
    code, detail = SENTENCES[500]
    return problem(500, code, detail, params={})


async def _unexpected_error(_: Request, error: Exception) -> Response:
    log.error("request failed unexpectedly", exc_info=error)
    code, detail = SENTENCES[500]
    return problem(500, code, detail, params={})
