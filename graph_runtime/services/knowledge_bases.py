"""Knowledge bases and their categories: what agents may search, arranged by people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.errors import InputInvalid, NotFound
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.services.serving import require_serves
from graph_runtime.storage import audit
from graph_runtime.storage import credentials as keys
from graph_runtime.storage import knowledge as rows
from graph_runtime.storage.database import Connection, Database, Row

MOST_BASES: Final = 100
MOST_CATEGORIES: Final = 500
DEEPEST_CATEGORY: Final = 4


@dataclass(frozen=True, slots=True)
class BaseRow:
    """A knowledge base. `embedder`: id of the credential that makes its vectors, `reranker`: of the one that orders what
    is found, "" without; `working`: documents that are being read now; `failed`: those that could not be."""

    id: str
    name: str
    description: str
    embedder: str
    embedder_model: str
    reranker: str
    is_public: bool
    documents: int
    passages: int
    working: int
    failed: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """A category. `depth` 0 at the top; `documents` directly in it."""

    id: str
    parent_id: str
    name: str
    depth: int
    documents: int


@dataclass(frozen=True, slots=True)
class EmbedderChoice:
    """A key that can make vectors, with the models to suggest: (name, what people read)."""

    credential_id: str
    label: str
    models: tuple[tuple[str, str], ...]


class KnowledgeBases:
    """Whoever may read agents may read knowledge; editors change it."""

    def __init__(self, database: Database, catalog: Catalog, clock: Clock = system_clock) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock

    async def list(self, principal: Principal) -> list[BaseRow]:
        """All of the workspace by name. Raises: AccessDenied."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return [_shown(row) for row in await rows.bases(connection)]

    async def get(self, principal: Principal, base_id: str) -> BaseRow:
        """Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return _shown(await found_base(connection, base_id))

    async def create(self, principal: Principal, name: str, description: str = "") -> BaseRow:
        """Raises: AccessDenied, InputInvalid."""
        principal.require("knowledge.edit")
        name, description = _name(name), _description(description)
        async with self._database.workspace(principal.workspace_id) as connection:
            if len(await rows.bases(connection)) >= MOST_BASES:
                raise InputInvalid(f"A workspace has at most {MOST_BASES} knowledge bases.", field="name")
            base_id = await rows.add_base(connection, name, description)
            await self._note(connection, principal, "created", base_id)
            return _shown(await found_base(connection, base_id))

    async def update(
        self,
        principal: Principal,
        base_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        is_public: bool | None = None,
    ) -> BaseRow:
        """Change what is given. Raises: AccessDenied, NotFound, InputInvalid."""
        principal.require("knowledge.edit")
        values: Row = {}
        if name is not None:
            values["name"] = _name(name)
        if description is not None:
            values["description"] = _description(description)
        if is_public is not None:
            values["is_public"] = is_public
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
            if values:
                await rows.change(connection, "knowledge_base", base_id, values)
                await self._note(connection, principal, "changed", base_id)
            return _shown(await found_base(connection, base_id))

    async def set_embedder(self, principal: Principal, base_id: str, credential_id: str, model: str) -> BaseRow:
        """Search by meaning with this key and model, or by words alone (an empty id). Passages are then embedded anew; until
        the last of them is, vectors of the former model are searched beside those that are there already.

        Raises: AccessDenied, NotFound, InputInvalid.
        """
        principal.require("knowledge.edit", "credential.use")
        model = model.strip() if credential_id else ""
        async with self._database.workspace(principal.workspace_id) as connection:
            base = await found_base(connection, base_id)
            if credential_id:
                row = await keys.get_credential(connection, credential_id) if is_uuid(credential_id) else None
                kind = self._catalog.connectors.get(row["connector"]) if row else None
                if kind is None or kind.embedder is None:
                    raise InputInvalid("Choose a key that can make vectors.", field="embedder")
                if not model or len(model) > 200:
                    raise InputInvalid("Name the model that makes vectors.", field="embedder_model")
                await require_serves(connection, credential_id, None)
            values = {"embedder": credential_id or None, "embedder_model": model}
            if (base["embedder"], base["embedder_model"]) != (values["embedder"], model):
                values |= _former(base, credential_id, model)
                await rows.change(connection, "knowledge_base", base_id, values)
                if credential_id:
                    await rows.embed_again(connection, base_id)
                await self._note(connection, principal, "embedder_changed", base_id)
            return _shown(await found_base(connection, base_id))

    async def embedders(self, principal: Principal) -> Sequence[EmbedderChoice]:
        """Keys of the workspace that can make vectors. Raises: AccessDenied."""
        principal.require("knowledge.read")
        choices = []
        async with self._database.workspace(principal.workspace_id) as connection:
            for row in await keys.list_credentials(connection):
                kind = self._catalog.connectors.get(row["connector"])
                if kind is not None and kind.embedder is not None and row["only_agents"] is None:
                    # What a check found are all models of the key; where it brings chat models, too, nobody knows which.
                    found = () if "chat_model" in kind.kinds else tuple((name, name) for name in row["models"] or ())
                    choices.append(EmbedderChoice(str(row["id"]), row["label"], found or kind.embedder.models))
        return choices

    async def set_reranker(self, principal: Principal, base_id: str, credential_id: str) -> BaseRow:
        """Order what is found with this key, or leave it as it is (an empty id). Raises: AccessDenied, NotFound, InputInvalid."""
        principal.require("knowledge.edit", "credential.use")
        async with self._database.workspace(principal.workspace_id) as connection:
            base = await found_base(connection, base_id)
            if credential_id:
                row = await keys.get_credential(connection, credential_id) if is_uuid(credential_id) else None
                kind = self._catalog.connectors.get(row["connector"]) if row else None
                if kind is None or kind.reranker is None:
                    raise InputInvalid("Choose a key of a reranker.", field="reranker")
                await require_serves(connection, credential_id, None)
            if (base["reranker"] or "") != credential_id:
                await rows.change(connection, "knowledge_base", base_id, {"reranker": credential_id or None})
                await self._note(connection, principal, "reranker_changed", base_id)
            return _shown(await found_base(connection, base_id))

    async def rerankers(self, principal: Principal) -> Sequence[tuple[str, str]]:
        """(id, label) of keys of rerankers. Raises: AccessDenied."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            found = await keys.list_credentials(connection)
        known = self._catalog.connectors
        return [
            (str(r["id"]), r["label"])
            for r in found
            if (k := known.get(r["connector"])) and k.reranker is not None and r["only_agents"] is None
        ]

    async def delete(self, principal: Principal, base_id: str) -> None:
        """Delete it with its documents. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
            await rows.delete(connection, "knowledge_base", base_id)
            await self._note(connection, principal, "deleted", base_id)

    async def categories(self, principal: Principal, base_id: str) -> Sequence[CategoryRow]:
        """The tree, each before its children. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
            return [
                CategoryRow(row["id"], row["parent_id"] or "", row["name"], row["depth"], row["documents"])
                for row in await rows.categories(connection, base_id)
            ]

    async def add_category(self, principal: Principal, base_id: str, name: str, parent_id: str = "") -> str:
        """The id of the new category. Raises: AccessDenied, NotFound, InputInvalid."""
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await found_base(connection, base_id)
            tree = {row["id"]: row for row in await rows.categories(connection, base_id)}
            if parent_id and parent_id not in tree:
                raise NotFound("There is no such category. It may have been deleted; reload the page.")
            if len(tree) >= MOST_CATEGORIES or (parent_id and tree[parent_id]["depth"] + 1 >= DEEPEST_CATEGORY):
                raise InputInvalid("There is no room for another category here.", field="category")
            return await rows.add_category(connection, base_id, _name(name), parent_id or None)

    async def rename_category(self, principal: Principal, category_id: str, name: str) -> None:
        """Raises: AccessDenied, NotFound, InputInvalid."""
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found_category(connection, category_id)
            await rows.change(connection, "knowledge_category", category_id, {"name": _name(name)})

    async def delete_category(self, principal: Principal, category_id: str) -> None:
        """Delete it with those below it; its documents stay, without a category. Raises: AccessDenied, NotFound."""
        principal.require("knowledge.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await _found_category(connection, category_id)
            await rows.delete(connection, "knowledge_category", category_id)

    async def _note(self, connection: Connection, principal: Principal, what: str, base_id: str) -> None:
        ids = {"knowledge_base": base_id}
        await audit.append(connection, principal.actor, f"knowledge_base.{what}", ids, self._clock())


def _former(base: Row, credential_id: str, model: str) -> Row:
    """What made the vectors that are still there, when another model takes over: of two changes in a row, the first, which made
    most of them."""
    first = (base["former_embedder"], base["former_model"])
    former = first if first[0] else (base["embedder"], base["embedder_model"])
    is_needed = credential_id and base["passages"] and former[0] and former != (credential_id, model)
    return {"former_embedder": former[0] if is_needed else None, "former_model": former[1] if is_needed else ""}


async def found_base(connection: Connection, base_id: str) -> Row:
    """The row of a base. Raises: NotFound."""
    row = await rows.base(connection, base_id) if is_uuid(base_id) else None
    if row is None:
        raise NotFound("There is no such knowledge base. It may have been deleted; reload the page.")
    return row


async def _found_category(connection: Connection, category_id: str) -> Row:
    row = await rows.category(connection, category_id) if is_uuid(category_id) else None
    if row is None:
        raise NotFound("There is no such category. It may have been deleted; reload the page.")
    return row


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= 200:
        raise InputInvalid("A name has 1 to 200 characters.", field="name")
    return name


def _description(text: str) -> str:
    text = text.strip()
    if len(text) > 1000:
        raise InputInvalid("A description has at most 1000 characters.", field="description")
    return text


def _shown(row: Row) -> BaseRow:
    return BaseRow(
        id=row["id"], name=row["name"], description=row["description"], embedder=row["embedder"] or "",
        embedder_model=row["embedder_model"], reranker=row["reranker"] or "", is_public=row["is_public"], documents=row["documents"],
        passages=row["passages"], working=row["working"], failed=row["failed"], updated_at=row["updated_at"],
    )  # fmt: skip
