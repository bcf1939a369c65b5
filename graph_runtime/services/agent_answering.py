"""How an agent answers: what people approve, and how long an answer takes. It counts from the next message on."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from graph_runtime.contract.answering import Answering
from graph_runtime.contract.errors import InputInvalid, NotFound
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.storage import agents as rows
from graph_runtime.storage import audit
from graph_runtime.storage.database import Connection, Database


class AgentAnswering:
    """Read by whoever sees the agent, changed by whoever may change it."""

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        self._database = database
        self._clock = clock

    async def get(self, principal: Principal, agent_id: str) -> Answering:
        """Raises: AccessDenied, NotFound."""
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return Answering.of(await _stored(connection, agent_id))

    async def change(self, principal: Principal, agent_id: str, **changes: dict[str, Any]) -> Answering:
        """Change `approval` or `delay`; what is not named stays.

        Raises: AccessDenied, NotFound, InputInvalid naming the field.
        """
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            stored = await _stored(connection, agent_id)
            try:
                answering = Answering.model_validate(stored | {k: stored.get(k, {}) | v for k, v in changes.items()})
            except ValidationError as e:
                first = e.errors(include_url=False, include_input=False)[0]
                name = str(first["loc"][-1])
                raise InputInvalid(f"“{name}” does not fit: {first['msg']}.", field=name) from None
            await rows.set_answering(connection, agent_id, answering.model_dump(mode="json"))
            await audit.append(connection, principal.actor, "agent.answering", {"agent": agent_id}, self._clock())
        return answering


async def _stored(connection: Connection, agent_id: str) -> dict[str, Any]:
    found = await rows.answering(connection, agent_id) if is_uuid(agent_id) else None
    if found is None:
        raise NotFound("There is no such agent in this workspace.", agent_id=agent_id)
    return found
