"""A strict stand-in for Asterisk's manager interface on a real socket, whose calls end as a test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Final

SECRET: Final = "let me in"
_REASONS: Final = {"answered": 4, "busy": 5, "no_answer": 3, "rejected": 8, "unreachable": 8, "failed": 0}
_CAUSES: Final = {"answered": 16, "busy": 17, "no_answer": 19, "rejected": 21, "unreachable": 20, "failed": 0}


@dataclass
class Manager:
    """`ends`: how every call ends. Faults: `early` (the event comes before the response), `cause_late` (the hang-up comes
    after the failure), `drops` (the socket goes after Originate or Redirect), `holds` (a call ends only when the test
    sets it). `on_redirect`: carries a Redirect out; False when there is no such channel."""

    ends: str = "answered"
    early: bool = False
    cause_late: bool = False
    drops: bool = False
    holds: asyncio.Event | None = None
    on_answer: Callable[[str], object] | None = None
    on_redirect: Callable[[str], bool] | None = None
    address: str = ""
    calls: list[dict[str, str]] = field(default_factory=list)
    redirects: list[dict[str, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    channels: set[str] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        is_in = False
        with contextlib.suppress(OSError, EOFError, ConnectionError):
            while message := await self._read(reader):
                action = message.get("action", "")
                if action == "Login":
                    is_in = message.get("secret") == SECRET
                    said = "Response: Success" if is_in else "Response: Error"
                    self._write(writer, said, f"ActionID: {message.get('actionid', '')}", "Message: as it is")
                    self._write(writer, "Event: FullyBooted", "Status: Fully Booted")
                elif action == "Originate" and is_in:
                    await self._originate(message, writer)
                    if self.drops:
                        break
                elif action == "Redirect" and is_in:
                    self._redirect(message, writer)
                    if self.drops:
                        break
                else:
                    self.faults.append(f"{action} before the login" if not is_in else f"action {action}")
                    break
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    def _redirect(self, asked: dict[str, str], writer: asyncio.StreamWriter) -> None:
        self.redirects.append(asked)
        self.faults += [f"no {name}" for name in ("channel", "context", "exten", "priority") if not asked.get(name)]
        is_there = self.on_redirect is None or self.on_redirect(asked["channel"])
        if self.drops:
            return
        action = f"ActionID: {asked.get('actionid', '')}"
        # What the call does when it is moved may be told before the answer.
        self._write(writer, "Event: Newexten", f"Uniqueid: {asked['channel']}")
        if is_there:
            self._write(writer, "Response: Success", action, "Message: Redirect successful")
        else:
            self._write(writer, "Response: Error", action, "Message: Channel does not exist: " + asked["channel"])

    async def _originate(self, call: dict[str, str], writer: asyncio.StreamWriter) -> None:
        self.calls.append(call)
        action, channel = f"ActionID: {call['actionid']}", call["channelid"]
        self.faults += [f"no {name}" for name in ("channel", "context", "exten", "timeout") if not call.get(name)]
        if call.get("async") != "true":
            self.faults.append("it would block every other call")
        if channel in self.channels:
            self._write(writer, "Response: Error", action, "Message: Channel ID already in use")
            return
        self.channels.add(channel)
        if self.drops:
            return
        if not self.early:
            self._write(writer, "Response: Success", action, "Message: Originate successfully queued")
        # What another call does at the same time.
        self._write(writer, "Event: Hangup", "Uniqueid: somebody-else", "Cause: 17")
        if self.holds is not None:
            await self.holds.wait()
        if self.ends == "answered" and self.on_answer is not None:
            self.on_answer(channel)
        hangup = ("Event: Hangup", f"Uniqueid: {channel}", f"Cause: {_CAUSES[self.ends]}")
        if self.ends != "answered" and not self.cause_late:
            self._write(writer, *hangup)
        state = "Success" if self.ends == "answered" else "Failure"
        self._write(
            writer, "Event: OriginateResponse", action, f"Response: {state}", f"Reason: {_REASONS[self.ends]}",
            f"Uniqueid: {channel}",
        )  # fmt: skip
        if self.ends != "answered" and self.cause_late:
            self._write(writer, *hangup)
        if self.early:
            self._write(writer, "Response: Success", action, "Message: Originate successfully queued")

    async def _read(self, reader: asyncio.StreamReader) -> dict[str, str]:
        found: dict[str, str] = {}
        while line := (await reader.readline()).decode():
            if not line.endswith("\r\n"):
                self.faults.append(f"a line without CR LF: {line!r}")
            if not line.strip():
                return found
            name, _, value = line.strip().partition(": ")
            if name.lower() in found:
                self.faults.append(f"{name} twice")
            found[name.lower()] = value
        return found

    @staticmethod
    def _write(writer: asyncio.StreamWriter, *lines: str) -> None:
        writer.write("".join(f"{line}\r\n" for line in lines).encode() + b"\r\n")


@contextlib.asynccontextmanager
async def managing(**how: object) -> AsyncIterator[Manager]:
    """A running one, which nobody may have treated in a way that Asterisk would not take."""
    manager = Manager(**how)  # type: ignore[arg-type]
    server = await asyncio.start_server(manager.serve, "127.0.0.1", 0)
    manager.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield manager
        assert manager.faults == []
    finally:
        server.close()
