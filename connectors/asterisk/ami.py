"""Asterisk's manager interface (AMI), as far as calls out and transfers need it: log in, originate, redirect."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from connectors.asterisk import words as told
from connectors.asterisk.line import Settings
from graph_runtime.contract.calls import OutgoingCall, OutgoingResult
from graph_runtime.contract.errors import CredentialRejected, OutcomeUnknown, Refused, Unreachable

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 5.0
"""Longest wait for Asterisk's own answers; those of the person called take `ring_seconds`."""
CAUSE_SECONDS: Final = 0.5
"""How long the cause of a failed call may come after its failure."""
LONGEST_LINE: Final = 8192

# Reasons of OriginateResponse are control frames of Asterisk (include/asterisk/frame.h).
_ANSWERED: Final = "4"
_REASONS: Final[dict[str, OutgoingResult]] = {"5": "busy", "3": "no_answer", "1": "no_answer"}
_CAUSES: Final[dict[str, OutgoingResult]] = {
    "17": "busy", "18": "no_answer", "19": "no_answer", "21": "rejected",
    "1": "unreachable", "2": "unreachable", "3": "unreachable", "20": "unreachable", "22": "unreachable",
    "27": "unreachable", "28": "unreachable", "34": "unreachable", "38": "unreachable", "41": "unreachable",
    "42": "unreachable",
}  # fmt: skip

Message = dict[str, str]


def result_of(reason: str, cause: str) -> OutgoingResult:
    """How a call that was not answered ended. A cause (Q.850) says more than a reason; "" or "0" when unknown."""
    return _CAUSES.get(cause) or _REASONS.get(reason, "failed")


def request(action: str, fields: list[tuple[str, str]]) -> bytes:
    """One action on the wire. Raises: Refused when a value would end its line."""
    lines = [f"{name}: {value}" for name, value in [("Action", action), *fields]]
    if any("\r" in line or "\n" in line or "\0" in line for line in lines):
        raise Refused(told.LINE_BREAK)
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n"


async def place(settings: Settings, call: OutgoingCall) -> OutgoingResult:
    """Ring, and return with the answer or the end. When answered, the call is in the dialplan already.

    Raises: Unreachable, CredentialRejected, Refused (nobody was rung); OutcomeUnknown (somebody may have been).
    """
    async with _connected(settings) as (reader, writer):
        await _log_in(settings, reader, writer)
        fields = [
            ("ActionID", call.id), ("Async", "true"), ("ChannelId", call.id), ("Channel", call.dial_string),
            ("Context", settings.context), ("Exten", "out"), ("Priority", "1"),
            ("Timeout", str(call.ring_seconds * 1000)), ("Variable", f"PATCHCORD_CALL={call.id}"),
        ]  # fmt: skip
        if settings.caller_id:
            fields.append(("CallerID", settings.caller_id))
        writer.write(request("Originate", fields))
        try:
            await writer.drain()
            async with asyncio.timeout(call.ring_seconds + ANSWER_SECONDS):
                return await _ended(reader, call.id)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            raise OutcomeUnknown(told.END_UNKNOWN, reason=type(error).__name__) from None


async def redirect(settings: Settings, channel: str, extension: str) -> None:
    """Send a channel, by name or unique id, into an extension of the line's context, out of whatever it runs.

    Raises: Unreachable, CredentialRejected, Refused (it was not moved); OutcomeUnknown (it may have been).
    """
    async with _connected(settings) as (reader, writer):
        await _log_in(settings, reader, writer)
        place = [("Context", settings.context), ("Exten", extension), ("Priority", "1")]
        writer.write(request("Redirect", [("ActionID", "redirect"), ("Channel", channel), *place]))
        try:
            await writer.drain()
            async with asyncio.timeout(ANSWER_SECONDS):
                while (message := await read(reader)).get("actionid") != "redirect":
                    pass
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            raise OutcomeUnknown(told.MOVE_UNKNOWN, reason=type(error).__name__) from None
    if message.get("response") != "Success":
        raise Refused(told.NOT_MOVED.format(why=message.get("message", "")[:200] or "?"))


@contextlib.asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = settings.manager_address.rpartition(":")
    writer = None
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), limit=LONGEST_LINE)
            await reader.readline()
    except (OSError, EOFError, ValueError, TimeoutError):
        if writer is not None:
            await _closed(writer)
        raise Unreachable(told.NO_MANAGER) from None
    try:
        yield reader, writer
    finally:
        await _closed(writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(CONNECT_SECONDS):
            await writer.wait_closed()


async def _log_in(settings: Settings, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    secret = settings.manager_secret.get_secret_value()
    writer.write(request("Login", [("Username", settings.manager_user), ("Secret", secret), ("ActionID", "login")]))
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                message = await read(reader)
                if message.get("actionid") == "login":
                    break
    except (OSError, EOFError, ValueError, TimeoutError):
        raise Unreachable(told.MANAGER_BROKE_OFF) from None
    if message.get("response") != "Success":
        raise CredentialRejected(told.MANAGER_REFUSED)


async def _ended(reader: asyncio.StreamReader, call_id: str) -> OutgoingResult:
    """Events of other calls pass by; an event of ours may come before the response to our request."""
    cause = reason = ""
    deadline: float | None = None
    loop = asyncio.get_running_loop()
    while True:
        try:
            async with asyncio.timeout_at(deadline):
                message = await read(reader)
        except TimeoutError:
            if deadline is None:
                raise
            return result_of(reason, "")
        if message.get("event") == "Hangup" and message.get("uniqueid") == call_id:
            cause = message.get("cause", "")
        elif message.get("actionid") != call_id:
            continue
        elif message.get("response") == "Error":
            raise Refused(told.NOT_PLACED.format(why=message.get("message", "")[:200] or "?"))
        elif message.get("event") == "OriginateResponse":
            if message.get("response") == "Success" or message.get("reason") == _ANSWERED:
                return "answered"
            reason = message.get("reason", "")
            if reason in ("3", "5"):
                return result_of(reason, "")
            deadline = loop.time() + CAUSE_SECONDS
        if reason and cause not in ("", "0"):
            return result_of(reason, cause)


async def read(reader: asyncio.StreamReader) -> Message:
    """The next message, names in lower case. Raises: EOFError, ValueError (a line too long)."""
    message: Message = {}
    while True:
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        text = line.decode("utf-8", "replace").strip("\r\n")
        if not text and message:
            return message
        name, separator, value = text.partition(":")
        if separator:
            message.setdefault(name.strip().lower(), value.strip())
