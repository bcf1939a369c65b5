"""Contacts who opt out or come back: what they wrote is obeyed at once, and the flow waits where it was."""

from __future__ import annotations

from graph_runtime.contract.calls import PHONE
from graph_runtime.contract.messages import Text, dump_part
from graph_runtime.contract.opt_out import Wish
from graph_runtime.engine.run import TurnResult
from graph_runtime.engine.turn import Said
from graph_runtime.services.workspace_facts import Facts
from graph_runtime.storage.turns import LeasedTurn


def wish_of(turn: LeasedTurn, facts: Facts) -> Wish:
    """Whether the contact writes that they opt out, or come back. A word on a call or in a test is only a word."""
    reply = turn.payload.get("reply") or {}
    if turn.is_test or turn.channel_kind == PHONE or turn.kind not in ("start", "message") or reply.get("option_id"):
        return ""
    return facts.wish(str(reply.get("text") or ""), has_opted_out=bool(turn.contact_fields.get("opted_out")))


def obeyed(turn: LeasedTurn, facts: Facts, wish: Wish) -> TurnResult:
    """One sentence, and the flow waits on where it was; one that had not begun is over."""
    text = facts.answer(wish, turn.language)
    is_news = bool(turn.contact_fields.get("opted_out")) is (wish == "start")
    said = Said(f"{turn.turn_seq + 1}.1", 1, "", (dump_part(Text(text=text)),), text)
    has_begun = turn.checkpoint is not None
    return TurnResult(
        state=turn.checkpoint,
        waits=turn.waits,  # type: ignore[arg-type]  # the table allows only these
        node_id=turn.node_id,
        is_idle=True,
        is_over=not has_begun,
        result="" if has_begun else "opted_out" if wish == "stop" else "came_back",
        messages=(said,) if is_news and text else (),
    )
