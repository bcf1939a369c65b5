"""What a step of a chain or a trigger writes to a customer system: written down here, carried out once by whoever looks after such
writes, however long the system is away."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from graph_runtime.contract.chains import CrmStep
from graph_runtime.contract.crm_writing import CrmWrite
from graph_runtime.contract.triggers import WriteCrm
from graph_runtime.services.conversation_gate import is_uuid
from graph_runtime.storage import credentials, crm_writes
from graph_runtime.storage.database import Connection


async def write_down(
    connection: Connection,
    wish: CrmStep | WriteCrm,
    agent_id: str,
    contact: tuple[str, str, str],
    *,
    key: str,
    render: Callable[[str], str],
    at: datetime,
) -> str:
    """ "" when it is written down, else why not: "no_phone", "no_email" (by which records are found) or "no_crm".

    `contact`: id, name, and the phone or e-mail that `wish.by` names; `key`: the same whenever this wish is met again.
    """
    contact_id, name, known = contact
    if not known:
        return f"no_{wish.by}"
    if not is_uuid(agent_id) or await credentials.bound(connection, agent_id, wish.slot) is None:
        return "no_crm"
    task = render(wish.task).strip()
    write = CrmWrite(
        entity=wish.entity, by=wish.by, known=known, creates=wish.creates, own_name=name, task=task,
        values={f.name: render(f.value).strip() for f in wish.fields}, note=render(wish.note).strip(),
        due_at=at + timedelta(hours=wish.task_hours) if task else None,
    )  # fmt: skip
    await crm_writes.add_of_contact(connection, agent_id, wish.slot, key, contact_id, write.to_json())
    return ""
