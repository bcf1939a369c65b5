"""A flow as the editor opens it: the draft and everything around it that the canvas shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.encoders import jsonable_encoder

from graph_runtime.api.editor.rooms import dynamic_ports
from graph_runtime.contract.triggers import StartFlow
from graph_runtime.services.drafts import flow_exits
from graph_runtime.services.principal import Principal

if TYPE_CHECKING:
    from graph_runtime.bootstrap import Services


async def open_flow(services: Services, who: Principal, flow_id: str) -> dict[str, Any]:
    """The answer of GET /api/builder/flows/{flow_id}.

    Raises: NotFound, AccessDenied.
    """
    draft = await services.drafts.open(who, flow_id)
    me = await services.accounts.me(who)
    agent = await services.agents.get(who, draft.agent_id)
    rows = await services.agents.flows(who, draft.agent_id)
    bindings = await services.agents.connections(who, draft.agent_id)
    preview = await services.publishing.preview(who, flow_id)
    language = me.language or "en"
    known = {**draft.siblings, flow_id: draft.flow}
    return {
        "flow": draft.flow.to_json(),
        "revision": draft.revision,
        "agent": {"id": agent.id, "name": agent.name, "is_on": agent.is_on, "public_id": agent.public_id},
        "flows": [
            {
                "id": row.id,
                "name": row.name,
                "kind": row.kind,
                "exits": flow_exits(known[row.id], services.catalog) if row.id in known else [],
            }
            for row in rows
        ],
        "live_version": draft.live_version,
        "changed_since_publish": preview.live_version is None or bool(preview.changes),
        "problems": [problem.to_json() for problem in draft.problems],
        "upgrade_notes": jsonable_encoder(draft.notes),
        "ports": dynamic_ports(services.catalog, draft.flow, draft.flow.nodes, language),
        "connections": {row.slot: _binding(row) for row in bindings},
        "me": {"name": me.name, "language": language},
        "models": await _models(services, who, draft.agent_id),
        "knowledge": [{"id": b.id, "name": b.name} for b in await services.knowledge_bases.list(who)],
        "queues": [{"id": q.id, "name": q.name} for q in await services.queues.list(who)],
        "keys": await _keys(services, who, draft.agent_id),
        "begun_by": await _begun_by(services, who, draft.agent_id, flow_id, is_main=flow_id == agent.main_flow_id),
    }


async def _begun_by(
    services: Services, who: Principal, agent_id: str, flow_id: str, *, is_main: bool
) -> list[dict[str, Any]]:
    """Triggers of the agent that start this flow, oldest first; "" in an action is the main flow."""
    meant = {flow_id, ""} if is_main else {flow_id}
    return [
        {"id": t.id, "name": t.name, "kind": t.trigger.when.kind, "is_on": t.is_on, "path": f"/triggers/{t.id}"}
        for t in await services.triggers.list(who, agent_id)
        if any(isinstance(a, StartFlow) and a.flow_id in meant for a in t.trigger.actions)
    ]


async def _models(services: Services, who: Principal, agent_id: str) -> list[dict[str, Any]]:
    """Connectors that bring models, with the workspace's keys for them."""
    keys = await services.credentials.list(who, for_agent=str(agent_id))
    return [
        {
            "connector": c.id,
            "label": c.label,
            "needs_credential": c.needs_credential,
            "credentials": [{"id": k.id, "label": k.label} for k in keys if k.connector == c.id],
            "models": [{"name": m.name, "label": m.label} for m in c.models],
        }
        for c in services.catalog.connectors.values()
        if "chat_model" in c.kinds
    ]


async def _keys(services: Services, who: Principal, agent_id: str) -> list[dict[str, Any]]:
    """What may be bound to slots that want a key or a customer system."""
    kinds = services.catalog.connectors
    return [
        {
            "id": k.id,
            "label": k.label,
            "connector": k.connector,
            "kinds": sorted(kinds[k.connector].kinds),
            "access": k.access,
        }
        for k in await services.credentials.list(who, for_agent=str(agent_id))
        if k.connector in kinds and kinds[k.connector].kinds & {"http", "crm"}
    ]


def _binding(row: Any) -> dict[str, Any]:
    return {
        "bound": bool(row.connector),
        "label": row.label,
        "connector": row.connector,
        "model": row.model,
        "credential_id": row.credential_id,
    }
