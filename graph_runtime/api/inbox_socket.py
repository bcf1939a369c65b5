"""One tab of a member who answers clients: told how many conversations wait, whenever that changes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from graph_runtime.api.access import services_of, session_cookie
from graph_runtime.api.live import feed
from graph_runtime.api.metrics import SOCKETS
from graph_runtime.contract.errors import AccessDenied, NotSignedIn

if TYPE_CHECKING:
    from graph_runtime.services.principal import Principal

LOOKS_EVERY_SECONDS: Final = 0.2
"""At most: what changes in between is shown with the next look."""
HEARTBEAT_SECONDS: Final = 25.0
SESSION_TRUSTED_SECONDS: Final = 30.0
_SIGN_IN_AGAIN: Final = 4401, "Your session has ended. Sign in again."
_NOT_ALLOWED: Final = 4403, "You do not answer clients here."


class InboxSocket:
    """From the accepted handshake to the close."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._services = services_of(socket)
        self._told: dict[str, Any] = {}

    async def run(self) -> None:
        """Serve the tab until it leaves or may no longer be here."""
        code, why = 1000, ""
        try:
            with SOCKETS.labels("inbox").track_inprogress():
                await self._serve()
        except NotSignedIn:
            code, why = _SIGN_IN_AGAIN
        except AccessDenied:
            code, why = _NOT_ALLOWED
        except (WebSocketDisconnect, RuntimeError):
            return
        if self._socket.application_state is not WebSocketState.DISCONNECTED:
            await self._socket.close(code, why)

    async def _serve(self) -> None:
        who = await self._principal()
        gone = asyncio.create_task(self._until_gone())
        telling = asyncio.create_task(self._tell(who))
        try:
            done, _ = await asyncio.wait({gone, telling}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (gone, telling):
                task.cancel()
            await asyncio.gather(gone, telling, return_exceptions=True)

    async def _until_gone(self) -> None:
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code") or 1000)

    async def _tell(self, who: Principal) -> None:
        checked_at = time.monotonic()
        async with feed(self._services.conversations.watch_all(who)) as events:
            while True:
                await self._show(who)
                try:
                    event = await events.next(HEARTBEAT_SECONDS)
                except StopAsyncIteration:
                    return
                if time.monotonic() - checked_at > SESSION_TRUSTED_SECONDS:
                    who, checked_at = await self._principal(), time.monotonic()
                if event is None:
                    await self._socket.send_json({"t": "ping"})
                    continue
                await asyncio.sleep(LOOKS_EVERY_SECONDS)
                while await events.next(0) is not None:
                    pass

    async def _show(self, who: Principal) -> None:
        count, newest, is_online = await self._services.hand_offs.waiting(who)
        frame = {"t": "waiting", "count": count, "newest": newest, "sound": is_online}
        if frame != self._told:
            self._told = frame
            await self._socket.send_json(frame)

    async def _principal(self) -> Principal:
        token = session_cookie(self._socket)
        if not token:
            raise NotSignedIn("Sign in to go on.")
        return await self._services.accounts.principal(token)
