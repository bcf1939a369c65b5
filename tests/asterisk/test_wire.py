"""What a real Asterisk does with AudioSocket, row by row: the stand-in of tests/voice is as strict as this, and no stricter.

Left out unless `PATCHCORD_ASTERISK` names one.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.asterisk.real import PASSWORD, PROGRAM, Asterisk, asterisk
from tests.asterisk.sip_phone import PhoneCall, phone
from tests.voice.voice_world import until

pytestmark = [
    pytest.mark.skipif(not PROGRAM, reason="PATCHCORD_ASTERISK names no Asterisk"),
    pytest.mark.timeout(200),
]
FRAME = b"\x10\x01\x40" + bytes(320)
DIALPLAN = """
[from-phones]
exten => 700,1,Answer()
 same => n,{app}
 same => n,Set(GLOBAL(WENT_ON)={uuid})
 same => n,Wait(3)
 same => n,Hangup()
"""


@dataclass
class Wire:
    """The server's end of one call: every message with the moment it came."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    messages: list[tuple[float, int, bytes]] = field(default_factory=list)
    end: str = ""

    async def read(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await self.reader.readexactly(3)
                body = await self.reader.readexactly(int.from_bytes(head[1:], "big"))
                self.messages.append((time.monotonic(), head[0], body))
        self.end = "end of file" if self.reader.at_eof() else "reset"

    def kinds(self) -> set[int]:
        return {kind for _, kind, _ in self.messages}

    async def speak(self, seconds: float) -> None:
        began = time.monotonic()
        for number in range(int(seconds / 0.02)):
            self.writer.write(FRAME)
            await asyncio.sleep(max(0.0, began + (number + 1) * 0.02 - time.monotonic()))


Script = Callable[[Wire, PhoneCall], Awaitable[None]]


async def _speaks(wire: Wire, _: PhoneCall) -> None:
    await wire.speak(1.0)
    wire.writer.write(b"\x00\x00\x00")


async def _closes(wire: Wire, _: PhoneCall) -> None:
    await wire.speak(0.3)
    wire.writer.close()


async def _closes_in_a_header(wire: Wire, _: PhoneCall) -> None:
    wire.writer.write(FRAME[:2])
    await wire.writer.drain()
    wire.writer.close()


async def _hears_keys(wire: Wire, call: PhoneCall) -> None:
    call.sound.press("5#")
    await wire.speak(1.0)
    wire.writer.write(b"\x00\x00\x00")


async def _sends(wire: Wire, data: bytes) -> None:
    await wire.speak(0.2)
    wire.writer.write(data)
    await wire.speak(0.6)


async def _stalls(wire: Wire, at: int) -> None:
    await wire.speak(0.2)
    wire.writer.write(FRAME[:at])
    await wire.writer.drain()
    await asyncio.sleep(0.05)
    wire.writer.write(FRAME[at:])
    await wire.speak(0.4)
    with contextlib.suppress(ConnectionError):
        wire.writer.write(b"\x00\x00\x00")


async def _is_silent(wire: Wire, call: PhoneCall) -> None:
    call.sound.is_muted = True
    await until(lambda: bool(wire.end), 6)


async def _is_silent_alone(wire: Wire, _: PhoneCall) -> None:
    await asyncio.sleep(3)
    wire.writer.write(b"\x00\x00\x00")


async def _pours(wire: Wire, _: PhoneCall) -> None:
    wire.writer.write(FRAME * 150)
    await asyncio.sleep(1)
    wire.writer.write(b"\x00\x00\x00")


EITHER = "dropped or goes on"
"""The close overtakes Asterisk's next write or not: a write that fails drops the call. With frames of Asterisk unread at the
close, the kernel resets the connection. We end a call with 00 00 00, and read until Asterisk has closed."""

ROWS: dict[str, tuple[Script, str]] = {
    "00 00 00": (_speaks, "goes on"),
    "a close": (_closes, EITHER),
    "a close inside a header": (_closes_in_a_header, EITHER),
    "keys": (_hears_keys, "goes on"),
    "kind 0x01": (lambda w, _: _sends(w, b"\x01\x00\x10" + bytes(16)), "dropped"),
    "kind 0x03": (lambda w, _: _sends(w, b"\x03\x00\x011"), "dropped"),
    "kind 0xff": (lambda w, _: _sends(w, b"\xff\x00\x01\x00"), "dropped"),
    "audio of no length": (lambda w, _: _sends(w, b"\x10\x00\x00"), "dropped"),
    "a payload 50 ms late": (lambda w, _: _stalls(w, 3), "dropped"),
    "a header 50 ms late": (lambda w, _: _stalls(w, 1), "goes on"),
    "silence of both for 2 s": (_is_silent, "dropped"),
    "silence of ours for 3 s": (_is_silent_alone, "goes on"),
    "150 frames at once": (_pours, "goes on"),
}


@dataclass
class Outcome:
    """Of one row."""

    what: str
    wire: Wire
    call: PhoneCall
    uuid: UUID
    connected_ms: float


async def played(pbx: Asterisk, script: Script | None, app: str = "AudioSocket({uuid},127.0.0.1:{port})") -> Outcome:
    """One call to the wire, from its ringing to its end."""
    arrived: asyncio.Future[Wire] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer)
        arrived.set_result(wire)
        await wire.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    uuid, port = uuid4(), server.sockets[0].getsockname()[1]
    if script is None:
        server.close()
        await server.wait_closed()
    await pbx.take(DIALPLAN.format(app=app.format(uuid=uuid, port=port), uuid=uuid))
    async with phone("100", PASSWORD, server=pbx.sip) as ours:
        call = await ours.call("700")
        wire, connected = None, 0.0
        if script is not None:
            async with asyncio.timeout(5):
                wire = await arrived
            connected = (time.monotonic() - call.answered_at) * 1000
            with contextlib.suppress(ConnectionError):
                await script(wire, call)
        what = ""
        async with asyncio.timeout(10):
            while not what:
                went_on = str(uuid) in await pbx.command("dialplan show globals")
                what = "goes on" if went_on else "dropped" if call.over.is_set() else ""
        await call.hang_up()
        if wire is not None:
            await until(lambda: bool(wire.end))
    server.close()
    await server.wait_closed()
    return Outcome(what, wire or Wire(asyncio.StreamReader(), None), call, uuid, connected)  # type: ignore[arg-type]


async def test_every_row(tmp_path: Path) -> None:
    found: dict[str, str] = {}
    async with asterisk(tmp_path) as pbx:
        outcomes: dict[str, Outcome] = {}
        for name, (script, _) in ROWS.items():
            outcomes[name] = one = await played(pbx, script)
            found[name] = one.what
            if os.environ.get("PATCHCORD_FIGURES"):
                came = one.call.sound.heard.packets
                print(f"{name:28} {one.what:8} {one.wire.end:12} {len(came):4} RTP  {one.call.sound.heard.figures()}")
        assert found == {name: found[name] if what == EITHER else what for name, (_, what) in ROWS.items()}
        gone = await played(pbx, None, "TryExec(AudioSocket({uuid},127.0.0.1:{port}))")
        assert gone.what == "goes on", "a server that is not there does not end the call"

        usual = outcomes["00 00 00"]
        first, *rest = usual.wire.messages
        assert first[1:] == (1, usual.uuid.bytes)
        assert {len(body) for _, kind, body in rest if kind == 16} == {320}
        gaps = sorted(b[0] - a[0] for a, b in itertools.pairwise(rest))
        assert 0.015 < gaps[len(gaps) // 2] < 0.025
        keys = outcomes["keys"].wire.messages
        assert b"".join(body for _, kind, body in keys if kind == 3) == b"5#"
        assert all(one.wire.kinds() <= {1, 3, 16} for one in outcomes.values()), "Asterisk never sends 0x00 or 0xff"
        assert outcomes["150 frames at once"].call.sound.heard.figures().packets >= 150, "nothing is paced"


async def test_a_caller_who_hangs_up_is_a_bare_end(tmp_path: Path) -> None:
    async with asterisk(tmp_path) as pbx:

        async def hangs_up(wire: Wire, call: PhoneCall) -> None:
            await wire.speak(0.3)
            await call.hang_up()
            await until(lambda: bool(wire.end))

        one = await played(pbx, hangs_up)
        assert (one.wire.end, one.what, one.wire.kinds()) == ("end of file", "dropped", {1, 16})
