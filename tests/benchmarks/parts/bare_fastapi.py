"""A yardstick: FastAPI with one INSERT for each request, and nothing else of ours."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel


class Said(BaseModel):
    """What the client sends."""

    text: str
    client_id: str = ""


def make_app(url: str) -> FastAPI:
    """The application; its table is made when it starts."""
    pool = AsyncConnectionPool(url, min_size=2, max_size=12, open=False, kwargs={"autocommit": True})

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await pool.open(wait=True)
        async with pool.connection() as connection:
            await connection.execute("CREATE TABLE IF NOT EXISTS yardstick (id bigserial PRIMARY KEY, text text)")
        yield
        await pool.close()

    app = FastAPI(lifespan=lifespan)

    @app.get("/health/ready")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/say")
    async def say(said: Said) -> dict[str, str]:
        async with pool.connection() as connection:
            await connection.execute("INSERT INTO yardstick (text) VALUES (%s)", (said.text,))
        return {"text": said.text}

    return app


if __name__ == "__main__":
    uvicorn.run(make_app(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), log_config=None, access_log=False)
