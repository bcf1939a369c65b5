"""One way for every log line, ours and the libraries': structured, without secrets, JSON in production."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import Processor

from graph_runtime.telemetry.redaction import HIDDEN, is_secret_name, redact, redact_value

QUIET: Final = ("httpx", "httpx2", "httpcore", "openai", "anthropic", "google", "urllib3", "asyncio", "hpack", "redis")
"""Libraries that would log addresses and bodies of requests."""
_EXCEPTION: Final = "exception"


def set_up(*, as_json: bool, level: str = "INFO", out: TextIO | None = None) -> None:
    """Send everything to one stream; safe to call again."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    shown: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
        if as_json
        else structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    )
    handler = logging.StreamHandler(out or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.StackInfoRenderer(),
                structlog.processors.format_exc_info,
                without_secrets,
                shown,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    brokers = logging.getLogger("dramatiq")
    brokers.setLevel(logging.WARNING)
    _calm(handler)


def _calm(handler: logging.Handler) -> None:
    """A broker that is away is said in a line, not in a traceback every few seconds."""

    def without_traceback(record: logging.LogRecord) -> bool:
        if record.name.startswith("dramatiq") and record.exc_info:
            kind = record.exc_info[0]
            record.msg = f"{record.getMessage()} ({kind.__name__ if kind else 'error'})"
            record.args, record.exc_info, record.exc_text = (), None, None
        return True

    handler.addFilter(without_traceback)


def without_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """The last step before a line is written. Texts of exceptions are a vendor's words and may name people."""
    clean: dict[str, Any] = {}
    for key, value in event.items():
        if key == _EXCEPTION and isinstance(value, str):
            clean[key] = redact(value, personal=True)
        elif is_secret_name(key) and value not in (None, ""):
            clean[key] = HIDDEN
        else:
            clean[key] = redact_value(value)
    return clean
