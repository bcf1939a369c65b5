"""Who has which flow open: batches of edits are applied one after another and told to everybody else in that order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from graph_runtime.api.catalog_view import ports_json
from graph_runtime.api.metrics import EDITS
from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.edits import EDITS as EDIT_LIST
from graph_runtime.contract.edits import Edit
from graph_runtime.contract.errors import BuilderError, Conflict
from graph_runtime.contract.flow import Flow
from graph_runtime.services.principal import Principal

if TYPE_CHECKING:
    from graph_runtime.bootstrap import Services

Frame = dict[str, Any]
PROBLEMS_AFTER_SECONDS: Final = 0.15

MAX_FRAMES_WAITING: Final = 2000


@dataclass(frozen=True, slots=True)
class Batch:
    """Finished edits of one client under one number; the same number means the same batch, however often it comes."""

    client: str
    seq: int
    base_revision: int
    edits: list[Edit]


@dataclass(eq=False, slots=True)
class Editor:
    """One open tab. `client` is "" until its first batch; `revision` is what the tab knows."""

    name: str
    language: str
    revision: int = 0
    client: str = ""
    frames: asyncio.Queue[Frame | None] = field(default_factory=asyncio.Queue)

    def tell(self, frame: Frame) -> None:
        """Queue a frame; a tab that does not read any more is let go (None)."""
        if self.frames.qsize() >= MAX_FRAMES_WAITING:
            while not self.frames.empty():
                self.frames.get_nowait()
            self.frames.put_nowait(None)
            return
        self.frames.put_nowait(frame)


class Room:
    """Everybody who has one flow open in this process."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.editors: list[Editor] = []
        self._problems: asyncio.Task[None] | None = None

    def tell(self, frame: Frame, *, except_client: str = "") -> None:
        """Tell everybody, or everybody but one client."""
        for editor in self.editors:
            if not except_client or editor.client != except_client:
                editor.tell(frame)

    def tell_names(self) -> None:
        """Tell everybody who is here, themselves included, in order of arrival."""
        self.tell({"t": "editors", "names": [editor.name for editor in self.editors]})

    def tell_problems_soon(self, revision: int, problems: Iterable[Any]) -> None:
        """Tell the newest problems once no further batch came for a moment."""
        items = [problem.to_json() for problem in problems]
        if self._problems is not None:
            self._problems.cancel()
        self._problems = asyncio.create_task(self._later({"t": "problems", "rev": revision, "items": items}))

    async def _later(self, frame: Frame) -> None:
        await asyncio.sleep(PROBLEMS_AFTER_SECONDS)
        self.tell(frame)

    def close(self) -> None:
        """Nobody is here any more."""
        if self._problems is not None:
            self._problems.cancel()


class Rooms:
    """The rooms of this process, one per open flow."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._rooms: dict[str, Room] = {}

    @asynccontextmanager
    async def entered(self, flow_id: str, editor: Editor) -> AsyncIterator[Room]:
        """Be in the room of a flow."""
        room = self._rooms.setdefault(flow_id, Room())
        room.editors.append(editor)
        room.tell_names()
        try:
            yield room
        finally:
            room.editors.remove(editor)
            room.tell_names()
            if not room.editors and self._rooms.get(flow_id) is room:
                room.close()
                del self._rooms[flow_id]

    async def save(self, who: Principal, flow_id: str, batch: Batch, *, by: str) -> Any:
        """Apply a batch and tell the others; what `Drafts.apply` gave.

        Raises: Conflict, EditInvalid, AccessDenied, NotFound.
        """
        room = self._rooms.get(flow_id)
        async with room.lock if room is not None else contextlib.nullcontext():
            try:
                applied = await self._services.drafts.apply(
                    who,
                    flow_id,
                    client=batch.client,
                    seq=batch.seq,
                    base_revision=batch.base_revision,
                    edits=batch.edits,
                )
            except BuilderError as error:
                EDITS.labels("conflict" if isinstance(error, Conflict) else "rejected").inc()
                raise
            EDITS.labels("repeated" if applied.repeated else "saved").inc()
            if room is not None and not applied.repeated:
                self._tell(room, batch, applied, by)
        return applied

    def is_open(self, flow_id: str) -> bool:
        """Whether anybody has the flow open here."""
        return flow_id in self._rooms

    def changed_in_one_piece(self, flow_id: str, revision: int) -> None:
        """The draft was replaced (restored, put by the API): everybody loads it again."""
        room = self._rooms.get(flow_id)
        if room is not None:
            room.tell({"t": "hello", "rev": revision})

    async def rebound(self, who: Principal, agent_id: str) -> None:
        """Something else is behind a slot of this agent: tell its editors the problems there are now, and no older ones."""
        for flow_id, room in [*self._rooms.items()]:
            with contextlib.suppress(BuilderError):  # of another workspace, or deleted
                draft = await self._services.drafts.open(who, flow_id)
                if draft.agent_id == agent_id:
                    room.tell_problems_soon(draft.revision, draft.problems)

    def _tell(self, room: Room, batch: Batch, applied: Any, by: str) -> None:
        edits = EDIT_LIST.dump_python([*batch.edits, *applied.added], mode="json")
        patch = {"t": "patch", "rev": applied.revision, "edits": edits, "by": by}
        for editor in room.editors:
            if editor.client == batch.client:
                continue
            if editor.revision and editor.revision < applied.revision - 1:
                # Something between was saved by another process: this tab has to load the draft again.
                editor.tell({"t": "hello", "rev": applied.revision})
            else:
                editor.tell(patch)
            editor.revision = applied.revision
        for editor in room.editors:
            nodes = touched_ports(self._services.catalog, applied.flow, [*batch.edits, *applied.added], editor.language)
            if nodes:
                editor.tell({"t": "ports", "rev": applied.revision, "nodes": nodes})
        room.tell_problems_soon(applied.revision, applied.problems)


def touched_ports(catalog: Catalog, flow: Flow, edits: Iterable[Edit], language: str) -> dict[str, Any]:
    """Exits of the steps these edits added or set up, where exits depend on the settings."""
    touched = {edit.id for edit in edits if edit.kind in ("add_node", "change_settings")}
    return dynamic_ports(catalog, flow, touched, language)


def dynamic_ports(catalog: Catalog, flow: Flow, node_ids: Iterable[str], language: str) -> dict[str, Any]:
    """Exits of these steps, where they depend on the settings and the settings can be read."""
    found: dict[str, Any] = {}
    for node_id in node_ids:
        node = flow.nodes.get(node_id)
        kind = catalog.nodes.get(node.type) if node is not None else None
        if node is None or kind is None or not callable(kind.outputs):
            continue
        with contextlib.suppress(ValueError, TypeError):  # a half-filled form: the canvas keeps the exits it has
            ports = kind.ports(kind.settings.model_validate(node.settings))
            found[node_id] = ports_json(ports, kind.texts, language)
    return found
