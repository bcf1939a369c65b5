"""What a contact may reach: their own conversation at one channel of one agent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChannelAccess:
    """Given to the web chat and the like after their token was verified. `kind`: the channel's connector."""

    workspace_id: str
    agent_id: str
    channel_id: str | None
    external_user_id: str
    kind: str = "web_chat"

    @property
    def source_id(self) -> str:
        """The place where contacts and dedupe keys are told apart."""
        return self.channel_id or self.agent_id
