"""Find in CRM: looks a client up in the customer system and keeps what is known about them."""

from __future__ import annotations

from typing import Literal

from graph_runtime.contract.crm import CrmQuery
from graph_runtime.contract.errors import ConnectorError
from graph_runtime.contract.forms import SettingsItem
from graph_runtime.contract.nodes import Leave, NodeContext, NodeSettings, NodeType, Port, setting


class Kept(SettingsItem):
    """One field of the record and the variable it goes to."""

    field: str = setting("Field", default="", widget="remote", of="crm.fields", required=True, max_length=200)
    save_to: str = setting("Save to", default="", widget="save_to", required=True, on_ports=("found",))


class Settings(NodeSettings):
    """Which record is looked for, and what of it is kept."""

    connection: str = setting("CRM", default="crm", widget="connection", of="crm", required=True)
    entity: Literal["contact", "company", "lead"] = setting(
        "What to find", default="contact", options={"contact": "Contact", "company": "Company", "lead": "Deal"}
    )
    by: Literal["phone", "email", "id", "field"] = setting(
        "Find by", default="phone", options={"phone": "Phone", "email": "E-mail", "id": "Its number", "field": "A field"},
        help="A deal found by phone or e-mail is the newest open one of that contact.",
    )  # fmt: skip
    field: str = setting(
        "Which field", default="", widget="remote", of="crm.fields", show_when={"by": ["field"]}, max_length=200
    )
    value: str = setting(
        "Value to look for", default="{{ contact.phone }}", widget="line_template", required=True, max_length=500
    )
    parts: tuple[Kept, ...] = setting("Keep from the record", default=(), max_length=50)
    save_id_to: str = setting("Save its number to", default="", widget="save_to", on_ports=("found",), advanced=True)


NODE = NodeType(
    type="crm_find", category="crm", label="Find in CRM", summary="Looks a client or a deal up in the CRM.",
    settings=Settings, effect="none", latency="slow", story=("value",),
    outputs=(Port("found", "Found"), Port("not_found", "Not found"), Port("error", "Error", "error")),
    step_outputs={"id": "Number", "name": "Name", "url": "Link", "record": "All fields", "error": "What went wrong"},
)  # fmt: skip


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """An empty value finds nobody: it must not match everybody."""
    ctx.bridge("")
    value = ctx.render(settings.value).strip()
    query = CrmQuery(settings.entity, settings.by, value, settings.field if settings.by == "field" else "")
    try:
        record = await ctx.crm(settings.connection).find(query) if value else None
    except ConnectorError as e:
        ctx.output("error", e.message)
        return Leave("error")
    ctx.output("error", "")
    if record is None:
        return Leave("not_found")
    ctx.output("id", record.id)
    ctx.output("name", record.name)
    ctx.output("url", record.url)
    ctx.output("record", dict(record.values))
    for row in settings.parts:
        if row.save_to:
            ctx.set(row.save_to, record.name if row.field == "name" else record.values.get(row.field))
    if settings.save_id_to:
        ctx.set(settings.save_id_to, record.id)
    return Leave("found")
