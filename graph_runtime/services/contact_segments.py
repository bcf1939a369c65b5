"""Fields of a workspace's own, and segments: named conditions that contacts meet or not, whenever somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from graph_runtime.contract.conditions import Condition, references
from graph_runtime.contract.errors import Conflict, InputInvalid, NotFound
from graph_runtime.services.contact_values import ContactField, check_definition
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.services.principal import Principal
from graph_runtime.storage import contacts as rows
from graph_runtime.storage.database import Database

MOST_FIELDS: Final = 100
MOST_SEGMENTS: Final = 200
_CONDITION: TypeAdapter[Condition] = TypeAdapter(Condition)


@dataclass(frozen=True, slots=True)
class Segment:
    """`condition`: as in contract/conditions.py, over `contact.…`."""

    id: str
    name: str
    condition: dict[str, Any]


class ContactSegments:
    """Of the principal's workspace."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def fields(self, principal: Principal) -> list[ContactField]:
        """Own fields, oldest first. Raises: AccessDenied."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return [ContactField(**{**r, "options": tuple(r["options"])}) for r in await rows.fields(connection)]

    async def put_field(
        self, principal: Principal, key: str, label: str, type_: str, options: tuple[str, ...] = ()
    ) -> ContactField:
        """Add a field or change it; values that contacts have already stay as they are.

        Raises: AccessDenied, InputInvalid.
        """
        principal.require("agent.edit")
        field = check_definition(key, label, type_, options)
        async with self._database.workspace(principal.workspace_id) as connection:
            if len(await rows.fields(connection)) >= MOST_FIELDS:
                raise InputInvalid(f"A workspace has at most {MOST_FIELDS} fields.", field="key")
            values = {"key": field.key, "label": field.label, "type": field.type, "options": field.options}
            await rows.put_field(connection, values)
        return field

    async def delete_field(self, principal: Principal, key: str) -> None:
        """Forget a field; contacts keep what they have under its key. Raises: AccessDenied, NotFound."""
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            if not await rows.delete_field(connection, key):
                raise NotFound("This field does not exist any more.")

    async def segments(self, principal: Principal) -> list[Segment]:
        """By name. Raises: AccessDenied."""
        principal.require("conversation.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return [Segment(r["id"], r["name"], r["condition"]) for r in await rows.segments(connection)]

    async def put_segment(
        self, principal: Principal, name: str, condition: Mapping[str, Any], segment_id: str | None = None
    ) -> Segment:
        """A new segment, or a changed one. Raises: AccessDenied, InputInvalid, Conflict (the name), NotFound."""
        principal.require("agent.edit")
        name = " ".join(name.split())
        if not 1 <= len(name) <= 100:
            raise InputInvalid("A segment needs a name of at most 100 characters.", field="name")
        parsed = as_condition(condition)
        if wrong := [ref for ref in references(parsed) if not ref.startswith("contact.")]:
            raise InputInvalid(f"A segment looks at contacts only, not at “{wrong[0]}”.", field="condition")
        data = _CONDITION.dump_python(parsed, mode="json", by_alias=True)
        async with self._database.workspace(principal.workspace_id) as connection:
            others = [r for r in await rows.segments(connection) if r["id"] != segment_id]
            if any(r["name"].casefold() == name.casefold() for r in others):
                raise Conflict("Another segment has this name. Choose another one.")
            if len(others) >= MOST_SEGMENTS:
                raise InputInvalid(f"A workspace has at most {MOST_SEGMENTS} segments.", field="name")
            wanted = segment_id if segment_id is None or is_uuid(segment_id) else "00000000-0000-0000-0000-000000000000"
            saved = await rows.put_segment(connection, wanted, name, data)
        if saved is None:
            raise NotFound("This segment does not exist any more.")
        return Segment(saved, name, data)

    async def delete_segment(self, principal: Principal, segment_id: str) -> None:
        """Forget a segment. Raises: AccessDenied, NotFound."""
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            if not is_uuid(segment_id) or not await rows.delete_segment(connection, segment_id):
                raise NotFound("This segment does not exist any more.")


def as_condition(data: Any) -> Condition:
    """Read a condition. Raises: InputInvalid."""
    try:
        return _CONDITION.validate_python(data)
    except (ValidationError, RecursionError):
        raise InputInvalid("This condition cannot be read. Build it once more.", field="condition") from None


def field_of(facts: Mapping[str, Any], ref: str) -> Any:
    """Value of `contact.<key>`; None when there is none."""
    return facts.get(ref.removeprefix("contact."))
