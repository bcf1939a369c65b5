"""Update CRM: writes what the conversation brought into the customer system, making what is missing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from graph_runtime.contract.crm import CrmDoor, CrmQuery, CrmRecord, CrmTask
from graph_runtime.contract.durations import duration_seconds
from graph_runtime.contract.errors import ConnectorError
from graph_runtime.contract.forms import SettingsItem
from graph_runtime.contract.json_texts import one_value
from graph_runtime.contract.nodes import Leave, NodeContext, NodeSettings, NodeType, Port, setting


class Written(SettingsItem):
    """One field and what it becomes."""

    field: str = setting("Field", default="", widget="remote", of="crm.fields", required=True, max_length=200)
    value: str = setting("Value", default="", widget="line_template", max_length=4000, placeholder="{{ var.budget }}")


class Settings(NodeSettings):
    """Which record is changed or made, and what is written."""

    connection: str = setting("CRM", default="crm", widget="connection", of="crm", required=True)
    entity: Literal["contact", "company", "lead"] = setting(
        "What to write", default="lead", options={"contact": "Contact", "company": "Company", "lead": "Deal"}
    )
    by: Literal["phone", "email", "id", "field", "new"] = setting(
        "Find by", default="phone",
        options={"phone": "Phone", "email": "E-mail", "id": "Its number", "field": "A field", "new": "Always a new one"},
        help="A deal found by phone or e-mail is the newest open one of that contact.",
    )  # fmt: skip
    field: str = setting(
        "Which field", default="", widget="remote", of="crm.fields", show_when={"by": ["field"]}, max_length=200
    )
    value: str = setting(
        "Value to look for", default="{{ contact.phone }}", widget="line_template", max_length=500,
        show_when={"by": ["phone", "email", "id", "field"]},
    )  # fmt: skip
    creates: bool = setting(
        "What is missing is created", default=True, show_when={"by": ["phone", "email", "id", "field"]},
        help="Off: the conversation leaves by “Not found” instead.",
    )  # fmt: skip
    values: tuple[Written, ...] = setting(
        "What to write there",
        default=(),
        max_length=60,
        help="A value that is empty in the conversation changes nothing.",
    )
    note: str = setting("Note", default="", widget="template", max_length=5000, help="Is added to the record.")
    task: str = setting("Task for a person", default="", widget="line_template", max_length=1000)
    task_in: str = setting("Task is due in", default="PT24H", widget="duration", advanced=True)
    save_id_to: str = setting("Save its number to", default="", widget="save_to", on_ports=("next",), advanced=True)


NODE = NodeType(
    type="crm_update", category="crm", label="Update CRM", summary="Writes to the CRM: contact, deal, note, task.",
    settings=Settings, effect="irreversible", latency="slow", story=("note", "task"),
    outputs=(Port("next", "Next"), Port("not_found", "Not found", optional=True), Port("error", "Error", "error")),
    step_outputs={"id": "Number", "url": "Link", "created": "Was created", "done": "What was written", "error": "What went wrong"},
)  # fmt: skip


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """Record, note, task, in this order. What was written before something failed is told in “What was written”."""
    ctx.bridge("")
    crm, done = ctx.crm(settings.connection), []
    try:
        record, created = await _record(settings, ctx, crm)
        if record is None:
            return Leave("not_found")
        done.append("record")
        ctx.output("id", record.id)
        ctx.output("url", record.url)
        ctx.output("created", created)
        if note := ctx.render(settings.note).strip():
            await crm.note(settings.entity, record.id, note)
            done.append("note")
        if task := ctx.render(settings.task).strip():
            due_at = ctx.now() + timedelta(seconds=duration_seconds(settings.task_in) or 86_400)
            await crm.task(settings.entity, record.id, CrmTask(task, due_at))
            done.append("task")
    except ConnectorError as e:
        ctx.output("error", e.message)
        return Leave("error")
    finally:
        ctx.output("done", done)
    ctx.output("error", "")
    if settings.save_id_to:
        ctx.set(settings.save_id_to, record.id)
    return Leave("next")


async def _record(settings: Settings, ctx: NodeContext, crm: CrmDoor) -> tuple[CrmRecord | None, bool]:
    """The record with the values written, and whether it was made. Raises: ConnectorError."""
    values = {row.field: one_value(row.value, ctx.resolve, ctx.render) for row in settings.values if row.field}
    known = ctx.render(settings.value).strip() if settings.by != "new" else ""
    found = None
    if settings.by != "new" and known:
        query = CrmQuery(settings.entity, settings.by, known, settings.field if settings.by == "field" else "")
        found = await crm.find(query)
    if found is not None:
        wanted = {k: v for k, v in values.items() if v not in (None, "")}
        changed = await crm.update(settings.entity, found.id, wanted) if wanted else found
        return changed and CrmRecord(
            changed.entity, changed.id, changed.name, changed.values, changed.url or found.url
        ), False
    if settings.by != "new" and not settings.creates:
        return None, False
    contact = await _contact(settings, crm, known) if settings.entity == "lead" else ""
    own = {settings.by: known} if settings.by in ("phone", "email") and settings.entity != "lead" and known else {}
    return await crm.create(settings.entity, own | _with_name(values, ctx), contact=contact), True


async def _contact(settings: Settings, crm: CrmDoor, known: str) -> str:
    """The contact a new deal belongs to; made when nobody has this phone or e-mail yet."""
    if settings.by not in ("phone", "email") or not known:
        return ""
    found = await crm.find(CrmQuery("contact", settings.by, known))
    return (found or await crm.create("contact", {"name": known, settings.by: known})).id


def _with_name(values: dict[str, Any], ctx: NodeContext) -> dict[str, Any]:
    """A record needs a name that people can find it by."""
    name = " ".join(str(n) for k in ("first_name", "last_name") if (n := ctx.resolve(f"contact.{k}")))
    return values if values.get("name") or not name else values | {"name": name}
