"""A request of an API client that is repeated with the same Idempotency-Key is answered again, not carried out again."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from graph_runtime.contract.errors import AccessDenied, Conflict, InputInvalid
from graph_runtime.services.principal import Principal
from graph_runtime.storage import idempotency as rows
from graph_runtime.storage.database import Database


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
    """Keeps answers per API key for 48 hours."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
        async with self._database.workspace(principal.workspace_id) as connection:
            is_mine = await rows.claim(connection, principal.workspace_id, owner, key, request_hash)
            found = None if is_mine else await rows.find(connection, owner, key)
        if not is_mine:
            return _earlier(found, request_hash)
        try:
            answer = await act()
        except BaseException:
            async with self._database.workspace(principal.workspace_id) as connection:
                await rows.drop(connection, owner, key)
            raise
        async with self._database.workspace(principal.workspace_id) as connection:
            await rows.finish(connection, owner, key, answer.status, answer.body)
        return answer


def _earlier(found: dict[str, Any] | None, request_hash: bytes) -> Answer:
    if found is not None and bytes(found["request_hash"]) != request_hash:
        raise KeyReused("This Idempotency-Key was used for another request. Send a new key with a new request.")
    if found is None or found["status"] is None:
        raise StillRunning("The first request with this Idempotency-Key is still running. Repeat in a few seconds.")
    return Answer(found["status"], found["response"], repeated=True)
