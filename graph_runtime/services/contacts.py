"""People who talk to agents: what is known about them. Read only for now."""

from __future__ import annotations

from typing import Any

from graph_runtime.contract.errors import NotFound
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.storage.conversations import ConversationReader


class Contacts:
    """Contacts of the principal's workspace."""

    def __init__(self, reader: ConversationReader) -> None:
        self._reader = reader

    async def get(self, principal: Principal, contact_id: str) -> dict[str, Any]:
        """{id, fields, variables, language, created_at, updated_at}. Raises: AccessDenied, NotFound."""
        principal.require("conversation.read")
        row = await self._reader.contact(principal.workspace_id, contact_id) if is_uuid(contact_id) else None
        if row is None:
            raise NotFound("There is no such contact in this workspace.", contact_id=contact_id)
        return row
