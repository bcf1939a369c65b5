"""Watching a conversation: every message once and in order, from whichever process, whatever is lost on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from graph_runtime.contract.models import ModelReply
from graph_runtime.services.live import Live, LiveEvent
from graph_runtime.services.principal import PERMISSIONS, Principal
from graph_runtime.services.turn_world import Outside
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from tests.conversation_world import process, publish
from tests.engine.small_nodes import flow

THINKING = flow(
    {"s": ("start", {}), "q": ("ask", {"text": "?"}), "m": ("think", {"text": "x"}), "n": ("set", {"value": "1"})},
    {"s.next": "q", "q.answered": "m", "m.next": "n", "n.next": "q"},
)


class Streams:
    """Two pieces, a false start taken back before them."""

    async def run(self, _request: Any, _models: Any, on_delta: Any = None, on_reset: Any = None) -> ModelReply:
        on_delta("wrong")
        on_reset()
        for piece in ("Hel", "lo"):
            on_delta(piece)
            await asyncio.sleep(0)
        return ModelReply("Hello")


async def _models(*_: str) -> list[Any]:
    return []


OUTSIDE = Outside(runner=Streams(), models=_models)


async def collect(events: AsyncIterator[LiveEvent], until: str, seconds: float = 10) -> list[LiveEvent]:
    """Events up to the first of a type."""
    found: list[LiveEvent] = []
    async with asyncio.timeout(seconds):
        async for event in events:
            found.append(event)
            if event["type"] == until:
                return found
    raise AssertionError


def seqs(events: list[LiveEvent]) -> list[int]:
    return [e["message"]["seq"] for e in events if e["type"] == "message"]


async def test_a_member_sees_the_whole_turn_and_a_contact_only_what_is_theirs(postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, THINKING)
    member = Principal(access.workspace_id, None, "owner", PERMISSIONS["owner"])
    async with process(postgres.app_url, OUTSIDE) as p:
        conversation = await p.begin(access)
        async with (
            p.conversations.watch(member, conversation) as member_events,
            p.conversations.watch(access, conversation, after_seq=1) as contact_events,
        ):
            await p.say(access, conversation, "hi")
            seen = await collect(member_events, "turn")
            shown = await collect(contact_events, "turn")
    assert seqs(seen) == [1, 2, 3, 4]
    assert seqs(shown) == [2, 3, 4]
    kinds = [e["type"] for e in seen]
    for kind in ("typing", "delta", "reset", "step", "variables"):
        assert kind in kinds
    streamed = [e for e in shown if e["type"] in ("delta", "reset")]
    assert [e.get("text", "reset") for e in streamed] == ["wrong", "reset", "Hel", "lo"]
    final = next(e["message"] for e in shown if e["type"] == "message" and e["message"]["text"] == "Hello")
    assert {e["key"] for e in streamed} == {final["key"]}
    assert {e["type"] for e in shown} == {"typing", "delta", "reset", "message", "turn"}
    assert all("node_id" not in e.get("message", {}) for e in shown)
    waiting = [e for e in seen if e["type"] == "step" and e["state"] == "waiting"]
    assert [e["node_id"] for e in waiting] == ["q"]


async def test_turns_of_another_process_are_seen_too(postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, THINKING)
    async with process(postgres.app_url, OUTSIDE) as here, process(postgres.app_url, OUTSIDE) as there:
        conversation = await there.begin(access)
        async with here.conversations.watch(access, conversation) as events:
            first = await anext(aiter(events))
            await there.say(access, conversation, "hi")
            found = [first]
            async with asyncio.timeout(10):
                while len(seqs(found)) < 4:
                    found.append(await anext(events))
    assert seqs(found) == [1, 2, 3, 4]


async def test_resuming_after_a_seq_leaves_no_gap_and_repeats_nothing(postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, THINKING)
    async with process(postgres.app_url, OUTSIDE) as p:
        conversation = await p.begin(access)
        got: list[int] = []
        for turn in range(4):
            async with p.conversations.watch(access, conversation, after_seq=got[-1] if got else 0) as events:
                saying = asyncio.create_task(p.say(access, conversation, f"{turn}"))
                # Leave in the middle, at another place each time.
                async with asyncio.timeout(10):
                    async for event in events:
                        if event["type"] == "message":
                            got.append(event["message"]["seq"])
                            if len(got) % 3 == turn % 3:
                                break
                await saying
        async with p.conversations.watch(access, conversation, after_seq=got[-1]) as events:
            async with asyncio.timeout(10):
                while got[-1] < 13:
                    got.append((await anext(events))["message"]["seq"])
    assert got == list(range(1, 14))


async def test_lost_repeated_and_shuffled_hints_change_nothing() -> None:
    stored: list[dict[str, Any]] = [{"seq": n, "text": str(n), "node_id": "", "turn_id": ""} for n in range(1, 11)]
    visible = 3

    async def read(_workspace: str, _conversation: str, after: int) -> list[dict[str, Any]]:
        return [m for m in stored if after < m["seq"] <= visible]

    live = Live(read, 1)
    async with live.subscribe("w", "c", after_seq=0) as events:
        for seq in (2, 2, 3):
            live.publish("c", {"type": "message", "message": stored[seq - 1]})
        got = [await anext(events) for _ in range(3)]
        visible = 10
        for seq in (7, 4, 10, 9, 10):
            live.publish("c", {"type": "message", "message": stored[seq - 1]})
        got += [await anext(events) for _ in range(7)]
        live.publish("c", {"type": "typing"})
        assert await anext(events) == {"type": "typing"}
    assert seqs(got) == list(range(1, 11))


async def test_the_live_list_hears_of_every_change(postgres: EmbeddedPostgres) -> None:
    access = publish(postgres.admin_url, THINKING)
    member = Principal(access.workspace_id, None, "owner", PERMISSIONS["owner"])
    async with (
        process(postgres.app_url, OUTSIDE) as here,
        process(postgres.app_url, OUTSIDE) as there,
        here.conversations.watch_all(member) as events,
    ):
        conversation = await there.begin(access)
        async with asyncio.timeout(10):
            assert await anext(events) == {"type": "conversation", "id": conversation}
