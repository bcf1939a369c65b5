"""Runs the examples of a step (`examples.json`) in memory and says how they differ from what they promise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graph_runtime.contract.crm import CrmRecord
from graph_runtime.contract.errors import Refused, Unreachable
from graph_runtime.contract.http import HttpReply
from graph_runtime.contract.knowledge import KnowledgePassage
from graph_runtime.contract.messages import Reply, SaidMessage, Text, dump_part
from graph_runtime.contract.nodes import AwaitReply, AwaitTime, Detour, EndConversation, Leave, NodeType, Outcome
from graph_runtime.contract.people import QueueFacts
from graph_runtime.testing import Answer, FakeContext, FakeModel

__all__ = ["ExampleRun", "run_example"]


@dataclass(frozen=True, slots=True)
class ExampleRun:
    """What an example did. `port` is "" when the step waits or ended; `waits` is "reply", "time" or ""."""

    outcome: Outcome
    context: FakeContext

    @property
    def port(self) -> str:
        """The exit taken."""
        return self.outcome.port if isinstance(self.outcome, Leave | Detour) else ""

    @property
    def waits(self) -> str:
        """What the step waits for."""
        return {AwaitReply: "reply", AwaitTime: "time"}.get(type(self.outcome), "")

    def differences(self, expected: Mapping[str, Any]) -> list[str]:
        """Sentences on what differs from an example's `expected`; empty when it holds.

        Keys: port, waits, ends (result label), goal_value, tags, said (all messages, or the parts' JSON),
        said_contains (per message), buttons, person (who is asked for), on_call, variables, outputs,
        requests (HTTP requests, the named parts), written (into the customer system), asked_model (parts of the last request).
        """
        ctx, out = self.context, self.outcome
        ended = out if isinstance(out, EndConversation) else None
        found: dict[str, Any] = {
            "port": self.port,
            "waits": self.waits,
            "ends": ended.result if ended else None,
            "goal_value": ended.goal_value if ended else None,
            "tags": list(ended.tags) if ended else [],
            "buttons": ctx.sent.buttons,
            "said": ctx.sent.texts,
            "parts": [[dump_part(p) for p in parts] for parts in ctx.sent.messages],
            "person": out.person.model_dump() if isinstance(out, AwaitReply) and out.person else None,
            "on_call": out.on_call.model_dump() if isinstance(out, AwaitReply) and out.on_call else None,
            "variables": {k: ctx.variables.get(k) for k in expected.get("variables", {})},
            "outputs": {k: ctx.outputs.get(k) for k in expected.get("outputs", {})},
            "requests": [
                {k: r.get(k) for k in e} for e, r in zip(expected.get("requests", ()), ctx.http_requests, strict=False)
            ],
            "written": ctx.customers.written,
            "sources": [
                s.title for parts in ctx.sent.messages for p in parts if isinstance(p, Text) for s in p.sources or ()
            ],
        }
        wrong = [
            f"{key}: expected {value!r}, found {found[key]!r}"
            for key, value in expected.items()
            if key in found and found[key] != value
        ]
        for text, part in zip(expected.get("said_contains", ()), [*ctx.sent.texts, *[""] * 20], strict=False):
            if text not in part:
                wrong.append(f"said: expected {text!r} in {part!r}")
        unknown = set(expected) - set(found) - {"said_contains"}
        return wrong + [f"the example expects an unknown thing: {key}" for key in sorted(unknown)]


async def run_example(node_type: NodeType, example: Mapping[str, Any]) -> ExampleRun:
    """Run one entry of an `examples.json` in memory.

    `given`: settings, variables, contact, language, channel, i18n, memory, history [[role, text]], message (the text
    the contact wrote before), workspace, time_passes (true: the awaited moment comes), happens (the awaited event comes instead), replies (text,
    {"option_id"}, {"attachments"}, or null for silence), model (answers, {"error": code}),
    http ([status, body, headers] or {"error": code}; status 0: not sent), crm {"records", "fails": {method: message}},
    knowledge ({"title", "text", "sure"} or {"error"}), queues (id → {name, number}), now (ISO),
    subflow {"exit", "variables"} for steps that run another flow.
    """
    given = example.get("given", {})
    settings = node_type.settings.model_validate(given.get("settings", {}))
    ctx = _context(given)
    if node_type.subflow and "subflow" in given:
        return ExampleRun(_leave_subflow(settings, given["subflow"], ctx), ctx)
    if node_type.run is None:
        raise AssertionError(f"{node_type.type} has no run half")
    outcome = await node_type.run(settings, ctx)
    replies = list(given.get("replies", ()))
    while True:
        if isinstance(outcome, AwaitReply | AwaitTime) and replies and node_type.reply is not None:
            reply = _reply(replies.pop(0))
            if reply is not None and reply.person is None:
                ctx.hear(reply)
            outcome = await node_type.reply(settings, ctx, reply)
        elif isinstance(outcome, AwaitTime) and node_type.resume is not None and outcome.event and given.get("happens"):
            ctx.happened = {"type": outcome.event, **given["happens"]}
            outcome = await node_type.resume(settings, ctx)
        elif isinstance(outcome, AwaitTime) and node_type.resume is not None and given.get("time_passes"):
            ctx.clock.at = outcome.until
            outcome = await node_type.resume(settings, ctx)
        else:
            return ExampleRun(outcome, ctx)


def _context(given: Mapping[str, Any]) -> FakeContext:
    ctx = FakeContext(
        variables=dict(given.get("variables", {})),
        contact=dict(given.get("contact", {})),
        workspace={"name": "Workspace"} | given.get("workspace", {}),
        language=given.get("language", "en"),
        channel=given.get("channel", "test"),
        memory=dict(given.get("memory", {})),
        i18n=given.get("i18n", {}),
        steps=dict(given.get("steps", {})),
    )
    ctx.queues.update({k: QueueFacts(id=k, **v) for k, v in given.get("queues", {}).items()})
    if "now" in given:
        ctx.clock.at = datetime.fromisoformat(given["now"])
    for role, text in given.get("history", ()):
        ctx.transcript.append(SaidMessage(role=role, text=text))
    if "message" in given:
        ctx.hear(Reply(text=given["message"]))
    if "model" in given:
        ctx.models["*"] = FakeModel([_answer(a) for a in given["model"]])
    for number, row in enumerate(given.get("knowledge", ()), 1):
        is_error = set(row) == {"error"}
        ctx.knowledge.append(
            Unreachable(f"Knowledge is away ({row['error']}).")
            if is_error
            else KnowledgePassage(
                **{"number": number, "id": f"p_{number}", "document_id": f"d_{number}", "heading": "", **row}
            )
        )
    ctx.http_answers.extend(map(_http_answer, given.get("http", ())))
    crm = given.get("crm", {})
    ctx.customers.records.extend(CrmRecord.from_json(r) for r in crm.get("records", ()))
    ctx.customers.failures.update({m: [Refused(text)] for m, text in crm.get("fails", {}).items()})
    return ctx


def _http_answer(given: Any) -> HttpReply | Exception:
    if isinstance(given, dict):
        return Unreachable(f"The service is down ({given['error']}).")
    status, body, *headers = given
    return HttpReply(status, headers[0] if headers else {}, body, was_sent=status > 0)


def _reply(given: str | Mapping[str, Any] | None) -> Reply | None:
    if given is None:
        return None
    return Reply(text=given) if isinstance(given, str) else Reply.model_validate(given)


def _answer(given: Any) -> Answer:
    if isinstance(given, dict) and set(given) == {"error"}:
        return Unreachable(f"The model is down ({given['error']}).")
    answer: Answer = given
    return answer


def _leave_subflow(settings: Any, result: Mapping[str, Any], ctx: FakeContext) -> Outcome:
    """What the compiled sub-flow does at its end: hand values back and leave by the exit of the same id."""
    for row in settings.returns:
        ctx.set(row.variable, result.get("variables", {}).get(row.source))
    return Leave(result["exit"])
