"""Whom a credential serves: all agents of the workspace, or those that an administrator named."""

from __future__ import annotations

from graph_runtime.contract.errors import InputInvalid
from graph_runtime.storage import credentials as rows
from graph_runtime.storage.database import Connection


async def require_serves(connection: Connection, credential_id: str, agent_id: str | None) -> None:
    """An agent may use it; None: all may, as what belongs to the whole workspace needs. It stays so until the transaction ends.

    Raises: InputInvalid.
    """
    if await rows.serves(connection, credential_id, agent_id):
        return
    if agent_id:
        raise InputInvalid(
            "This key or connection serves other agents only. Choose another one, or let an administrator share it.",
            field="only_agents",
        )
    raise InputInvalid(
        "This key or connection serves some agents only, so it cannot serve the whole workspace. Choose another one.",
        field="only_some_agents",
    )
