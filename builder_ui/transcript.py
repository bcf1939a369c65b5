"""A conversation as pages show it: its messages, files, failed turns and phone calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from builder_ui.rows import flow_path, moment
from builder_ui.sources import SourceItem, source_items
from builder_ui.stages import StageItem, stages_of
from graph_runtime.services.conversation_list import ConversationDetail
from graph_runtime.services.file_kinds import media_of
from graph_runtime.services.phone_setup import CallFacts


@dataclass(frozen=True)
class FileItem:
    """A file in a message. `media`: "image", "audio", "video" or "document"; `url`: where the browser gets it.

    `state`: "here"; "coming" from a vendor; "failed", with the `reason`; "gone", deleted since; "elsewhere", on another site.
    """

    url: str
    name: str
    media: str
    size: int = 0
    state: str = "here"
    reason: str = ""


def _file_item(part: Mapping[str, Any], known: Mapping[str, Any] | None) -> FileItem:
    media, name = str(part.get("media") or "document"), str(part.get("name") or part.get("caption") or "")
    if not part.get("file_id"):
        return FileItem(str(part.get("url") or ""), name, media, state="elsewhere")
    url = f"/api/builder/files/{part['file_id']}"
    if known is None:
        return FileItem(url, name, media, state="gone")
    if known["state"] == "here":
        media = media_of(str(known["mime"]))  # what it turned out to be
    return FileItem(url, name, media, int(known["size"]), str(known["state"]), str(known["error"]))


@dataclass(frozen=True)
class MessageItem:
    """A bubble (side contact or agent), or a thin line (side system or failed), of a transcript.

    `is_twice`: it may have arrived twice; `undelivered`: why it did not arrive, or "". `heard`: "speech" or "digits" on a
    call, "file" when its words come from a voice message. On a call: `latency_ms` from the caller's last word to the
    agent's first (0: not measured), `cut` "interrupted" or "unheard".
    `by`: the member who said it, or about whom the line is; `event`: "joined", "left"; `sending`: what became
    of a message that a channel sends. `approval`: what became of one that somebody approves ("waiting", "behind" one that
    waits, "sent", "edited", "replaced", "rejected", "withdrawn"), `approved_by` whom (""): nobody, it was the time;
    `original`: what the agent wrote, where something else was sent.
    """

    key: str
    side: str
    text: str
    options: list[str]
    files: list[FileItem]
    step: str
    step_path: str
    created_at: str
    is_twice: bool = False
    undelivered: str = ""
    heard: str = ""
    latency_ms: int = 0
    cut: str = ""
    by: str = ""
    event: str = ""
    sending: str = ""
    approval: str = ""
    approved_by: str = ""
    original: str = ""
    stages: list[StageItem] = field(default_factory=list)
    sources: list[SourceItem] = field(default_factory=list)


@dataclass(frozen=True)
class CallItem:
    """A phone call above its transcript. `talked` as minutes:seconds, "" while it goes on; `transfer`: how it ended.

    `sound`: address of its recording, "" when there is none.
    """

    id: str
    from_number: str
    did: str
    state: str
    talked: str
    transfer: str
    sound: str


def call_item(call: CallFacts) -> CallItem:
    """From the services' row."""
    talked = "" if call.seconds is None else f"{call.seconds // 60}:{call.seconds % 60:02}"
    sound = f"/api/builder/calls/{call.id}/recording" if call.recorded_seconds else ""
    return CallItem(call.id, call.from_number, call.did, call.state, talked, call.transfer, sound)


def transcript_items(
    talk: ConversationDetail,
    labels: Mapping[str, str],
    held: Sequence[Mapping[str, Any]] = (),
    in_words: Callable[[str], str] = str,
) -> list[MessageItem]:
    """The messages of a conversation, and a line for each turn that failed, in the order they happened; what still waits
    for approval comes last.

    `labels`: what a step without a name is called, by its type. `held`: what was or is to be approved there. `in_words`: an
    error's code as a sentence of the page.
    """
    decided = {h["seq"]: h for h in held if h["needs_approval"] and h["state"] in ("sent", "edited", "replaced")}
    found = [(m["created_at"], _approved(_message_item(m, talk, labels), decided.get(m["seq"]))) for m in talk.messages]
    found += [(h["created_at"], _held_item(h, talk, labels)) for h in held if h["state"] in ("rejected", "withdrawn")]
    for turn in talk.turns:
        if turn["error"]:
            at = turn.get("ended_at") or turn["started_at"]
            error = turn["error"]
            code = str(error.get("message") or error.get("code") or "") if isinstance(error, Mapping) else str(error)
            said = in_words(code)
            found.append((at, MessageItem(f"turn{turn['seq']}", "failed", said, [], [], "", "", moment(at))))
    items = [item for _, item in sorted(found, key=lambda pair: pair[0])]
    return items + [_held_item(h, talk, labels) for h in held if h["state"] == "waiting"]


def _approved(item: MessageItem, held: Mapping[str, Any] | None) -> MessageItem:
    """A message with who approved it, and what the agent had written."""
    if held is None:
        return item
    is_other = held["state"] in ("edited", "replaced")
    return replace(
        item, approval=held["state"], approved_by=held["member_name"], original=held["text"] if is_other else ""
    )


def _held_item(held: Mapping[str, Any], talk: ConversationDetail, labels: Mapping[str, str]) -> MessageItem:
    """A message that was not sent, or not yet."""
    row = {**held, "seq": f"held{held['id']}", "role": "agent", "flags": {}}
    waits = "waiting" if held["needs_approval"] else "behind"
    state = waits if held["state"] == "waiting" else held["state"]
    return replace(_message_item(row, talk, labels), approval=state, approved_by=held["member_name"])


def _message_item(row: Mapping[str, Any], talk: ConversationDetail, labels: Mapping[str, str]) -> MessageItem:
    parts: list[Mapping[str, Any]] = list(row["parts"] or ())
    node = row["node_id"] or ""
    step = talk.steps.get(node, {})
    # A step of a sub-flow is named with the path of the steps that run it; its own flow knows it by the last name.
    own = node.rpartition("/")[2]
    texts = [str(p["text"]) for p in parts if p.get("text")]
    return MessageItem(
        key=str(row["seq"]),
        side={"contact": "contact", "system": "system"}.get(str(row["role"]), "agent"),
        text=row["text"] or "\n".join(texts),
        options=[str(o.get("label") or o.get("id")) for p in parts for o in p.get("options") or ()],
        files=[_file_item(p, talk.files.get(str(p.get("file_id")))) for p in parts if p.get("kind") == "media"],
        step=step.get("name") or labels.get(step.get("type", ""), ""),
        step_path=flow_path(talk.row.agent_id, step["flow_id"], own) if step.get("flow_id") else "",
        created_at=moment(row["created_at"]),
        is_twice=bool((row.get("flags") or {}).get("possibly_duplicate")),
        undelivered=str((row.get("flags") or {}).get("undelivered") or ""),
        heard=next((str(p["heard"]) for p in parts if p.get("heard")), "")
        or ("file" if (row.get("flags") or {}).get("from_speech") else ""),
        latency_ms=round(float(((row.get("flags") or {}).get("times") or {}).get("first_frame") or 0)),
        by=str((row.get("flags") or {}).get("by") or next((p["name"] for p in parts if p.get("kind") == "person"), "")),
        event=next((str(p["event"]) for p in parts if p.get("kind") == "person"), ""),
        cut=next((name for name in ("interrupted", "unheard") if (row.get("flags") or {}).get(name)), ""),
        stages=stages_of((row.get("flags") or {}).get("times") or {}),
        sources=source_items(parts),
    )
