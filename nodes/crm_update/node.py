"""Update CRM: writes what the conversation brought into the customer system, making what is missing."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from graph_runtime.contract.crm_writing import NAMES, CrmWrite, carry_out, name_of
from graph_runtime.contract.durations import duration_seconds
from graph_runtime.contract.errors import ConnectorError, OutcomeUnknown
from graph_runtime.contract.forms import SettingsItem
from graph_runtime.contract.json_texts import one_value
from graph_runtime.contract.nodes import Leave, NodeContext, NodeSettings, NodeType, Port, setting


class Written(SettingsItem):
    """One field and what it becomes."""

    field: str = setting("Field", default="", widget="remote", of="crm.fields", required=True, max_length=200)
    value: str = setting(
        "Value", default="", widget="line_template", of="crm.choices", max_length=4000, placeholder="{{ var.budget }}"
    )


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
    if_away: Literal["error", "later"] = setting(
        "When the CRM is away", default="error", advanced=True,
        options={"error": "Leave by “Error”", "later": "Go on, and write it when it is back"},
        help="Written within seconds of its return, for seven days. Steps that follow do not know the number then.",
    )  # fmt: skip
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
    crm = ctx.crm(settings.connection)
    write = _write(settings, ctx)
    if settings.if_away == "later":
        if await crm.was_put_aside():
            return _later(ctx, ())
        if await crm.has_earlier():
            await crm.put_aside(write.to_json())
            return _later(ctx, ())
    made = await carry_out(crm, write)
    ctx.output("done", list(made.done))
    if made.record is not None:
        ctx.output("id", made.record.id)
        ctx.output("url", made.record.url)
        ctx.output("created", made.created)
    if made.error is not None:
        if made.rest is not None and settings.if_away == "later" and _passes(made.error):
            await crm.put_aside(made.rest.to_json())
            return _later(ctx, made.done)
        ctx.output("error", made.error.message)
        return Leave("error")
    if made.record is None:
        return Leave("not_found")
    ctx.output("error", "")
    if settings.save_id_to:
        ctx.set(settings.save_id_to, made.record.id)
    return Leave("next")


def _write(settings: Settings, ctx: NodeContext) -> CrmWrite:
    return CrmWrite(
        entity=settings.entity,
        by=settings.by,
        known=ctx.render(settings.value).strip() if settings.by != "new" else "",
        field_id=settings.field,
        creates=settings.creates,
        values={row.field: one_value(row.value, ctx.resolve, ctx.render) for row in settings.values if row.field},
        own_name=name_of(*({part: ctx.resolve(f"{root}.{part}") for part in NAMES} for root in ("contact", "var"))),
        note=ctx.render(settings.note).strip(),
        task=ctx.render(settings.task).strip(),
        due_at=ctx.now() + timedelta(seconds=duration_seconds(settings.task_in) or 86_400),
    )


def _later(ctx: NodeContext, done: tuple[str, ...]) -> Leave:
    ctx.output("done", [*done, "later"])
    ctx.output("error", "")
    return Leave("next")


def _passes(error: ConnectorError) -> bool:
    """Whether the same write may work later: the system is away, or it is not known how far a request came."""
    return error.retryable or isinstance(error, OutcomeUnknown)
