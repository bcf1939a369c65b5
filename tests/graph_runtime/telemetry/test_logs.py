"""Every log line, of ours and of libraries, is one JSON object without secrets in production, and readable locally."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from graph_runtime.telemetry import logs
from tests.graph_runtime.telemetry.test_redaction import SECRETS


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """Where lines go; afterwards logging is as it was."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, structlog.get_config())
    yield io.StringIO()
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    structlog.configure(**before[2])


def fail_with(words: str) -> None:
    raise ValueError(words)


def test_production_writes_json_and_no_secret_anywhere(out: io.StringIO) -> None:
    logs.set_up(as_json=True, out=out)
    log = structlog.get_logger("graph_runtime.x")
    for secret in SECRETS.values():
        log.info("said", text=secret, headers={"Authorization": "Bearer " + secret}, error=ValueError(secret))
        log.warning("in the message itself %s", secret)
        logging.getLogger("some.library").error("of a library: %s", secret, extra={"url": f"https://x/?token={secret}"})
        try:
            fail_with(f"olena@example.com cannot use {secret}")
        except ValueError:
            log.exception("failed")
            logging.getLogger("another").exception("failed, too")
    text = out.getvalue()
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == 5 * len(SECRETS)
    for secret in SECRETS.values():
        assert secret not in text
    assert "olena@" not in text
    assert {line["level"] for line in lines} == {"info", "warning", "error"}
    assert all(line["timestamp"].endswith("Z") for line in lines)
    traces = [line["exception"] for line in lines if "exception" in line]
    assert len(traces) == 2 * len(SECRETS)
    assert all("fail_with" in trace for trace in traces)


def test_local_lines_are_for_people(out: io.StringIO) -> None:
    logs.set_up(as_json=False, out=out)
    structlog.get_logger("x").info("worker_ready", turns=3, password="hunter2")
    line = out.getvalue()
    assert "worker_ready" in line
    assert "turns=3" in line
    assert "hunter2" not in line


def test_clients_of_http_are_quiet_and_levels_are_kept(out: io.StringIO) -> None:
    logs.set_up(as_json=True, level="INFO", out=out)
    for name in ("httpx", "httpx2", "httpcore.connection", "openai._base_client"):
        logging.getLogger(name).info("POST https://api.example.org/v1 body")
    structlog.get_logger("x").debug("too fine")
    assert out.getvalue() == ""


def test_a_broker_that_is_away_costs_a_line_and_no_traceback(out: io.StringIO) -> None:
    logs.set_up(as_json=True, out=out)
    try:
        fail_with("away")
    except ValueError:
        logging.getLogger("dramatiq.worker.ConsumerThread(chat)").critical("Consumer failed.", exc_info=True)
    line = json.loads(out.getvalue())
    assert line["event"] == "Consumer failed. (ValueError)"
    assert "exception" not in line
