"""Agents: what a workspace switches on and off, with their flows and the models behind their connections."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.errors import Conflict, FlowDamaged, InputInvalid, NotFound
from graph_runtime.contract.flow import LANGUAGES, Flow, Layout, Node, load_flow, new_id
from graph_runtime.contract.speech import SYNTHESIZER_SLOT, TRANSCRIBER_SLOT
from graph_runtime.engine.facts import look_at, words
from graph_runtime.engine.upgrade import upgrade
from graph_runtime.engine.validate import FlowCheck, Surroundings, subflow_ids
from graph_runtime.services.clock import Clock, system_clock
from graph_runtime.services.drafts import phones, readable, with_exits
from graph_runtime.services.principal import Principal
from graph_runtime.services.serving import require_serves
from graph_runtime.services.templates import Template, list_templates, template_flows, with_ids
from graph_runtime.storage import agents as rows
from graph_runtime.storage import audit
from graph_runtime.storage import flows as flow_rows
from graph_runtime.storage.database import Connection, Database, Row

Flows = list[Flow]
_SLOT_KINDS = {TRANSCRIBER_SLOT: "transcriber", SYNTHESIZER_SLOT: "synthesizer"}
CHANNELS = ("web_chat", "api", "test")
_CHANGEABLE = ("name", "description", "language", "settings")


@dataclass(frozen=True, slots=True)
class AgentRow:
    """An agent with the facts that decide; `problems` counts the errors of its drafts."""

    id: str
    name: str
    description: str
    is_on: bool
    main_flow_id: str
    live_version: int | None
    flows: int
    problems: int
    conversations_today: int
    last_activity: datetime | None
    public_id: str
    language: str
    settings: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A flow of an agent."""

    id: str
    name: str
    kind: str
    live_version: int | None
    problems: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Binding:
    """A connection slot of an agent's flows and the model behind it; `connector` "" means the demo model answers."""

    slot: str
    label: str
    credential_id: str | None
    connector: str
    model: str
    kind: str = "chat_model"
    """What the flows want there: a model, a key ("http") or a customer system ("crm")."""


@dataclass(frozen=True, slots=True)
class Affected:
    """What goes when an agent is deleted."""

    open_conversations: int
    conversations: int
    flows: int
    versions: int


# Inside the class below `list` is a method.
FlowRows = list[FlowRow]
Bindings = list[Binding]
Templates = list[Template]


class Agents:
    """The agents of a workspace."""

    def __init__(self, database: Database, catalog: Catalog, check: FlowCheck, clock: Clock = system_clock) -> None:
        self._database = database
        self._catalog = catalog
        self._check = check
        self._clock = clock

    async def list(self, principal: Principal, *, search: str = "", limit: int = 50, offset: int = 0) -> list[AgentRow]:
        """Newest change first.

        Raises: AccessDenied.
        """
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            found = await rows.list_agents(
                connection, today=self._today(), search=search[:200], limit=min(limit, 200), offset=max(offset, 0)
            )
            return [await self._row(connection, row) for row in found]

    async def get(self, principal: Principal, agent_id: str) -> AgentRow:
        """Raises: AccessDenied, NotFound."""
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            return await self._row(connection, await self._found(connection, agent_id))

    async def templates(self, principal: Principal, language: str = "en") -> Templates:
        """The ready-made agents.

        Raises: AccessDenied.
        """
        principal.require("agent.read")
        return [*await list_templates(language, self._catalog)]

    async def create(
        self, principal: Principal, *, name: str, template: str | None = None, language: str = "en"
    ) -> AgentRow:
        """A new agent, empty or from a template; it answers people once it is published and switched on.

        Raises: AccessDenied, InputInvalid, NotFound.
        """
        principal.require("agent.edit")
        name = _name(name)
        if language not in LANGUAGES:
            raise InputInvalid(f"Choose one of these languages: {', '.join(LANGUAGES)}.", field="language")
        main, subs = template_flows(template, language) if template else (self._empty(language), {})
        main = main.model_copy(update={"name": name})
        async with self._database.workspace(principal.workspace_id) as connection:
            values = {"name": name, "language": language, "template": template or "", "is_on": True}
            agent_id = await self._insert(connection, values, main, subs)
            await audit.append(connection, principal.actor, "agent.created", {"agent": agent_id}, self._clock())
            return await self._row(connection, await self._found(connection, agent_id))

    async def update(self, principal: Principal, agent_id: str, **changes: Any) -> AgentRow:
        """Change `name`, `description`, `language` or `settings` (merged key by key); None leaves a value as it is.

        Raises: AccessDenied, NotFound, InputInvalid.
        """
        principal.require("agent.edit")
        given = {k: v for k, v in changes.items() if v is not None}
        unknown = set(given) - set(_CHANGEABLE)
        if unknown:
            raise InputInvalid(f"An agent has no setting “{min(unknown)}”.", field=min(unknown))
        if "name" in given:
            given["name"] = _name(given["name"])
        if given.get("language", "en") not in LANGUAGES:
            raise InputInvalid(f"Choose one of these languages: {', '.join(LANGUAGES)}.", field="language")
        if "answering" in given.get("settings", {}):
            raise InputInvalid("How an agent answers is set on its page, under Settings.", field="answering")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await self._found(connection, agent_id)
            if "settings" in given:
                given["settings"] = row["settings"] | given["settings"]
            if given:
                await rows.update_agent(connection, agent_id, given)
            return await self._row(connection, await self._found(connection, agent_id))

    async def set_on(self, principal: Principal, agent_id: str, is_on: bool) -> AgentRow:
        """Switch an agent on or off; switched off it answers nobody, open conversations wait.

        Raises: AccessDenied, NotFound.
        """
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await self._found(connection, agent_id)
            await rows.update_agent(connection, agent_id, {"is_on": is_on})
            action = "agent.switched_on" if is_on else "agent.switched_off"
            await audit.append(connection, principal.actor, action, {"agent": agent_id}, self._clock())
            return await self._row(connection, await self._found(connection, agent_id))

    async def duplicate(self, principal: Principal, agent_id: str, *, name: str = "") -> AgentRow:
        """A copy of the drafts and the bindings under new ids; it is not published yet.

        Raises: AccessDenied, NotFound, FlowDamaged.
        """
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await self._found(connection, agent_id)
            flows = {f.id: f for f in await self._flows(connection, agent_id)}
            main = flows.pop(row["main_flow_id"], None)
            if main is None:
                raise FlowDamaged(
                    "The main flow of this agent is damaged, so it cannot be copied. Open it and restore a version first."
                )
            copy = _name(name or f"{row['name']} (2)")
            values = {k: row[k] for k in ("description", "language", "settings", "template")}
            main = main.model_copy(update={"name": copy})
            new = await self._insert(connection, {**values, "name": copy, "is_on": True}, main, flows)
            await rows.copy_bindings(connection, agent_id, new)
            await audit.append(
                connection, principal.actor, "agent.created", {"agent": new, "from": agent_id}, self._clock()
            )
            return await self._row(connection, await self._found(connection, new))

    async def what_delete_affects(self, principal: Principal, agent_id: str) -> Affected:
        """Raises: AccessDenied, NotFound."""
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await self._found(connection, agent_id)
            return Affected(**await rows.affected(connection, agent_id))

    async def delete(self, principal: Principal, agent_id: str) -> None:
        """Delete an agent with its flows, versions, channels and conversations.

        Raises: AccessDenied, NotFound.
        """
        principal.require("agent.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            await self._found(connection, agent_id)
            await rows.delete_agent(connection, agent_id)
            await audit.append(connection, principal.actor, "agent.deleted", {"agent": agent_id}, self._clock())

    async def flows(self, principal: Principal, agent_id: str) -> FlowRows:
        """Main flow first.

        Raises: AccessDenied, NotFound.
        """
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await self._found(connection, agent_id)
            found = await flow_rows.flows_of_agent(connection, agent_id)
            problems = await self._problems(connection, agent_id)
        keys = ("id", "name", "kind", "live_version", "updated_at")
        return [FlowRow(**{k: row[k] for k in keys}, problems=problems.get(row["id"], 0)) for row in found]

    async def add_flow(self, principal: Principal, agent_id: str, name: str, document: Any = None) -> FlowRow:
        """A new sub-flow, empty or from a flow file.

        Raises: AccessDenied, NotFound, InputInvalid, FlowDamaged, TooLarge.
        """
        principal.require("flow.edit")
        name = _name(name)
        flow = load_flow(document) if document is not None else None
        flow_id = str(uuid.uuid4())
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await self._found(connection, agent_id)
            flow = (flow or self._empty(row["language"])).model_copy(update={"id": flow_id, "name": name})
            await flow_rows.insert_flow(
                connection, flow_id=flow_id, agent_id=agent_id, kind="sub", name=name, document=flow.to_json()
            )
            found = await flow_rows.get_flow(connection, flow_id)
        assert found is not None
        return FlowRow(flow_id, name, "sub", None, 0, found["updated_at"])

    async def import_flow(self, principal: Principal, agent_id: str, document: str | bytes | dict[str, Any]) -> FlowRow:
        """A flow file as a new sub-flow.

        Raises: AccessDenied, NotFound, FlowDamaged, TooLarge.
        """
        flow = load_flow(document)
        return await self.add_flow(principal, agent_id, flow.name or "Imported flow", flow.to_json())

    async def delete_flow(self, principal: Principal, flow_id: str) -> None:
        """Delete a sub-flow.

        Raises: AccessDenied, NotFound, Conflict (the main flow; a flow that others call, which are named).
        """
        principal.require("flow.edit")
        async with self._database.workspace(principal.workspace_id) as connection:
            row = await flow_rows.get_flow(connection, flow_id, lock=True)
            if row is None:
                raise NotFound("This flow does not exist any more.")
            if row["kind"] == "main":
                raise Conflict("The main flow cannot be deleted. Delete the agent instead.", reason="main_flow")
            callers = [
                f.name
                for f in await self._flows(connection, row["agent_id"])
                if flow_id in subflow_ids(f, self._catalog)
            ]
            if callers:
                names = ", ".join(callers)
                raise Conflict(f"This flow is called by: {names}. Take those steps out first.", reason="used", by=names)
            await flow_rows.delete_flow(connection, flow_id)

    async def connections(self, principal: Principal, agent_id: str) -> Bindings:
        """The connection slots that the agent's flows declare or use, with what is bound to them.

        Raises: AccessDenied, NotFound.
        """
        principal.require("agent.read")
        async with self._database.workspace(principal.workspace_id) as connection:
            await self._found(connection, agent_id)
            bound = {b["slot"]: b for b in await rows.bindings(connection, agent_id)}
            slots: dict[str, str] = dict.fromkeys(bound, "")
            flows = await self._flows(connection, agent_id)
            for flow in flows:
                used = {s for i, n in flow.nodes.items() for s in look_at(i, n, self._catalog).connections}
                slots |= {s: slots.get(s, "") for s in sorted(used)}
                slots |= {s: c.label or slots.get(s, "") for s, c in flow.connections.items()}
        kinds = self._kinds_of(flows)
        empty: Row = {"credential_id": None, "connector": "", "model": ""}
        return [
            Binding(
                slot,
                label or slot,
                **{k: v for k, v in bound.get(slot, empty).items() if k != "slot"},
                kind=_SLOT_KINDS.get(slot) or kinds.get(slot, "chat_model"),
            )
            for slot, label in slots.items()
        ]

    async def bind(
        self,
        principal: Principal,
        agent_id: str,
        slot: str,
        *,
        credential_id: str | None,
        connector: str,
        model: str = "",
    ) -> None:
        """Choose the model behind a slot; an empty `connector` frees it. Using a credential needs `credential.use`.

        Raises: AccessDenied, NotFound, InputInvalid.
        """
        principal.require("agent.edit", "credential.use")
        kind = self._catalog.connectors.get(connector)
        wanted = _SLOT_KINDS.get(slot) or await self._kind_of(principal, agent_id, slot)
        if connector and (kind is None or wanted not in kind.kinds):
            raise InputInvalid("This connector offers nothing for this place. Choose another one.", field="connector")
        if kind is not None and kind.needs_credential and credential_id is None:
            raise InputInvalid("Choose a key for this model, or add one under Models & keys.", field="credential_id")
        async with self._database.workspace(principal.workspace_id) as connection:
            await self._found(connection, agent_id)
            if credential_id is not None and await rows.connector_of(connection, credential_id) != connector:
                raise NotFound("This key does not exist any more. Choose another one under Models & keys.")
            if credential_id is not None:
                await require_serves(connection, credential_id, agent_id)
            await rows.bind(
                connection,
                agent_id,
                slot,
                {"credential_id": credential_id, "connector": connector, "model": model[:200]},
            )
            ids = {"agent": agent_id, "credential": credential_id}
            await audit.append(connection, principal.actor, "agent.bound", ids, self._clock())

    async def _kind_of(self, principal: Principal, agent_id: str, slot: str) -> str:
        """What the agent's flows want behind a slot."""
        async with self._database.workspace(principal.workspace_id) as connection:
            flows = await self._flows(connection, agent_id)
        return self._kinds_of(flows).get(slot, "chat_model")

    def _kinds_of(self, flows: Flows) -> dict[str, str]:
        """What is wanted behind each slot: as the flows declare it, else as their steps use it."""
        looked = [look_at(i, n, self._catalog) for flow in flows for i, n in flow.nodes.items()]
        used = {s: k for fact in looked for s, k in zip(fact.connections, fact.connection_kinds, strict=True)}
        return used | {s: c.kind for flow in flows for s, c in flow.connections.items()}

    async def _insert(self, connection: Connection, values: dict[str, Any], main: Flow, subs: dict[str, Flow]) -> str:
        row = {"description": "", "settings": {}} | values
        row |= {"public_id": secrets.token_urlsafe(16), "channels": {c: secrets.token_urlsafe(16) for c in CHANNELS}}
        agent_id = await rows.insert_agent(connection, row)
        main = main.model_copy(update={"id": main.id or new_id("flw")})
        ids = {flow.id: str(uuid.uuid4()) for flow in (main, *subs.values())}
        flows = with_ids(main, subs, ids, self._catalog)
        for flow_id, flow in flows.items():
            kind = "main" if flow_id == ids[main.id] else "sub"
            await flow_rows.insert_flow(
                connection, flow_id=flow_id, agent_id=agent_id, kind=kind, name=flow.name, document=flow.to_json()
            )
        return agent_id

    def _empty(self, language: str) -> Flow:
        kind = self._catalog.nodes.get("start")
        node = Node(type="start", v=kind.version if kind else 1)
        nodes = {"n_start": node} if kind else {}
        name = words(kind, "Start").get(language, "Start") if kind else ""
        return Flow(
            locale=language,
            nodes=nodes,
            entry={"message": "n_start"} if nodes else {},
            layout=Layout(nodes={"n_start": (0, 0)}) if nodes else Layout(),
            name=name,
        )

    async def _flows(self, connection: Connection, agent_id: str) -> Flows:
        found = await flow_rows.flows_of_agent(connection, agent_id)
        flows = readable(found)
        return [flows[r["id"]].model_copy(update={"name": r["name"]}) for r in found if r["id"] in flows]

    async def _problems(self, connection: Connection, agent_id: str) -> dict[str, int]:
        """Errors per flow of the agent; a damaged flow is one."""
        found = await flow_rows.flows_of_agent(connection, agent_id)
        upgraded = {i: upgrade(f, self._catalog)[0] for i, f in readable(found).items()}
        flows = {i: with_exits(f, upgraded, self._catalog)[0] for i, f in upgraded.items()}
        bound = await rows.bound_slots(connection, agent_id)
        around = Surroundings(flows, bound, await rows.takes_calls(connection, agent_id, phones(self._catalog)))
        counts = {i: sum(p.level == "error" for p in self._check.check(f, around)) for i, f in flows.items()}
        return {row["id"]: counts.get(row["id"], 1) for row in found}

    async def _row(self, connection: Connection, row: Row) -> AgentRow:
        problems = await self._problems(connection, row["id"])
        kept = {k: v for k, v in row.items() if k != "template"}
        return AgentRow(**kept, problems=sum(problems.values()))

    async def _found(self, connection: Connection, agent_id: str) -> Row:
        row = await rows.get_agent(connection, agent_id, today=self._today())
        if row is None:
            raise NotFound("This agent does not exist any more. Go back to the list of agents.")
        return row

    def _today(self) -> datetime:
        return self._clock().replace(hour=0, minute=0, second=0, microsecond=0)


def _name(name: str) -> str:
    name = " ".join(str(name).split())
    if not 1 <= len(name) <= 120:
        raise InputInvalid("Give it a name of 1 to 120 characters.", field="name")
    return name
