"""State of “Call me”: a real call to a phone of the person who builds, watched until it is over."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, Final

from builder_ui.pages.agent_phone_state import PhoneLines
from builder_ui.session import Session, acting, handler, services, text_of
from graph_runtime.contract.errors import NotFound

if TYPE_CHECKING:
    from graph_runtime.services.calls_out import PlacedCall
    from graph_runtime.services.principal import Principal

RING_SECONDS: Final = 30
LOOK_SECONDS: Final = 0.5
LONGEST_SECONDS: Final = 900.0
"""So long the dialog follows a call; the list of calls goes on."""


def phase_of(call: PlacedCall) -> str:
    """ "ringing", "talking", "moving", "over", or how it failed."""
    if call.state == "ended":
        return "over" if call.result == "answered" else call.result or "unknown"
    return {"up": "talking", "moving": "moving", "announced": "talking"}.get(call.state, "ringing")


class CallMe(Session):
    """One dialog. `phase` "" before the call is placed."""

    line_id: str = ""
    line_name: str = ""
    number: str = ""
    phase: str = ""
    talk_path: str = ""
    is_placing: bool = False
    _call_id: str = ""

    @handler
    async def begin(self, who: Principal, channel_id: str) -> None:
        """Open the dialog for a line of this agent."""
        lines = await self.get_state(PhoneLines)
        line = next((one for one in lines.lines if one.id == channel_id), None)
        if line is None:
            raise NotFound("There is no such phone line.")
        self.line_id, self.line_name, self.phase, self.talk_path, self._call_id = line.id, line.name, "", "", ""
        self.is_placing = False

    @handler
    async def close(self, who: Principal, is_open: bool) -> None:
        """Close the dialog; the call goes on."""
        if not is_open:
            self.line_id, self._call_id = "", ""

    @handler
    async def call(self, who: Principal, form: dict[str, Any]) -> Any:
        """Ring the number."""
        if not self.line_id or self.is_placing or self.phase in ("ringing", "talking", "moving"):
            return
        self.number, self.is_placing = text_of(form, "number", required=True, limit=80), True
        yield
        try:
            placed = await services().calls_out.place(
                who, self.line_id, self.number, key=f"call-me:{uuid.uuid4().hex}", ring_seconds=RING_SECONDS
            )
            self._call_id, self.phase, self.talk_path = placed.id, phase_of(placed), ""
            yield CallMe.follow
        finally:
            self.is_placing = False

    @handler(background=True)
    async def follow(self, who: Principal) -> None:
        """Show how the call is doing until it is over or the dialog is closed."""
        async with self:
            mine = self._call_id
        for _ in range(int(LONGEST_SECONDS / LOOK_SECONDS)):
            await asyncio.sleep(LOOK_SECONDS)
            async with self:
                if not mine or self._call_id != mine:
                    return
                placed = await services().calls_out.get(await acting(self), mine)
                self.phase = phase_of(placed)
                if placed.conversation_id:
                    self.talk_path = f"/conversations?id={placed.conversation_id}"
                if placed.state == "ended" and placed.result != "failed":
                    return  # “failed” may still become more precise
