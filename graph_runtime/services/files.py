"""Files of conversations: taken in from contacts and members, given back to who may read the conversation."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Final

from graph_runtime.contract.errors import InputInvalid, NotFound, TooLarge
from graph_runtime.contract.messages import Attachment
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.conversations import Conversations
from graph_runtime.services.file_kinds import FileKind, kind_of
from graph_runtime.services.principal import Principal
from graph_runtime.storage import files as rows
from graph_runtime.storage.database import Database

MAX_BYTES: Final = 20_000_000
MAX_BYTES_OF_CONVERSATION: Final = 200_000_000


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file with its content. `kind` says what it really is."""

    about: Attachment
    kind: FileKind
    content: bytes


class Files:
    """Who may read a conversation may read its files."""

    def __init__(self, database: Database, conversations: Conversations) -> None:
        self._database = database
        self._conversations = conversations

    async def add(
        self, access: Principal | ChannelAccess, conversation_id: str, content: bytes, *, is_ours: bool = False
    ) -> Attachment:
        """Keep a file that a contact, or a member who answers them, sends. Its name is ours, its type what its bytes say.

        `is_ours`: we made it ourselves, such as a recording; no virus scanner needs to see it.

        Raises: NotFound, AccessDenied, TooLarge (20 MB, 200 MB for the conversation), InputInvalid (a kind that is not
        accepted), FileHarmful, ConnectorError (it cannot be checked or kept at the moment).
        """
        if isinstance(access, Principal):
            access.require("conversation.answer")
        await self._conversations.transcript(access, conversation_id, limit=1)
        if len(content) > MAX_BYTES:
            raise TooLarge("This file is larger than 20 MB. Send a smaller one.", limit=MAX_BYTES)
        kind = kind_of(content) if content else None
        if kind is None:
            raise InputInvalid(
                "This kind of file is not accepted. Send a picture, sound, video, PDF, office document or plain text.",
                field="file",
            )
        name = f"{kind.media}-{secrets.token_hex(4)}.{kind.extension}"
        async with self._database.workspace(access.workspace_id) as connection:
            used = await rows.used_bytes(connection, conversation_id)
        if used + len(content) > MAX_BYTES_OF_CONVERSATION:
            raise TooLarge(
                "This conversation has no room for more files (200 MB). Start a new one.",
                limit=MAX_BYTES_OF_CONVERSATION,
            )
        kept = await self._database.files.keep(access.workspace_id, content, is_ours=is_ours)
        async with self._database.workspace(access.workspace_id) as connection:
            file_id = await rows.add(connection, conversation_id, name, kind.mime, kept)
        return Attachment(file_id=file_id, name=name, mime=kind.mime, size=len(content))

    async def of_conversation(
        self, access: ChannelAccess, conversation_id: str, file_ids: list[str]
    ) -> tuple[Attachment, ...]:
        """Files a contact sent before, to say them in a message. Raises: NotFound."""
        found = []
        async with self._database.workspace(access.workspace_id) as connection:
            for file_id in file_ids:
                row = await rows.about(connection, file_id)
                if row is None or row["conversation_id"] != conversation_id:
                    raise _no_file(file_id)
                found.append(Attachment(file_id=row["id"], name=row["name"], mime=row["mime"], size=row["size"]))
        return tuple(found)

    async def read(self, access: Principal | ChannelAccess, file_id: str) -> StoredFile:
        """A file of a conversation that may be read. Raises: NotFound, AccessDenied."""
        async with self._database.workspace(access.workspace_id) as connection:
            row = await rows.about(connection, file_id)
        if row is None or row["conversation_id"] is None:
            raise _no_file(file_id)
        await self._conversations.transcript(access, row["conversation_id"], limit=1)
        async with self._database.workspace(access.workspace_id) as connection:
            where = await rows.content(connection, file_id)
        content = await self._database.files.read(where)
        kind = kind_of(content or b"")
        if content is None or kind is None:
            raise _no_file(file_id)
        about = Attachment(file_id=row["id"], name=row["name"], mime=row["mime"], size=row["size"])
        return StoredFile(about, kind, content)


def _no_file(file_id: str) -> NotFound:
    return NotFound("There is no such file here.", file_id=file_id)
