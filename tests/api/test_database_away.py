"""While the database is away, clients are told to come again."""

from __future__ import annotations

from typing import Any

import httpx2
import psycopg
import pytest

from graph_runtime.bootstrap import Services


async def test_a_request_while_the_database_is_away_is_answered_503(
    services: Services, program: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: Any) -> Any:
        raise psycopg.OperationalError("connection refused")

    monkeypatch.setattr(services.api_keys, "principal", away)
    answer = await program.get("/api/v1/conversations")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["Retry-After"] == "2"
    assert "refused" not in answer.text
