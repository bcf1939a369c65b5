"""A visitor's page: one socket, opened again with its token and the last number it has shown."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.faults.caller import pause
from tests.faults.plan import Turn
from tests.faults.talk import Refused, Talk

REPEAT_SECONDS = 3.0


class ChatTalk(Talk):
    """Repeats a message until it is accepted; whatever is shown again is a duplicate."""

    _token = ""
    _connection: ClientConnection | None = None
    _reader: asyncio.Task[None] | None = None
    _accepted: dict[str, int]
    _refused = ""

    async def begin(self) -> None:
        self._accepted = {}
        self._reader = asyncio.create_task(self._keep_open())
        async with asyncio.timeout(self.patience):
            while not self.conversation_id or self.seen == 0:
                await self.until_changed(0.5)

    async def say(self, turn: Turn) -> bool:
        name = self.plan.name
        key = f"{name}.t{turn.number}"
        self.journal.note("sent", name=name, turn=turn.number, flags=turn.flags, channel="chat")
        frame = {"t": "say", "client_id": key, "text": turn.words(name)}
        async with asyncio.timeout(self.patience):
            while key not in self._accepted:
                if self._refused:
                    raise Refused(self._refused)
                await self._send(frame)
                await self.until_changed(REPEAT_SECONDS)
                while key not in self._accepted and self._connection is None:
                    await self.until_changed(0.3)
        self.journal.note("acked", name=name, turn=turn.number, seq=self._accepted[key])
        return True

    async def look(self) -> None:
        await self.until_changed(0.5)

    async def leave(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _send(self, frame: dict[str, Any]) -> None:
        if self._connection is not None:
            with contextlib.suppress(websockets.ConnectionClosed, OSError):
                await self._connection.send(json.dumps(frame))

    async def _keep_open(self) -> None:
        addresses = self.system.addresses
        number = self.chance.randrange(len(addresses))
        # Each visitor has an address of their own: one may keep only so many chats open.
        parts = zlib.crc32(self.plan.name.encode())
        headers = {"X-Forwarded-For": f"10.{parts >> 16 & 255}.{parts >> 8 & 255}.{parts & 255}"}
        tries = 0
        while True:
            # A visitor with a home goes elsewhere only when nobody opens there.
            place = number if self.plan.home is None else self.plan.home + tries
            number += 1
            page = f"{addresses[place % len(addresses)].replace('http', 'ws', 1)}/ws/chat/{self.system.world.public_id}"
            try:
                async with connect(
                    page, additional_headers=headers, open_timeout=15, close_timeout=1, compression=None
                ) as connection:
                    tries = 0
                    await connection.send(json.dumps({"t": "hello", "token": self._token, "after": self.seen}))
                    async for text in connection:
                        await self._hear(json.loads(text), connection)
            except (OSError, TimeoutError, websockets.WebSocketException):
                pass
            finally:
                self._connection = None
            self.journal.note("disconnected", name=self.plan.name)
            await asyncio.sleep(pause(self.chance, tries))
            tries += 1

    async def _hear(self, frame: dict[str, Any], connection: ClientConnection) -> None:
        kind = frame["t"]
        if kind == "welcome":
            self._token = frame["token"]
            if not self.conversation_id and frame["conversation_id"]:
                self.conversation_id = frame["conversation_id"]
                self.journal.note("begun", name=self.plan.name, conversation_id=self.conversation_id, channel="chat")
            if frame["conversation_id"] != self.conversation_id:
                self._refused = f"another conversation after a reconnect: {frame['conversation_id']}"
            self._connection = connection
            self._changed.set()
        elif kind == "event" and frame["event"]["type"] == "message":
            self.got(frame["event"]["message"], "push")
        elif kind == "accepted":
            self._accepted[frame["client_id"]] = frame["seq"]
            self._changed.set()
        elif kind == "ping":
            await connection.send(json.dumps({"t": "pong"}))
        elif kind == "error":
            self.journal.note("chat_error", name=self.plan.name, code=frame["code"])
            if frame["code"] == "conversation_ended":
                self._refused = frame["code"]
                self._changed.set()
