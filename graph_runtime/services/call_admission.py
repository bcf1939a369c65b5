"""Whether anybody could hold one more call now: a voice process that lets it in, and speech that works."""

from __future__ import annotations

from typing import Final

from graph_runtime.services.bound_speech import BoundSpeech
from graph_runtime.storage import credentials as credential_rows
from graph_runtime.storage.database import Database
from graph_runtime.storage.instance import call_states

FULL: Final = frozenset({"line", "calls", "processor", "lag"})
SPEECH: Final = "speech"
"""Why a call went to the desk: its line, or every voice process, has as many calls as it may have; the processes are short of
processor time, or late; an account of speech that the call depends on rests."""


class CallAdmission:
    """Asked before a call is answered. With no voice process at all nothing is refused: one may be about to start."""

    def __init__(self, database: Database, speech: BoundSpeech) -> None:
        self._database = database
        self._speech = speech

    async def refuses(self, workspace_id: str, agent_id: str) -> str:
        """ "" when a new call of this agent can be held, else why not: of `FULL`, or `SPEECH`."""
        has_voice = self._speech.has_voice_without_key
        async with self._database.workspace(workspace_id) as connection:
            states = await call_states(connection)
            if states and "" not in states:
                return max(states, key=lambda state: states[state])
            return SPEECH if await credential_rows.is_resting(connection, agent_id, has_voice=has_voice) else ""

    async def is_taken_elsewhere(self, workspace_id: str) -> bool:
        """Whether some voice process lets new calls in."""
        async with self._database.workspace(workspace_id) as connection:
            return "" in await call_states(connection)
