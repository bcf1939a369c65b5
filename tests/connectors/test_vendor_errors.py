"""What vendors answer, as errors of the product."""

from __future__ import annotations

import email.utils
import time

import pytest

from connectors._langchain.errors import from_status, refuses_schema, retry_after, translate
from graph_runtime.contract.errors import (
    BadAnswer,
    ConnectorError,
    CredentialRejected,
    RateLimited,
    Refused,
    Unreachable,
)


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (400, "API key not valid. Please pass a valid API key. API_KEY_INVALID", CredentialRejected),
        (400, "Your credit balance is too low", Refused),
        (400, "This model's maximum context length is 8192 tokens: context_length_exceeded", Refused),
        (400, "anything else", Refused),
        (401, "", CredentialRejected),
        (402, "", Refused),
        (403, "", CredentialRejected),
        (404, "", Refused),
        (408, "", Unreachable),
        (413, "", Refused),
        (429, "", RateLimited),
        (429, '{"code": "insufficient_quota"}', Refused),
        (500, "", Unreachable),
        (503, "", Unreachable),
        (529, "", Unreachable),
        (302, "", Refused),
        (418, "", Refused),
    ],
)
def test_each_status_has_its_error(status: int, text: str, expected: type[ConnectorError]) -> None:
    error = from_status(status, text, vendor="Acme")
    assert type(error) is expected
    assert error.message.endswith(".")
    assert error.params["vendor"] == "Acme"
    assert not text or text not in error.message


@pytest.mark.parametrize(
    ("headers", "text", "seconds"),
    [
        ({"Retry-After": "7"}, "", 7.0),
        ({"retry-after": "1.5"}, "", 1.5),
        ({"retry-after-ms": "250", "retry-after": "1"}, "", 0.25),
        ({}, '{"details": [{"@type": "RetryInfo", "retryDelay": "37s"}]}', 37.0),
        ({}, "{'retryDelay': '1.25s'}", 1.25),
        ({"retry-after": "soon"}, "", None),
        ({}, "", None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], text: str, seconds: float | None) -> None:
    assert retry_after(headers, text) == seconds


def test_a_date_says_how_long_to_wait() -> None:
    later = retry_after({"retry-after": email.utils.formatdate(time.time() + 30, usegmt=True)})
    assert later is not None
    assert 25 < later <= 30


def test_a_broken_connection_depends_on_whether_the_answer_had_begun() -> None:
    assert type(translate(ConnectionResetError(), vendor="", started=False)) is Unreachable
    assert type(translate(ConnectionResetError(), vendor="", started=True)) is BadAnswer
    assert type(translate(TimeoutError(), vendor="", started=False)) is Unreachable


def test_the_cause_of_a_wrapped_error_counts() -> None:
    outer = RuntimeError("wrapped")
    outer.__cause__ = ConnectionRefusedError()
    assert type(translate(outer, vendor="", started=False)) is Unreachable


def test_an_unknown_error_is_an_unreadable_answer() -> None:
    assert type(translate(KeyError("choices"), vendor="", started=False)) is BadAnswer


class _Told(Exception):
    def __init__(self, status: int, body: object) -> None:
        super().__init__("told")
        self.status_code = status
        self.body = body


def test_an_error_inside_a_stream_that_began_well() -> None:
    overloaded = _Told(200, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    assert type(translate(overloaded, vendor="", started=True)) is Unreachable


def test_a_refused_schema_is_recognised() -> None:
    assert refuses_schema(_Told(400, {"error": {"message": "response_format is not supported"}}))
    assert not refuses_schema(_Told(400, {"error": {"message": "bad temperature"}}))
    assert not refuses_schema(_Told(500, {"error": {"message": "json_schema crashed"}}))
