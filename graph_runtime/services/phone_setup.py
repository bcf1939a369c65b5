"""Phone lines on screens: the dialplan to copy, and whether calls arrive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from graph_runtime.contract.errors import NotFound
from graph_runtime.places import REPOSITORY
from graph_runtime.services.call_recordings import RATE
from graph_runtime.services.channel_setup import ChannelRow, ChannelSetup
from graph_runtime.services.phone_lines import PhoneLines
from graph_runtime.services.principal import Principal
from graph_runtime.settings import Settings
from graph_runtime.storage.database import Database, Row
from graph_runtime.storage.phone_calls import PhoneCallRows

DIALPLAN: Final = REPOSITORY / "asterisk" / "extensions.conf"
SECRET: Final = "SECRET"  # noqa: S105 (what stands in for one)
_DESK = "DESK=desk,s,1"
_APP, _AUDIO = "http://127.0.0.1:8000/phone/SECRET", "127.0.0.1:9092"


@dataclass(frozen=True, slots=True)
class LastCall:
    """The newest call of a line; `state`: "announced", "up", "moving", "ended"."""

    from_number: str
    did: str
    state: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class CallFacts:
    """One call of a conversation. `seconds` of talking, None while it goes on; `transfer` "" when none was tried.

    `cause`: Q.850, None while it goes on and 0 when unknown. `recorded_seconds`, rounded up: 0 when there is no recording.
    """

    id: str
    from_number: str
    did: str
    direction: str
    state: str
    started_at: datetime
    seconds: int | None
    transfer_to: str
    transfer: str
    cause: int | None
    recorded_seconds: int


class PhoneSetup:
    """Members who may read the agent see its lines; the secret is shown when it is made, by `ChannelSetup`."""

    def __init__(self, database: Database, channels: ChannelSetup, lines: PhoneLines, settings: Settings) -> None:
        self._rows = PhoneCallRows(database)
        self._channels = channels
        self._connectors = lines.connectors
        self._settings = settings

    async def lines(self, principal: Principal, agent_id: str) -> list[tuple[ChannelRow, LastCall | None]]:
        """The agent's phone lines, oldest first, each with its newest call. Raises: AccessDenied, NotFound."""
        found = []
        for row in await self._channels.list(principal, agent_id):
            if row.connector in self._connectors:
                last = await self._rows.last_of_line(principal.workspace_id, row.id)
                call = LastCall(last["from_number"], last["did"], last["state"], last["started_at"]) if last else None
                found.append((row, call))
        return found

    async def calls(self, principal: Principal, conversation_id: str) -> list[CallFacts]:
        """The calls of a conversation, oldest first; none when it is not here. Raises: AccessDenied, NotFound (no id)."""
        principal.require("conversation.read")
        return [_facts(row) for row in await self._rows.of_conversation(principal.workspace_id, conversation_id)]

    def dialplan(self, principal: Principal, secret: str = "", desk: str = "") -> str:
        """`asterisk/extensions.conf` with our addresses, the secret or a place for it, and the line's desk. Raises: AccessDenied, NotFound."""
        principal.require("agent.read")
        try:
            text = DIALPLAN.read_text("utf-8")
        except OSError:
            raise NotFound("The file asterisk/extensions.conf is missing from this installation.") from None
        url = (self._settings.phone_url or self._settings.public_url).rstrip("/")
        audio = self._settings.phone_audio or f"{_host(url)}:{self._settings.voice_port}"
        text = text.replace(_DESK, f"DESK={desk}") if desk else text
        return text.replace(_APP, f"{url}/phone/{secret or SECRET}").replace(_AUDIO, audio)


def _facts(row: Row) -> CallFacts:
    began, ended = row["answered_at"], row["ended_at"]
    return CallFacts(
        id=str(row["id"]), from_number=row["from_number"], did=row["did"], direction=row["direction"], state=row["state"],
        started_at=row["started_at"], seconds=round((ended - began).total_seconds()) if began and ended else None,
        transfer_to=row["transfer_to"].partition("|")[0] if row["moves"] else "", transfer=row["transfer_result"],
        cause=row["cause"], recorded_seconds=-(-row["recorded"] // RATE),
    )  # fmt: skip


def _host(url: str) -> str:
    host = urlsplit(url).hostname or "127.0.0.1"
    return f"[{host}]" if ":" in host else host
