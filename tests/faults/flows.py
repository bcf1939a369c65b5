"""The conversations' flow: every reply says whose it is, which turn it answers and its place in that turn."""

from __future__ import annotations

import re
from typing import Any

TOKEN = re.compile(r"\[(?P<name>[\w.-]+) t(?P<turn>\d+)(?P<flags>(?: \w+)*) o(?P<ordinal>\d+)\]")
"""How replies are marked. The contact writes "NAME tN FLAGS"; the flow puts it in brackets with the ordinal."""
TIMER_SECONDS = 2
HELLO = "hello"
"""The flag of a message that only begins the flow: its opening question is all that answers it."""

ORDINALS = {
    "": (1, 2),
    HELLO: (2,),
    "model": (1, 2),
    "timer": (1, 2, 3, 4),
    "bye": (1,),
    "poison": (1, 2),
    "bloat": (1, 2),
}
"""What a message with a flag is answered with. A poisonous one is answered only if it is not: it never is."""


def ordinals(flags: str) -> tuple[int, ...]:
    """What the message's answer consists of."""
    for flag in flags.split():
        if flag in ORDINALS:
            return ORDINALS[flag]
    return ORDINALS[""]


def _case(flag: str) -> dict[str, Any]:
    when = {"left": {"ref": "var.said"}, "op": "contains", "right": {"value": f" {flag}"}}
    return {"id": flag, "label": flag, "when": when}


def _assign(name: str, value: str) -> dict[str, Any]:
    return {"id": f"i_{name}", "save_to": name, "kind": "text", "value": value}


def _say(ordinal: int, words: str) -> dict[str, Any]:
    return {"type": "send_message", "v": 1, "settings": {"text": f"[{{{{ var.said }}}} o{ordinal}] {words}"}}


def _ask(ordinal: int, words: str, **more: Any) -> dict[str, Any]:
    settings = {"text": f"[{{{{ var.said | default: 'new t0' }}}} o{ordinal}] {words}", "save_to": "said", **more}
    return {"type": "ask", "v": 1, "settings": settings}


def document(
    *, version: int = 1, timer_seconds: int = TIMER_SECONDS, model_seconds: int = 100, gather_ms: int = 800
) -> dict[str, Any]:
    """The flow. `version` shows in its words, so that a conversation pinned to another one is seen.

    `gather_ms` 0: every message is answered by itself, however fast they come.
    """
    nodes: dict[str, Any] = {
        "n_start": {"type": "start", "v": 1, "settings": {}},
        "n_ask": _ask(2, f"next v{version}"),
        "n_set": {"type": "set_variable", "v": 1, "settings": {"assignments": [_assign("echo", "{{ var.said }}")]}},
        "n_branch": {
            "type": "branch", "v": 1,
            "settings": {"cases": [_case(f) for f in ("model", "timer", "bye", "poison", "bloat")]},
        },
        "n_echo": _say(1, "echo {{ var.echo }}"),
        "n_prompt": {
            "type": "prompt", "v": 1,
            "settings": {
                "system": "Repeat.", "user": "[{{ var.said }} o1]", "connection": "llm", "history": 0,
                "seconds": model_seconds, "fallback_text": "[{{ var.said }} o1] fallback",
            },
        },
        "n_before": _say(1, "echo"),
        "n_quiet": _ask(2, "quiet", no_reply_after=f"PT{timer_seconds}S"),
        "n_late": _say(3, "late"),
        "n_after": _ask(4, f"after v{version}"),
        "n_end": {"type": "end", "v": 1, "settings": {"text": "[{{ var.said }} o1] bye"}},
        "n_poison": {"type": "poison", "v": 1, "settings": {}},
    }  # fmt: skip
    edges = {
        "n_start.next": "n_ask",
        "n_ask.answered": "n_set",
        "n_quiet.answered": "n_set",
        "n_after.answered": "n_set",
        "n_set.next": "n_branch",
        "n_branch.else": "n_echo",
        "n_branch.model": "n_prompt",
        "n_branch.timer": "n_before",
        "n_branch.bye": "n_end",
        "n_branch.bloat": "n_poison",
        "n_branch.poison": "n_poison",
        "n_poison.next": "n_echo",
        "n_echo.next": "n_ask",
        "n_prompt.next": "n_ask",
        "n_before.next": "n_quiet",
        "n_quiet.no_reply": "n_late",
        "n_late.next": "n_after",
    }
    texts = {name: {"type": "text", "label": name} for name in ("said", "echo")}
    return {
        "format": "flow/1",
        "name": "Faults",
        "locale": "en",
        "entry": {"message": "n_start"},
        "pace": {"gather_ms": gather_ms, "while_busy": "queue"},
        "variables": texts,
        "connections": {"llm": {"kind": "chat_model", "label": "Model"}},
        "nodes": nodes,
        "edges": edges,
    }
