"""Runs one step of a draft for real, outside any conversation, so that its author sees what a service answers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from graph_runtime.contract import events as happened
from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.crm import Crm
from graph_runtime.contract.errors import InputInvalid, NotFound
from graph_runtime.contract.flow import Flow, Node
from graph_runtime.contract.http import HttpReply
from graph_runtime.engine.compile import compile_flow
from graph_runtime.engine.effects import MemoryJournal
from graph_runtime.engine.run import run_turn
from graph_runtime.engine.turn import Budget, CallsHttp, Doors, Trigger
from graph_runtime.services.bound_connections import AgentConnections, BoundConnections
from graph_runtime.services.drafts import Drafts
from graph_runtime.services.principal import Principal

CAN_BE_TRIED: Final = frozenset({"http_request"})
SECONDS: Final = 65.0
SHOWN_CHARACTERS: Final = 20_000
_START: Final = "n_trial_start"


@dataclass(frozen=True, slots=True)
class Tried:
    """What happened. `requests`: method, url, headers (never a key), body, status, answer; `port`: the exit taken."""

    port: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    ms: float = 0.0


class StepTrial:
    """Needs the right to edit flows and to use credentials: the request is really sent."""

    def __init__(self, drafts: Drafts, catalog: Catalog, connections: BoundConnections, http: CallsHttp) -> None:
        self._drafts = drafts
        self._catalog = catalog
        self._connections = connections
        self._http = http

    async def run(self, principal: Principal, flow_id: str, node_id: str, values: dict[str, Any]) -> Tried:
        """Raises: AccessDenied, NotFound, InputInvalid (a step that cannot be tried)."""
        principal.require("flow.edit", "credential.use")
        draft = await self._drafts.open(principal, flow_id)
        node = draft.flow.nodes.get(node_id)
        if node is None:
            raise NotFound("This step is not in the saved draft. Wait until the change is saved and try again.")
        if node.type not in CAN_BE_TRIED:
            raise InputInvalid("This step cannot be tried alone. Use the test talk.", field="type")
        seen = _Seen(self._http)
        own = self._connections.of(principal.workspace_id, draft.agent_id)
        doors = Doors(
            MemoryJournal(), http=seen, connections=_SeenConnections(own, seen), budget=Budget(steps=5, seconds=SECONDS)
        )
        trigger = Trigger(
            "start", principal.workspace_id, f"trial-{uuid.uuid4()}", "trial", 1, datetime.now(UTC),
            contact=_CONTACT, language=draft.flow.locale,
        )  # fmt: skip
        flow = _alone(draft.flow, node_id, node, values)
        result = await run_turn(compile_flow(flow, {}, self._catalog), None, trigger, doors)
        failed = [e.message for e in result.events if isinstance(e, happened.NodeFailed)]
        set_to = {e.name: e.value for e in result.events if isinstance(e, happened.VariableSet)}
        port = next((p for step, p, _ in reversed(result.path) if step == node_id and p), "")
        return Tried(port, seen.requests, set_to, failed[0] if failed and not seen.requests else seen.error, result.ms)


_CONTACT: Final = {"first_name": "Test", "last_name": "Contact", "phone": "+10000000000", "email": "test@example.com"}


def _alone(flow: Flow, node_id: str, node: Node, values: dict[str, Any]) -> Flow:
    """A flow of this one step, its variables filled with the examples."""
    variables = {
        name: v.model_copy(update={"default": values.get(name, v.default), "scope": "conversation"})
        for name, v in flow.variables.items()
    }
    nodes = {_START: Node(type="start"), node_id: node, "n_trial_end": Node(type="end")}
    ends = {f"{node_id}.{port}": "n_trial_end" for port in ("ok", "http_error", "error")}
    changed = {
        "nodes": nodes, "variables": variables, "edges": {f"{_START}.next": node_id} | ends,
        "entry": {"message": _START},
    }  # fmt: skip
    return flow.model_copy(update=changed)


class _Seen:
    """A way out that remembers what went through it, before a key is added."""

    def __init__(self, door: CallsHttp) -> None:
        self._door = door
        self.requests: list[dict[str, Any]] = []
        self.error = ""

    async def close(self) -> None:
        """The door is somebody else's."""

    async def call(self, method: str, url: str, *, headers: dict[str, str], body: Any, seconds: float) -> HttpReply:
        return await self.through(self._door, method, url, headers=headers, body=body, seconds=seconds)

    async def through(
        self, door: CallsHttp, method: str, url: str, *, headers: dict[str, str], body: Any, seconds: float
    ) -> HttpReply:
        """Send and remember."""
        request: dict[str, Any] = {"method": method, "url": url, "headers": headers, "body": body}
        self.requests.append(request)
        try:
            reply = await door.call(method, url, headers=headers, body=body, seconds=seconds)
        except Exception as error:
            self.error = getattr(error, "message", type(error).__name__)
            request["error"] = self.error
            raise
        self.error = ""
        shown = reply.body if len(str(reply.body)) <= SHOWN_CHARACTERS * 10 else str(reply.body)[:SHOWN_CHARACTERS]
        request |= {"status": reply.status, "answer": shown, "answer_headers": dict(reply.headers)}
        return reply


class _SeenConnections:
    """The agent's connections, watched."""

    def __init__(self, connections: AgentConnections, seen: _Seen) -> None:
        self._connections = connections
        self._seen = seen

    async def http(self, slot: str) -> CallsHttp:
        return _Through(await self._connections.http(slot), self._seen)

    async def crm(self, slot: str) -> Crm:
        return await self._connections.crm(slot)

    async def has_put_aside(self, conversation_id: str) -> bool:
        """A trial belongs to no conversation."""
        return False

    async def put_aside(self, slot: str, write: Mapping[str, Any]) -> None:
        """What is tried writes nothing, now or later."""


class _Through:
    def __init__(self, door: CallsHttp, seen: _Seen) -> None:
        self._door = door
        self._seen = seen

    async def close(self) -> None:
        """As above."""

    async def call(self, method: str, url: str, *, headers: dict[str, str], body: Any, seconds: float) -> HttpReply:
        return await self._seen.through(self._door, method, url, headers=headers, body=body, seconds=seconds)
