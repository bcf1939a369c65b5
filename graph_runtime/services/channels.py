"""Channels as outsiders reach them: a public id leads to an agent, and to what a visitor may know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graph_runtime.contract.errors import NotFound
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.storage import channels as rows
from graph_runtime.storage.database import Database

WEB_CHAT: Final = "web_chat"
_SHOWN: Final = ("theme", "greeting", "position", "avatar", "title", "subtitle", "placeholder")


@dataclass(frozen=True, slots=True)
class WebChat:
    """One agent's web chat. `is_open`: it is switched on and has something published."""

    workspace_id: str
    agent_id: str
    channel_id: str
    name: str
    language: str
    is_open: bool
    look: Mapping[str, Any]
    allowed_origins: tuple[str, ...]
    """Websites that may show the chat; empty: all."""
    languages: tuple[str, ...] = ()
    """What the live version speaks, its main language first."""

    def access(self, visitor_id: str) -> ChannelAccess:
        """What a verified visitor may reach."""
        return ChannelAccess(self.workspace_id, self.agent_id, self.channel_id, visitor_id, WEB_CHAT)


class Channels:
    """Looks channels up before anybody is known."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def web_chat(self, public_id: str) -> WebChat:
        """The web chat with this public id, or of the agent with it. Raises: NotFound."""
        async with self._database.system() as system:
            found = await rows.find(system, public_id[:200], WEB_CHAT)
        if found is None:
            raise NotFound("There is no chat at this address. Check the link, or ask whoever sent it.")
        async with self._database.workspace(found["workspace_id"]) as connection:
            row = await rows.about(connection, found["channel_id"])
        if row is None:
            raise NotFound("There is no chat at this address. Check the link, or ask whoever sent it.")
        settings = {**row["agent_settings"], **row["channel_settings"]}
        origins = settings.get("allowed_origins")
        return WebChat(
            workspace_id=found["workspace_id"],
            agent_id=found["agent_id"],
            channel_id=found["channel_id"],
            name=row["name"],
            language=row["language"],
            is_open=found["is_on"] and row["has_live_version"],
            look={key: settings[key] for key in _SHOWN if key in settings},
            allowed_origins=tuple(str(o) for o in origins) if isinstance(origins, list) else (),
            languages=tuple(dict.fromkeys(code for code in (row["locale"], *row["translations"]) if code)),
        )
