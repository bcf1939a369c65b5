"""A request of an API client that is repeated with the same Idempotency-Key is answered again, not carried out again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from graph_runtime.contract.errors import AccessDenied, Conflict, InputInvalid
from graph_runtime.services.principal import Principal
from graph_runtime.storage import idempotency as rows
from graph_runtime.storage.database import DATABASE_AWAY, Database

AGAIN_SECONDS: Final = 1.0


class KeyReused(InputInvalid):
    """The same Idempotency-Key came with another request."""

    code: ClassVar[str] = "idempotency_key_reused"


class StillRunning(Conflict):
    """The first request with this Idempotency-Key is not answered yet."""

    code: ClassVar[str] = "still_running"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. `repeated`: it was given before, to the first request with the key."""

    status: int
    body: Any
    repeated: bool = False


class Idempotency:
    """Keeps answers per API key for 48 hours. `owner`: this process's number (`Instance.number`)."""

    def __init__(self, database: Database, owner: int) -> None:
        self._database = database
        self._owner = owner
        self._running: dict[tuple[str, str], bytes] = {}
        self._giving_up: set[asyncio.Task[None]] = set()

    async def once(
        self, principal: Principal, key: str, request: bytes, act: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Carry out `act` once for this key; `request` is everything that makes two requests equal.

        An act that fails is not kept: the client may repeat it.
        Raises: KeyReused, StillRunning, AccessDenied, whatever `act` raises.
        """
        owner = principal.session_id
        if principal.role != "api" or owner is None:
            raise AccessDenied("Only requests with an API key can be repeated by Idempotency-Key.")
        request_hash = hashlib.sha256(request).digest()
        place = (owner, key)
        if place in self._running:
            raise _taken(self._running[place], request_hash)
        self._running[place] = request_hash
        try:
            return await self._once(rows.Claim(principal.workspace_id, owner, key, request_hash, self._owner), act)
        finally:
            del self._running[place]

    async def _once(self, claim: rows.Claim, act: Callable[[], Awaitable[Answer]]) -> Answer:
        async with self._database.workspace(claim.workspace_id) as connection:
            since = await rows.claim(connection, claim)
            found = None if since else await rows.find(connection, claim.api_key_id, claim.key)
        if since is None:
            return _earlier(found, claim.request_hash)
        try:
            answer = await act()
            async with self._database.workspace(claim.workspace_id) as connection:
                await rows.finish(connection, claim, answer.status, answer.body)
        except BaseException:
            await self._give_up(claim, since)
            raise
        return answer

    async def _give_up(self, claim: rows.Claim, since: datetime) -> None:
        try:
            await self._drop(claim, since)
        except DATABASE_AWAY:
            # This process lives, so nobody else ends its claim.
            task = asyncio.create_task(self._keep_giving_up(claim, since), name="give up a request")
            self._giving_up.add(task)
            task.add_done_callback(self._giving_up.discard)

    async def _keep_giving_up(self, claim: rows.Claim, since: datetime) -> None:
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            try:
                return await self._drop(claim, since)
            except DATABASE_AWAY:
                continue

    async def _drop(self, claim: rows.Claim, since: datetime) -> None:
        async with self._database.workspace(claim.workspace_id) as connection:
            await rows.drop(connection, claim, since)


def _earlier(found: dict[str, Any] | None, request_hash: bytes) -> Answer:
    first_hash = request_hash if found is None else bytes(found["request_hash"])
    if found is None or found["status"] is None or first_hash != request_hash:
        raise _taken(first_hash, request_hash)
    return Answer(found["status"], found["response"], repeated=True)


def _taken(first_hash: bytes, request_hash: bytes) -> KeyReused | StillRunning:
    if first_hash != request_hash:
        return KeyReused("This Idempotency-Key was used for another request. Send a new key with a new request.")
    return StillRunning("The first request with this Idempotency-Key is still running. Repeat in a few seconds.")
