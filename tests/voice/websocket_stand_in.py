"""A peer that behaves as Asterisk's `chan_websocket`: announces its format, frames and paces what it is sent, counts what it plays.

It is strict where that driver hangs up or complains: a text that is no command of its own, a close, audio it has no room for.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import websockets
from websockets.asyncio.client import ClientConnection, connect

FRAME_BYTES = 320
PERIOD = 0.02
MOST_QUEUED = 1000
COMMANDS = {"ANSWER", "HANGUP", "FLUSH_MEDIA", "START_MEDIA_BUFFERING", "STOP_MEDIA_BUFFERING", "GET_STATUS", "PAUSE_MEDIA",
            "CONTINUE_MEDIA", "REPORT_QUEUE_DRAINED", "MARK_MEDIA"}  # fmt: skip


@dataclass
class Channel:
    """One channel. `played`: frames as the caller hears them; `fault`: why Asterisk would have ended the call."""

    connection: ClientConnection
    call_id: UUID
    is_json: bool = False
    played: list[bytes] = field(default_factory=list)
    queued: list[bytes] = field(default_factory=list)
    dry: int = 0
    longest_queue: int = 0
    fault: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    close_code: int = 0
    saying: list[bytes] = field(default_factory=list)

    async def tell(self, event: str, **values: object) -> None:
        """An event in the manner that the driver is set to."""
        if self.is_json:
            await self.connection.send(json.dumps({"event": event, **values}))
        else:
            await self.connection.send(" ".join([event, *(f"{k}:{v}" for k, v in values.items())]))

    async def run(self, media_format: str = "slin") -> None:
        """From the announcement to the end."""
        await self.tell(
            "MEDIA_START", connection_id="patchcord", channel="WebSocket/patchcord/0x1", channel_id="1.1",
            format=media_format, optimal_frame_size=FRAME_BYTES, ptime=20,
        )  # fmt: skip
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._clock())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.close_code = self.connection.close_code or 0
        self.over.set()

    async def _read(self) -> None:
        rest = b""
        try:
            async for message in self.connection:
                if isinstance(message, str):
                    if message.split(" ")[0] not in COMMANDS:
                        self.fault = f"unknown command {message[:40]!r}"
                        return
                    continue
                rest += message
                while len(rest) >= FRAME_BYTES:
                    self.queued.append(rest[:FRAME_BYTES])
                    rest = rest[FRAME_BYTES:]
                self.longest_queue = max(self.longest_queue, len(self.queued))
                if len(self.queued) > MOST_QUEUED:
                    self.fault = "more frames than it has room for"
                    return
        except websockets.ConnectionClosed:
            pass

    async def _clock(self) -> None:
        """Its own timer: plays a frame and sends one, each 20 ms."""
        due = time.monotonic()
        while True:
            due += PERIOD
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self.queued:
                self.played.append(self.queued.pop(0))
            elif self.played:
                self.dry += 1
            await self.connection.send(self.saying.pop(0) if self.saying else bytes(FRAME_BYTES))


async def dialed(port: int, call_id: UUID | None = None, *, is_json: bool = False) -> Channel:
    """The dialplan's `Dial(WebSocket/patchcord/c(slin)v(uuid=...))`."""
    call_id = call_id or uuid4()
    address = f"ws://127.0.0.1:{port}/call?uuid={call_id}"
    connection = await connect(
        address, subprotocols=[websockets.Subprotocol("media")], compression=None, open_timeout=5
    )
    return Channel(connection, call_id, is_json)
