"""Where a turn begins once its trigger is stored: here at once, or in whichever worker is free."""

from __future__ import annotations

from typing import Any

from graph_runtime.jobs.jobs import HandleTurn, Jobs
from graph_runtime.services.turn_runner import TurnRunner
from graph_runtime.storage.turns import LeasedTurn


class TurnStarts:
    """`are_here` False: this process accepts and wakes the workers, and never leases."""

    def __init__(self, runner: TurnRunner, jobs: Jobs, *, are_here: bool = True) -> None:
        self.runner = runner
        self._jobs = jobs
        self._are_here = are_here

    def begin(self, workspace_id: str, conversation_id: str, turn: LeasedTurn | None) -> None:
        """The first turn of a conversation; `turn` None: not leased yet."""
        if self._are_here:
            self.runner.start(workspace_id, conversation_id, turn)
        else:
            self._jobs.send(HandleTurn(workspace_id, conversation_id))

    def look(self, workspace_id: str, conversation_id: str) -> None:
        """Whoever had the conversation may have died: take up at once what waits there, if nobody alive has it."""
        if self._are_here:
            self.runner.start(workspace_id, conversation_id)
        else:
            self._jobs.send(HandleTurn(workspace_id, conversation_id))

    def think_ahead(self, workspace_id: str, conversation_id: str, payload: dict[str, Any], text: str) -> None:
        """A message may be about to come. Only where its turn will run: nobody else could use what was begun."""
        if self._are_here:
            self.runner.ahead.begin(workspace_id, conversation_id, payload, text)

    def go_on(self, workspace_id: str, conversation_id: str, turn: LeasedTurn | None) -> None:
        """A new trigger of a conversation; `turn` None: some process has it and will see the trigger."""
        if not self._are_here:
            self._jobs.send(HandleTurn(workspace_id, conversation_id))
        elif turn is not None:
            self.runner.start(workspace_id, conversation_id, turn)
