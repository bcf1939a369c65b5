"""WebSockets as the editor's page and the web chat use them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection, connect

Frame = dict[str, Any]


class Page:
    """One open page: sends frames, and waits for the one it wants while keeping what came before it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[Frame] = []

    async def send(self, **frame: Any) -> None:
        await self.connection.send(json.dumps(frame))

    async def next(self, seconds: float = 10) -> Frame:
        async with asyncio.timeout(seconds):
            frame: Frame = json.loads(await self.connection.recv())
        self.seen.append(frame)
        return frame

    async def until(self, kind: str, wanted: Callable[[Frame], bool] = lambda _: True, seconds: float = 10) -> Frame:
        """The next frame of a kind for which `wanted` is true."""
        async with asyncio.timeout(seconds):
            while True:
                frame = await self.next(seconds)
                if frame["t"] == kind and wanted(frame):
                    return frame

    async def message(self, text: str) -> Frame:
        """The event that says this text, in the web chat."""
        found = await self.until(
            "event", lambda f: f["event"]["type"] == "message" and f["event"]["message"]["text"] == text
        )
        event: Frame = found["event"]["message"]
        return event

    async def closed(self, seconds: float = 10) -> tuple[int, str]:
        """The code and reason with which the server closes; frames before that are kept."""
        async with asyncio.timeout(seconds):
            try:
                while True:
                    await self.next(seconds)
            except websockets.ConnectionClosed as end:
                assert end.rcvd is not None
                return end.rcvd.code, end.rcvd.reason

    async def quiet(self, seconds: float = 0.4) -> list[Frame]:
        """What comes within a moment."""
        found = []
        with contextlib.suppress(TimeoutError):
            while True:
                found.append(await self.next(seconds))
        return found


@contextlib.asynccontextmanager
async def page(address: str, **headers: str) -> AsyncIterator[Page]:
    async with connect(address, additional_headers=headers, open_timeout=10) as connection:
        yield Page(connection)


async def refused(address: str, **headers: str) -> int:
    """The HTTP status of a handshake that is refused."""
    try:
        async with connect(address, additional_headers=headers, open_timeout=10):
            return 101
    except websockets.InvalidStatus as error:
        return error.response.status_code
