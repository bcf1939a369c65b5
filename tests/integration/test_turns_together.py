"""What is accepted and committed at the same time goes together, and yet each conversation stands for itself."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from graph_runtime.contract.errors import LeaseLost
from graph_runtime.services.channel_access import ChannelAccess
from graph_runtime.services.turn_rows import unchanged
from graph_runtime.storage.embedded_postgres import EmbeddedPostgres
from graph_runtime.storage.grouped_calls import GroupedCalls
from graph_runtime.storage.together import MOST
from graph_runtime.storage.turns import AcceptedTrigger, Committed, LeasedTurn
from tests.conversation_world import Process, process, publish
from tests.integration.test_turns import ECHO

Admin = psycopg.Connection[tuple[Any, ...]]
MANY = MOST - 1
"""Those and one more fill a statement; without that one it is filled up."""


class Talks:
    """Conversations that all say something at once."""

    def __init__(self, side: Process, access: ChannelAccess, ids: list[str]) -> None:
        self.side, self.access, self.ids = side, access, ids

    async def accept(self) -> list[tuple[AcceptedTrigger | None, LeasedTurn | None]]:
        """A message of each."""
        return await asyncio.gather(
            *(
                self.side.store.accept(
                    self.access.workspace_id, talk, dedupe_key=uuid4().hex, kind="message", payload={},
                    parts=[{"kind": "text", "text": f"it's {n} \\ \"{{}}\" 💬"}], text=f"it's {n} \\ \"{{}}\" 💬",
                )
                for n, talk in enumerate(self.ids)
            )
        )  # fmt: skip

    async def commit(self, turns: list[LeasedTurn]) -> list[Committed | BaseException]:
        """The turn of each, saying something."""
        said = {"key": "9.1", "parts": [], "text": "Yes", "node_id": ""}
        return await asyncio.gather(
            *(
                self.side.store.commit(self.access.workspace_id, talk, turn, unchanged(turn, "done", said=said))
                for talk, turn in zip(self.ids, turns, strict=True)
            ),
            return_exceptions=True,
        )


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sizes of the statements that were asked."""
    sizes: list[int] = []
    whole = GroupedCalls._many

    async def many(self: GroupedCalls, calls: Any) -> Any:
        sizes.append(len(calls))
        return await whole(self, calls)

    monkeypatch.setattr(GroupedCalls, "_many", many)
    return sizes


async def leased(talks: Talks) -> list[LeasedTurn]:
    """A turn of each conversation."""
    turns = [turn for _, turn in await talks.accept()]
    assert all(turns)
    return [turn for turn in turns if turn is not None]


async def test_each_gets_what_is_its_own(
    database: object, postgres: EmbeddedPostgres, admin: Admin, groups: list[int]
) -> None:
    access = publish(postgres.admin_url, ECHO)
    async with process(postgres.app_url) as side:
        talks = Talks(side, access, [await side.begin(access) for _ in range(MANY)])
        groups.clear()
        talks.ids.append(str(uuid4()))
        *found, nobody = await talks.accept()
        assert groups == [MANY + 1]
        assert nobody == (None, None)
        talks.ids.pop()
        turns = [turn for _, turn in found if turn is not None]
        for talk, (accepted, turn) in zip(talks.ids, found, strict=True):
            assert accepted is not None
            assert turn is not None
            assert (accepted.inbox_id, accepted.seq, accepted.is_new) == (turn.inbox_id, turn.inbox_seq, True)
            row = admin.execute("SELECT conversation_id::text FROM inbox WHERE id = %s", (turn.inbox_id,)).fetchone()
            assert row == (talk,)
        groups.clear()
        committed = await talks.commit(turns)
        assert groups == [MANY]
        assert [c.first_seq for c in committed if isinstance(c, Committed)] == [3] * MANY
        for n, talk in enumerate(talks.ids):
            said = admin.execute("SELECT text FROM message WHERE conversation_id = %s ORDER BY seq", (talk,)).fetchall()
            assert said[1:] == [(f'it\'s {n} \\ "{{}}" 💬',), ("Yes",)]


async def test_a_lost_lease_is_lost_alone(
    database: object, postgres: EmbeddedPostgres, admin: Admin, groups: list[int]
) -> None:
    access = publish(postgres.admin_url, ECHO)
    async with process(postgres.app_url) as side:
        talks = Talks(side, access, [await side.begin(access) for _ in range(MANY)])
        turns = await leased(talks)
        stolen = talks.ids[4]
        admin.execute("UPDATE conversation SET lease_epoch = lease_epoch + 1 WHERE id = %s", (stolen,))
        groups.clear()
        outcome = await talks.commit(turns)
        assert groups == [MANY]
        assert [talk for talk, o in zip(talks.ids, outcome, strict=True) if isinstance(o, LeaseLost)] == [stolen]
        assert sum(isinstance(o, Committed) for o in outcome) == MANY - 1
        pending = admin.execute("SELECT conversation_id::text FROM inbox WHERE state = 'pending'").fetchall()
        assert pending == [(stolen,)]
        admin.execute("UPDATE conversation SET lease_owner = NULL WHERE id = %s", (stolen,))


async def test_nobody_waits_for_a_conversation_that_somebody_holds(
    database: object, postgres: EmbeddedPostgres, groups: list[int]
) -> None:
    access = publish(postgres.admin_url, ECHO)
    async with process(postgres.app_url) as side:
        talks = Talks(side, access, [await side.begin(access) for _ in range(MANY)])
        turns = await leased(talks)
        with psycopg.connect(postgres.admin_url) as holding:
            held = talks.ids.index(min(talks.ids))  # the first of its statement
            holding.execute("SELECT FROM conversation WHERE id = %s FOR UPDATE", (talks.ids[held],))
            commits = [
                asyncio.create_task(side.store.commit(access.workspace_id, talk, turn, unchanged(turn, "done")))
                for talk, turn in zip(talks.ids, turns, strict=True)
            ]
            others = [c for n, c in enumerate(commits) if n != held]
            await asyncio.wait_for(asyncio.gather(*others), 30)
            assert not commits[held].done()
        assert isinstance(await asyncio.wait_for(commits[held], 30), Committed)
