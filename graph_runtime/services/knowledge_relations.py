"""What stands beside a document: files attached to an article, and documents to see also."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from graph_runtime.contract.errors import InputInvalid
from graph_runtime.services.knowledge_documents import found_document
from graph_runtime.services.knowledge_values import DocumentRow, shown
from graph_runtime.services.principal import Principal
from graph_runtime.storage import knowledge as rows
from graph_runtime.storage.database import Database

MOST_BESIDE: Final = 50


class KnowledgeRelations:
    """Whoever may read agents may read; editors change. A relation is seen from both sides."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def beside(self, principal: Principal, document_id: str) -> Sequence[DocumentRow]:
        """By title: its attachments (their `attached_to` is this document) and what it is related to.

        Raises: AccessDenied, NotFound.
        """
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_document(connection, document_id)
            return [shown(row) for row in await rows.beside(connection, document_id)]

    async def relate(self, principal: Principal, document_id: str, other_id: str) -> None:
        """See also. Raises: AccessDenied, NotFound, InputInvalid."""
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            one = await found_document(connection, document_id)
            other = await found_document(connection, other_id)
            if one["id"] == other["id"] or one["knowledge_base_id"] != other["knowledge_base_id"]:
                raise InputInvalid("Choose another document of the same knowledge base.", field="other")
            if len(await rows.beside(connection, document_id)) >= MOST_BESIDE:
                raise InputInvalid(f"A document has at most {MOST_BESIDE} others beside it.", field="other")
            await rows.relate(connection, one["knowledge_base_id"], document_id, other_id)

    async def unrelate(self, principal: Principal, document_id: str, other_id: str) -> None:
        """Raises: AccessDenied, NotFound."""
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_document(connection, document_id)
            await found_document(connection, other_id)
            await rows.unrelate(connection, document_id, other_id)
