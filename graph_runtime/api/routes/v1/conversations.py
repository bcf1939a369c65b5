"""Conversations over the public API: begin, say, read, follow, end."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, Header, Query, Request
from starlette.responses import Response

from graph_runtime.api.access import key_with, router, services_of
from graph_runtime.api.lean import lean
from graph_runtime.api.live import LiveEvent, feed, public_message
from graph_runtime.api.plain_json import Json, plain
from graph_runtime.api.routes.v1.shapes import (
    ConversationHead,
    Conversations,
    IdempotencyKey,
    Listed,
    Messages,
    NewConversation,
    NewMessage,
    Said,
)
from graph_runtime.api.streaming import OneTurn, event_stream, last_seen
from graph_runtime.contract.errors import InputInvalid
from graph_runtime.contract.messages import Reply
from graph_runtime.services.idempotency import Answer
from graph_runtime.services.principal import Principal

if TYPE_CHECKING:
    from graph_runtime.bootstrap import Services
    from graph_runtime.services.conversations import Accepted

may_write = key_with("conversations:write", "conversations:read")
may_read = key_with("conversations:read")
writing = router(may_write, "/api/v1", tags=["Conversations"])
reading = router(may_read, "/api/v1", tags=["Conversations"])
Writer = Annotated[Principal, Depends(may_write)]
Reader = Annotated[Principal, Depends(may_read)]
After = Annotated[int, Query(ge=0, le=2**31 - 1, description="Only messages after this number.")]
_STREAM: Final = "text/event-stream"


@writing.post("/agents/{agent_id}/conversations", status_code=201, response_model=Said, summary="Begin a conversation")
async def begin(
    request: Request, agent_id: str, body: NewConversation, who: Writer, idempotency_key: IdempotencyKey = None
) -> Response:
    """Begin a conversation on the agent's live version. By default the answer holds what the agent says first."""
    services = services_of(request)

    async def act() -> Answer:
        conversation_id = await services.conversations.start(
            who,
            agent_id=agent_id,
            external_user_id=body.external_user_id,
            contact=body.contact,
            dedupe_key=f"{who.session_id}:{idempotency_key or uuid.uuid4().hex}",
            language=body.language,
        )
        said = await _where(services, who, conversation_id, seconds=body.wait_seconds if body.wait else 0)
        return Answer(201, said)

    return await once(request, who, idempotency_key, act)


async def say(
    request: Request, conversation_id: str, body: NewMessage, who: Writer, idempotency_key: IdempotencyKey = None
) -> Response:
    """Send what the person says.

    Answers with what the agent says to it. With the header `Accept: text/event-stream` the answer is a stream of events
    (as in “Follow a conversation”) that ends with the agent's turn.
    """
    services = services_of(request)
    if not body.text.strip() and not body.option_id:
        raise InputInvalid("Say something: send “text”, or the “option_id” of a button.", field="text")
    name = body.client_id or idempotency_key or uuid.uuid4().hex
    reply = await reply_of(services, who, conversation_id, body.text, body.option_id)

    async def receive() -> Any:
        return await services.conversations.receive(
            who, conversation_id, reply, dedupe_key=name, client_id=body.client_id
        )

    async def act() -> Answer:
        accepted = await receive()
        seconds = body.wait_seconds if body.wait else 0
        messages = None
        if seconds:
            messages = await services.conversations.wait_for_turn(who, conversation_id, accepted.inbox_id, seconds)
        status, waits = await services.conversations.stand(who, conversation_id, accepted.inbox_id)
        return Answer(
            202 if messages is None else 200,
            {
                "conversation_id": conversation_id,
                "status": status,
                "waits": waits,
                "is_running": messages is None,
                "accepted_seq": accepted.seq,
                "messages": [public_message(m) for m in messages or () if m["role"] != "contact"],
            },
        )

    if _STREAM in request.headers.get("accept", ""):
        accepted = await receive()
        watching = services.conversations.watch(who, conversation_id, after_seq=accepted.seq)
        return event_stream(watching, turn=_turn_of(services, who, conversation_id, accepted))
    return await once(request, who, idempotency_key, act)


async def _say_plainly(request: Request, who: Principal, body: NewMessage) -> Response:
    return await say(request, request.path_params["conversation_id"], body, who)


writing.add_api_route(
    "/conversations/{conversation_id}/messages",
    say,
    methods=["POST"],
    response_model=Said,
    summary="Say something",
    responses={
        200: {"content": {_STREAM: {"schema": {"type": "string"}}}},
        202: {"model": Said, "description": "Taken in; the agent is still speaking."},
    },
    route_class_override=lean(may_write, NewMessage, _say_plainly),
)


@reading.get("/conversations", response_model=Conversations, summary="List conversations")
async def list_conversations(request: Request, who: Reader, wanted: Annotated[Listed, Query()]) -> Any:
    """Conversations of the workspace, newest first."""
    page = await services_of(request).conversations.list(who, **wanted.model_dump())
    return {"conversations": page.rows, "next_cursor": page.next_cursor}


@reading.get("/conversations/{conversation_id}", response_model=ConversationHead, summary="Read a conversation")
async def read_conversation(request: Request, conversation_id: str, who: Reader) -> Any:
    """Where a conversation stands."""
    return (await services_of(request).conversations.get(who, conversation_id)).row


@reading.get("/conversations/{conversation_id}/messages", response_model=Messages, summary="Read messages")
async def read_messages(
    request: Request,
    conversation_id: str,
    who: Reader,
    after: After = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> Any:
    """The transcript, oldest first."""
    found = await services_of(request).conversations.transcript(who, conversation_id, after_seq=after, limit=limit)
    messages = [public_message(m) for m in found.messages]
    has_more = bool(messages) and messages[-1]["seq"] < found.message_seq
    return {
        "conversation_id": conversation_id,
        "status": found.status,
        "waits": found.waits,
        "is_running": found.is_running,
        "messages": messages,
        "next_after": messages[-1]["seq"] if has_more else None,
    }


@reading.get(
    "/conversations/{conversation_id}/events",
    summary="Follow a conversation",
    response_class=Response,
    responses={200: {"content": {_STREAM: {"schema": {"type": "string"}}}}},
)
async def follow(
    request: Request,
    conversation_id: str,
    who: Reader,
    after: After = 0,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> Response:
    """A stream of server-sent events, for as long as you listen.

    First every message after `after` (or after the header `Last-Event-ID`, which an EventSource sends when it connects
    again), then what happens: `typing`, `delta` (a piece of a text being made; `key` says of which message), `reset`
    (forget the pieces of `key`), `message` (final; its `seq` is the event's id), `turn`, `error`, `ended`.
    """
    conversations = services_of(request).conversations
    await conversations.transcript(who, conversation_id, limit=1)
    return event_stream(conversations.watch(who, conversation_id, after_seq=last_seen(last_event_id, after)))


@writing.post("/conversations/{conversation_id}/end", status_code=204, summary="End a conversation")
async def end(request: Request, conversation_id: str, who: Writer) -> None:
    """End it now; what the agent is saying is not finished."""
    await services_of(request).conversations.end(who, conversation_id, result="ended_by_api")


async def once(request: Request, who: Principal, key: str | None, act: Callable[[], Awaitable[Answer]]) -> Json:
    """Carry out a mutation, once per Idempotency-Key if one was sent."""
    if key is None:
        answer = await act()
    else:
        equal = f"{request.method} {request.url.path}\n".encode() + await request.body()

        async def kept() -> Answer:
            answer = await act()
            return Answer(answer.status, plain(answer.body))

        answer = await services_of(request).idempotency.once(who, key, equal, kept)
    headers = {"Idempotent-Replayed": "true"} if answer.repeated else None
    return Json(answer.body, answer.status, headers=headers)


async def reply_of(services: Services, access: Any, conversation_id: str, text: str, option_id: str) -> Reply:
    """What was said; a button pressed without words gets the words of the newest question that has it."""
    if option_id and not text.strip():
        newest = await services.conversations.transcript(access, conversation_id, after_seq=2**31 - 1, limit=1)
        recent = await services.conversations.transcript(
            access, conversation_id, after_seq=max(0, newest.message_seq - 20), limit=20
        )
        for message in reversed(recent.messages):
            for part in message["parts"]:
                for option in part.get("options", ()):
                    if option["id"] == option_id:
                        return Reply(text=option["label"], option_id=option_id)
        raise InputInvalid(
            "There is no such button in the last messages. Read them again and send one of their option ids.",
            field="option_id",
        )
    return Reply(text=text, option_id=option_id)


async def _where(services: Services, who: Principal, conversation_id: str, *, seconds: float) -> Any:
    """The conversation after its first turn, or as it is when that takes longer."""
    found = await services.conversations.transcript(who, conversation_id)
    if seconds and found.is_running:
        async with feed(services.conversations.watch(who, conversation_id, after_seq=2**31 - 1)) as events:
            found = await services.conversations.transcript(who, conversation_id)
            remaining = seconds
            while found.is_running and remaining > 0:
                # The short look is for turns of other processes, whose end is not an event here.
                pause = min(1.0, remaining)
                try:
                    event = await events.next(pause)
                except StopAsyncIteration:  # this process ends
                    break
                remaining -= pause if event is None else 0
                if event is None or event["type"] in ("turn", "ended", "error"):
                    found = await services.conversations.transcript(who, conversation_id)
    return {
        "conversation_id": conversation_id,
        "status": found.status,
        "waits": found.waits,
        "is_running": found.is_running,
        "accepted_seq": None,
        "messages": [public_message(m) for m in found.messages],
    }


def _turn_of(services: Services, who: Principal, conversation_id: str, accepted: Accepted) -> OneTurn:
    """The turn that answers an accepted message, as far as a stream of it has to know."""

    def is_end(event: LiveEvent) -> bool:
        is_this = event.get("turn_id") in (None, str(accepted.inbox_id))
        return event["type"] == "ended" or (event["type"] == "turn" and event.get("state") == "ended" and is_this)

    async def finished(told: int) -> LiveEvent | None:
        now = await services.conversations.transcript(who, conversation_id, after_seq=2**31 - 1, limit=1)
        if now.is_running or now.message_seq > told:
            return None
        return {"type": "turn", "state": "ended", "waits": now.waits}

    return OneTurn(accepted.seq, is_end, finished)
