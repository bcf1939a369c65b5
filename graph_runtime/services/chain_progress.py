"""How an enrollment goes on to its next step, and how it ends; in the transaction that holds it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from graph_runtime.contract.chain_times import due
from graph_runtime.contract.chains import Chain, ChainStep, ContactFacts
from graph_runtime.services.days_off import calendar_of
from graph_runtime.storage import chain_steps as rows
from graph_runtime.storage.chain_steps import Claim
from graph_runtime.storage.database import Connection

_SAID: Final = {"done": "finished", "stopped": "stopped"}


async def go_on(
    connection: Connection, claimed: Claim, chain: Chain, contact: ContactFacts, place: int,
    previous_at: datetime | None = None,
) -> None:  # fmt: skip
    """Let the step at `place` be the next one; steps that can never be due are passed over with their reason.

    `previous_at`: when the step before it was done; None: now.
    """
    previous = previous_at or claimed.at
    calendar = calendar_of(chain, contact)
    for step in chain.steps[place:]:
        one = due(chain, step, contact, claimed.enrolled_at, previous, calendar, key=claimed.id)
        if one.due_at is not None:
            await rows.set_enrollment(
                connection, claimed.id, step_id=step.id, due_at=one.due_at, previous_at=previous, note="", failures=0,
                **{"try": 0},
            )  # fmt: skip
            return
        await rows.note_down(connection, claimed, "skipped", kind=step.kind, step_id=step.id, reason=one.reason)
    await end(connection, claimed, "done", "")


async def end(
    connection: Connection, claimed: Claim, state: str, reason: str, step: ChainStep | None = None
) -> None:  # fmt: skip
    """No step comes any more. `state`: "done" or "stopped"."""
    data = {"step_id": step.id if step else claimed.step_id}
    await rows.note_down(connection, claimed, _SAID[state], reason=reason, data=data)
    await rows.set_enrollment(
        connection, claimed.id, state=state, reason=reason, due_at=None, note="", ended_at=claimed.at
    )
