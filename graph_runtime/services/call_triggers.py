"""What is heard on a call becomes a committed trigger of its conversation."""

from __future__ import annotations

from typing import Any

from graph_runtime.contract.calls import Begin, Digits, Heard, HungUp, Recorded, Silence, Speech, Transferred
from graph_runtime.contract.messages import Attachment, Media, Reply, Text, dump_part
from graph_runtime.engine.checkpoint import clean, json_values
from graph_runtime.services.gathering import ALONE
from graph_runtime.services.live import Live
from graph_runtime.services.turn_runner import HANG_UP
from graph_runtime.services.turn_starts import TurnStarts
from graph_runtime.storage.receiving import or_away
from graph_runtime.storage.turns import AcceptedTrigger, TurnStore

MAX_TEXT = 20_000


class CallTriggers:
    """The caller has made sure of the right to speak for the call."""

    def __init__(self, store: TurnStore, starts: TurnStarts, live: Live) -> None:
        self._store = store
        self._starts = starts
        self._live = live

    async def take(
        self, workspace_id: str, conversation_id: str, key: str, heard: Heard, *, client_id: str = ""
    ) -> AcceptedTrigger | None:
        """Commit it, then begin its turn; None when the conversation is gone. Known keys change nothing.

        `inbox_id` None: the conversation is over. Raises: DatabaseAway.
        """
        payload, parts, text = _trigger(heard)
        with or_away():
            accepted, turn = await self._store.accept(
                workspace_id, conversation_id, dedupe_key=f"call:{key}"[:500], kind="message",
                payload=json_values(payload), parts=json_values(parts) if parts else None, text=text,
                client_id=client_id,
            )  # fmt: skip
        if accepted is None or not accepted.is_new or accepted.inbox_id is None:
            return accepted
        if parts:
            message = {
                "seq": accepted.seq, "role": "contact", "key": "", "parts": parts, "text": text, "node_id": "",
                "turn_id": str(accepted.inbox_id), "created_at": accepted.at, "client_id": client_id, "flags": {},
            }  # fmt: skip
            self._live.publish(conversation_id, {"type": "message", "message": message})
        self._live.changed(workspace_id, conversation_id)
        self._starts.go_on(workspace_id, conversation_id, turn)
        return accepted

    def think_ahead(self, workspace_id: str, conversation_id: str, speech: Speech) -> None:
        """This is probably what `take` will be given next."""
        payload, _, text = _trigger(speech)
        if text:
            self._starts.think_ahead(workspace_id, conversation_id, json_values(payload), text)

    def think_no_more(self, conversation_id: str) -> None:
        """It is not."""
        self._starts.runner.ahead.forget(conversation_id)


def _trigger(heard: Heard) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """(payload, parts of the contact's message, its text); no parts where nothing is shown in the transcript."""
    if isinstance(heard, Speech):
        text = clean(heard.text).strip()[:MAX_TEXT]
        return {"reply": _reply(text, heard)}, [_part(text, "speech")], text
    if isinstance(heard, Digits):
        return {"reply": _reply(heard.digits, heard), ALONE: True}, [_part(heard.digits, "digits")], heard.digits
    if isinstance(heard, Recorded):
        text = clean(heard.text).strip()[:MAX_TEXT]
        files = (Attachment(file_id=heard.file_id, name="recording.wav", mime="audio/wav", size=heard.size),)
        reply = _reply(text, heard, files if heard.file_id else ())
        sound = dump_part(Media(media="audio", file_id=heard.file_id, name="recording.wav"))
        parts = [*([_part(text, "speech")] if text else []), *([sound] if heard.file_id else [])]
        return {"reply": reply, ALONE: True}, parts, text
    if isinstance(heard, Transferred):
        return {"reply": _reply("", heard), ALONE: True}, [], ""
    if isinstance(heard, HungUp):
        return {HANG_UP: True, "cause": heard.cause, ALONE: True}, [], ""
    assert isinstance(heard, Silence | Begin)
    return {"reply": None, ALONE: True}, [], ""


def _reply(text: str, heard: Heard, files: tuple[Attachment, ...] = ()) -> dict[str, Any]:
    language = heard.language if isinstance(heard, Speech) else ""
    return Reply(text=text, attachments=files, language=language, heard=heard).model_dump(mode="json")


def _part(text: str, heard: str) -> dict[str, Any]:
    return dump_part(Text(text=text)) | {"heard": heard}
