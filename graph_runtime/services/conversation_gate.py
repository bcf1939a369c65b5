"""Who may touch which conversation: a contact their own, a member or key those of the workspace."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any, Final
from uuid import UUID

from graph_runtime.contract.errors import NotFound
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.principal import Principal
from graph_runtime.storage.conversations import ConversationReader

Access = Principal | ChannelAccess
OWNERS_KEPT = 5000
_AS_WE_WRITE_IT: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ConversationGate:
    """Asked by every method that names a conversation."""

    def __init__(self, reader: ConversationReader) -> None:
        self._reader = reader
        # Whose a conversation is never changes while it exists, and what is deleted is found by no later query.
        self._owners: OrderedDict[tuple[str, str], ChannelAccess] = OrderedDict()

    async def authorise(self, access: Access, conversation_id: str, permission: str) -> None:
        """A principal's conversation is found or not by the query that follows: row-level security binds it.

        Raises: AccessDenied, NotFound.
        """
        self.admit(access, conversation_id, permission)
        if not isinstance(access, ChannelAccess) or self._owners.get(_owner_key(access, conversation_id)) == access:
            return
        if not await self._reader.owner_of(
            access.workspace_id, conversation_id, access.external_user_id, access.source_id
        ):
            raise no_conversation(conversation_id)
        self.proven(access, conversation_id)

    def proven(self, access: Access, conversation_id: str) -> None:
        """A statement has just found the conversation to be this contact's: nobody need ask again."""
        if isinstance(access, ChannelAccess):
            key = _owner_key(access, conversation_id)
            self._owners[key] = access
            self._owners.move_to_end(key)
            while len(self._owners) > OWNERS_KEPT:
                self._owners.popitem(last=False)

    @staticmethod
    def admit(access: Access, conversation_id: str, permission: str) -> None:
        """What can be said without the database, for a statement that itself looks whose conversation it is.

        Raises: AccessDenied, NotFound.
        """
        if isinstance(access, Principal):
            access.require(permission)
        if not is_uuid(conversation_id):
            raise no_conversation(conversation_id)

    async def head(self, access: Access, conversation_id: str) -> dict[str, Any]:
        """The conversation without its messages. Raises: AccessDenied, NotFound."""
        await self.authorise(access, conversation_id, "conversation.read")
        head = await self._reader.head(access.workspace_id, conversation_id)
        if head is None:
            raise no_conversation(conversation_id)
        return head


def _owner_key(access: ChannelAccess, conversation_id: str) -> tuple[str, str]:
    return conversation_id, access.external_user_id


def no_conversation(conversation_id: str) -> NotFound:
    """The same answer for what does not exist and what is somebody else's."""
    return NotFound("There is no such conversation here.", conversation_id=conversation_id)


def is_uuid(text: str | None) -> bool:
    """Whether an id can be one of ours."""
    if text is not None and _AS_WE_WRITE_IT.fullmatch(text):
        return True
    try:
        UUID(text or "")
    except (ValueError, AttributeError):
        return False
    return True
