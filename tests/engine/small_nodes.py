"""A handful of tiny step types, so that the engine is tested without the product's own nodes."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType
from typing import Any

from graph_runtime.contract.catalog import Catalog
from graph_runtime.contract.conditions import Condition
from graph_runtime.contract.flow import Flow, load_flow
from graph_runtime.contract.messages import Reply, Text
from graph_runtime.contract.models import ModelMessage, ModelRequest
from graph_runtime.contract.nodes import (
    AwaitReply,
    AwaitTime,
    EndConversation,
    Leave,
    NodeContext,
    NodeSettings,
    NodeType,
    Outcome,
    Port,
    setting,
)


class Nothing(NodeSettings):
    pass


class Words(NodeSettings):
    text: str = setting("Text", default="")


class Question(NodeSettings):
    text: str = setting("Text", default="")
    save_to: str = setting("Save to", default="answer")
    seconds: float = setting("Seconds", default=0.0)


class Assignment(NodeSettings):
    name: str = setting("Name", default="x")
    value: str = setting("Value", default="")


class Choice(NodeSettings):
    when: Condition = setting("When")


class Pause(NodeSettings):
    seconds: float = setting("Seconds", default=60.0)


class Caller(NodeSettings):
    flow_id: str = setting("Flow", default="")


START = NodeType(type="start", category="start", label="Start", summary="Begins.", settings=Nothing, entry=True)
SAY = NodeType(type="say", category="talk", label="Say", summary="Says.", settings=Words)
ASK = NodeType(
    type="ask", category="ask", label="Ask", summary="Asks.", settings=Question, waits="reply",
    outputs=(Port("answered", "Answered"), Port("no_reply", "No reply", "no_reply", optional=True)),
)  # fmt: skip
SET = NodeType(type="set", category="data", label="Set", summary="Sets.", settings=Assignment)
BRANCH = NodeType(
    type="branch", category="logic", label="Branch", summary="Chooses.", settings=Choice,
    outputs=(Port("yes", "Yes"), Port("no", "No")),
)  # fmt: skip
THINK = NodeType(
    type="think", category="ai", label="Think", summary="Asks a model.", settings=Words, latency="slow",
    outputs=(Port("next", "Next"), Port("error", "Error", "error", optional=True)),
)  # fmt: skip
PAUSE = NodeType(
    type="pause", category="time", label="Pause", summary="Waits.", settings=Pause, waits="time",
    outputs=(Port("elapsed", "Elapsed"),),
)  # fmt: skip
BOOM = NodeType(
    type="boom", category="data", label="Boom", summary="Fails.", settings=Nothing,
    outputs=(Port("next", "Next"), Port("error", "Error", "error", optional=True)),
)  # fmt: skip
END = NodeType(type="end", category="logic", label="End", summary="Ends.", settings=Words, ends=True, outputs=())
CALL = NodeType(type="run_flow", category="logic", label="Call", summary="Runs.", settings=Caller, subflow="flow_id")


@START.runs
async def start(settings: Nothing, ctx: NodeContext) -> Outcome:
    return Leave()


@SAY.runs
async def say(settings: Words, ctx: NodeContext) -> Outcome:
    await ctx.say(Text(text=ctx.render(ctx.text("text", settings.text))))
    return Leave()


@ASK.runs
async def ask(settings: Question, ctx: NodeContext) -> Outcome:
    ctx.memory["asked"] = ctx.memory.get("asked", 0) + 1
    await ctx.say(Text(text=ctx.render(settings.text)))
    return AwaitReply(settings.seconds or None)


@ASK.replies
async def answered(settings: Question, ctx: NodeContext, reply: Reply | None) -> Outcome:
    if reply is None:
        return Leave("no_reply")
    if reply.text == "again":
        await ctx.say(Text(text="Once more?"))
        return AwaitReply()
    ctx.set(settings.save_to, reply.text)
    ctx.output("answer", reply.text)
    return Leave("answered")


@SET.runs
async def set_(settings: Assignment, ctx: NodeContext) -> Outcome:
    ctx.set(settings.name, ctx.render(settings.value))
    return Leave()


@BRANCH.runs
async def branch(settings: Choice, ctx: NodeContext) -> Outcome:
    return Leave("yes" if ctx.check(settings.when) else "no")


@THINK.runs
async def think(settings: Words, ctx: NodeContext) -> Outcome:
    request = ModelRequest((ModelMessage("user", ctx.render(settings.text)),))
    reply = await ctx.model(request, connection="llm", stream=True)
    await ctx.say(Text(text=reply.text))
    return Leave()


@PAUSE.runs
async def pause(settings: Pause, ctx: NodeContext) -> Outcome:
    return AwaitTime(ctx.now() + timedelta(seconds=settings.seconds))


@PAUSE.resumes
async def elapsed(settings: Pause, ctx: NodeContext) -> Outcome:
    return Leave("elapsed")


@BOOM.runs
async def boom(settings: Nothing, ctx: NodeContext) -> Outcome:
    raise ZeroDivisionError("one over none")


@END.runs
async def end(settings: Words, ctx: NodeContext) -> Outcome:
    return EndConversation(settings.text)


NODES = (START, SAY, ASK, SET, BRANCH, THINK, PAUSE, BOOM, END, CALL)
CATALOG = Catalog(MappingProxyType({n.type: n for n in NODES}))


def flow(nodes: dict[str, Any], edges: dict[str, str], **more: Any) -> Flow:
    """A flow written short: `{"a": ("say", {"text": "Hi"})}`; a step of type `start` is its entry."""
    document = {
        "format": "flow/1",
        "nodes": {i: n if isinstance(n, dict) else {"type": n[0], "settings": n[1]} for i, n in nodes.items()},
        "edges": edges,
        "pace": {"gather_ms": 0},
    }
    return load_flow(document | more)
