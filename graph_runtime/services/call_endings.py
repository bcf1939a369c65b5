"""The end of a call as its telephone system tells it; a message that is being taken is waited for."""

from __future__ import annotations

import asyncio
from typing import Final

from graph_runtime.contract.calls import HungUp, Record, load_on_call
from graph_runtime.engine.checkpoint import decode
from graph_runtime.services.call_triggers import CallTriggers
from graph_runtime.storage.database import Row
from graph_runtime.storage.phone_calls import PhoneCallRows

MESSAGE_SECONDS: Final = 20.0
"""For writing down the rest of a message after its caller hung up, which is how most of them end."""
_LOOK_SECONDS: Final = 0.25


class CallEndings:
    """The media process tells of the end, too, once it has handed over the message: whoever comes first ends the call."""

    def __init__(self, rows: PhoneCallRows, triggers: CallTriggers) -> None:
        self._rows = rows
        self._triggers = triggers
        self._waiting: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    async def hung_up(self, workspace_id: str, call: Row, heard: HungUp) -> None:
        """End the conversation of a call, at once unless a message is being taken. Raises: DatabaseAway."""
        conversation_id = str(call["conversation_id"])
        if call["state"] == "up" and await self._is_recording(workspace_id, conversation_id):
            waiting = asyncio.create_task(self._later(workspace_id, call, heard), name="end of a call")
            self._waiting.add(waiting)
            waiting.add_done_callback(self._waiting.discard)
        else:
            await self._end(workspace_id, call, heard)

    async def close(self) -> None:
        """End without waiting any longer."""
        self._closing.set()
        await asyncio.gather(*self._waiting, return_exceptions=True)

    async def _later(self, workspace_id: str, call: Row, heard: HungUp) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + MESSAGE_SECONDS
        while loop.time() < until and not self._closing.is_set():
            if not await self._is_recording(workspace_id, str(call["conversation_id"])):
                break
            await asyncio.wait([asyncio.ensure_future(self._closing.wait())], timeout=_LOOK_SECONDS)
        await self._end(workspace_id, call, heard)

    async def _end(self, workspace_id: str, call: Row, heard: HungUp) -> None:
        await self._triggers.take(workspace_id, str(call["conversation_id"]), f"{call['id']}:end", heard)

    async def _is_recording(self, workspace_id: str, conversation_id: str) -> bool:
        place = await self._rows.place(workspace_id, conversation_id)
        if place is None or place["status"] != "open" or not place["checkpoint"]:
            return False
        return isinstance(load_on_call(decode(place["checkpoint"])[1].get("w")), Record)
