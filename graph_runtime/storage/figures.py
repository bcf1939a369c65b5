"""Figures that only the database knows: counts and ages over all workspaces, asked by one function."""

from __future__ import annotations

from psycopg.rows import tuple_row

from graph_runtime.storage.instance import call_states
from graph_runtime.storage.news import Direct


async def figures(database: Direct, key_id: str) -> list[tuple[str, str, float]]:
    """(name, label, value). `key_id`: of the secret key in use."""
    async with database.direct() as connection:
        cursor = connection.cursor(row_factory=tuple_row)
        await cursor.execute("SELECT * FROM figures(%s) UNION ALL SELECT * FROM figures_of_copies()", (key_id,))
        found = [(name, label, float(value)) for name, label, value in await cursor.fetchall()]
        states = await call_states(connection)
    return found + [("voice_processes", state, float(count)) for state, count in states.items()]
