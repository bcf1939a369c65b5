"""HTTP request: asks a web service or sends it something, and keeps parts of its answer in variables."""

from __future__ import annotations

import json
from typing import Any, Literal

from graph_runtime.contract import json_texts, outside_words, pointers
from graph_runtime.contract.answer_pages import AnswerPages, collect
from graph_runtime.contract.errors import ConnectorError, TemplateInvalid
from graph_runtime.contract.forms import SettingsItem
from graph_runtime.contract.http import HttpReply
from graph_runtime.contract.json_texts import JsonText
from graph_runtime.contract.nodes import Leave, NodeContext, NodeSettings, NodeType, Port, setting
from graph_runtime.contract.pointers import Pointer
from graph_runtime.contract.web_requests import Pair, address, form, pairs

_MAX_OUTPUT = 90_000
_SHOWN_HEADERS = 40
_METHODS = {
    "GET": "GET – read", "POST": "POST – create or send", "PUT": "PUT – replace", "PATCH": "PATCH – change",
    "DELETE": "DELETE – delete",
}  # fmt: skip
_BODY_METHODS = [*_METHODS][1:]


class Part(SettingsItem):
    """One part of the answer and the variable it goes to."""

    pointer: Pointer = setting(
        "Where in the answer", default="", max_length=500, placeholder="data.items[0].name",
        help="`data.items[0].name` is one value, `data.items[*].name` a list of all. Empty: the whole answer.",
    )  # fmt: skip
    save_to: str = setting("Save to", default="", widget="save_to", required=True, on_ports=("ok",))


class Request(NodeSettings):
    """What is asked of which address, and what of the answer is kept."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = setting("Method", default="GET", options=_METHODS)
    url: str = setting(
        "Address", default="", widget="line_template", required=True, max_length=4000,
        placeholder="https://api.example.com/orders/{{ var.order }}",
        help="With a key, an address that begins with / is completed by the key's own address.",
    )  # fmt: skip
    connection: str = setting(
        "Key", default="", widget="connection", of="http",
        help="Who we are to the service. The key is sent only to the addresses it belongs to, and no step ever sees it.",
    )  # fmt: skip
    query: tuple[Pair, ...] = setting("Query", default=(), max_length=50, help="Is added to the address after a “?”.")
    body_kind: Literal["none", "json", "form", "text"] = setting(
        "Body", default="none", show_when={"method": _BODY_METHODS},
        options={"none": "None", "json": "JSON", "form": "Form", "text": "Text"},
    )  # fmt: skip
    json_body: JsonText = setting(
        "JSON", default="", widget="template", max_length=20_000,
        placeholder='{"name": "{{ contact.first_name }}", "sum": {{ var.budget }}}',
        show_when={"body_kind": ["json"], "method": _BODY_METHODS},
        help="In quotation marks a variable is text, without them it keeps its type. Values can never break the JSON.",
    )  # fmt: skip
    form_body: tuple[Pair, ...] = setting(
        "Form fields", default=(), max_length=100, show_when={"body_kind": ["form"], "method": _BODY_METHODS}
    )
    text_body: str = setting(
        "Text", default="", widget="template", max_length=20_000,
        show_when={"body_kind": ["text"], "method": _BODY_METHODS},
    )  # fmt: skip
    parts: tuple[Part, ...] = setting(
        "Keep from the answer", default=(), max_length=50,
        help="Send a test below and click a value of the answer, or write the place yourself.",
    )  # fmt: skip
    headers: tuple[Pair, ...] = setting("Headers", default=(), max_length=30, advanced=True)
    seconds: float = setting("Longest wait, seconds", default=20, ge=1, le=60, advanced=True)
    tries: int = setting(
        "Tries", default=2, ge=1, le=3, advanced=True,
        help="A request that changes something is tried again only when the service surely did nothing.",
    )  # fmt: skip
    sample: str = setting(
        "Answer used in tests", default="", widget="textarea", max_length=20_000, advanced=True, placeholder='{"id": 17}',
        help="A test sends only what changes nothing. For the rest, this JSON stands for the answer.",
    )  # fmt: skip


class Settings(AnswerPages, Request):
    """A request, and how its answer goes on."""


NODE = NodeType(
    type="http_request", category="data", label="HTTP request", summary="Asks or tells a web service.",
    settings=Settings, effect="irreversible", latency="slow", story=("url",),
    outputs=(Port("ok", "Answered"), Port("http_error", "Refused", "error"), Port("error", "No answer", "error")),
    step_outputs={
        "status": "Status", "body": "Answer", "headers": "Headers of the answer", "more": "There was more",
        "error": "What went wrong",
    },
)  # fmt: skip


@NODE.runs
async def run(settings: Settings, ctx: NodeContext) -> Leave:
    """One request, or one for each page; 200 to 399 leaves by “Answered”, any other status by “Refused”."""
    ctx.bridge("")
    try:
        content, kind = _body(settings, ctx)
        headers = {name: value.strip() for name, value in pairs(settings.headers, ctx.render)}
        if kind and "content-type" not in map(str.lower, headers):
            headers["Content-Type"] = kind

        async def ask(url: str) -> HttpReply:
            return await ctx.http(
                settings.method, url, headers=headers, body=content, seconds=settings.seconds,
                connection=settings.connection, tries=settings.tries,
            )  # fmt: skip

        reply, body, more = await collect(ask, address(settings.url, settings.query, ctx.render), settings.pages())
    except (ConnectorError, TemplateInvalid) as e:
        ctx.output("error", e.message)
        ctx.output("status", 0)
        return Leave("error")
    status, body = (reply.status, body) if reply.was_sent else (200, _sample(settings))
    ctx.output("more", more)
    ctx.output("status", status)
    ctx.output("headers", dict(list(reply.headers.items())[:_SHOWN_HEADERS]))
    ctx.output("body", body if len(json.dumps(body, ensure_ascii=False).encode()) <= _MAX_OUTPUT else None)
    if not 200 <= status < 400:
        ctx.output("error", outside_words.sentence("answered_with", status=status))
        return Leave("http_error")
    ctx.output("error", "")
    for part in filter(lambda p: p.save_to, settings.parts):
        ctx.set(part.save_to, pointers.read(body, part.pointer))
    return Leave("ok")


def _body(settings: Settings, ctx: NodeContext) -> tuple[Any, str]:
    """The body and its content type; (None, "") for none."""
    if settings.method == "GET" or settings.body_kind == "none":
        return None, ""
    if settings.body_kind == "form":
        return form(settings.form_body, ctx.render), "application/x-www-form-urlencoded"
    if settings.body_kind == "text":
        return ctx.render(settings.text_body), ""
    value = json_texts.fill(settings.json_body, ctx.resolve, ctx.render) if settings.json_body.strip() else {}
    return json.dumps(value, ensure_ascii=False), "application/json"


def _sample(settings: Settings) -> Any:
    try:
        return json.loads(settings.sample.strip() or "null")
    except ValueError:
        return settings.sample
