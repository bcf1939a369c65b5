"""What is done to the installation; every deed is noted with its beginning and end, so that the checker can excuse it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Callable, Iterator

import psycopg

from tests.faults.commit_trap import Moment
from tests.faults.program import Program
from tests.faults.relay import Mode
from tests.faults.system import System

SESSIONS_BACK_SECONDS = 3.0
"""A living process whose session broke looks dead until it has locked its number again: others may take its turns over."""

TAKEN_OVER_SECONDS = 60.0
"""A frozen process is left frozen for so long beyond its time, when nobody takes over."""

REDIS_BACK_SECONDS = 3.0
"""A lost wake-up is found by the sweeper within two seconds; a Redis that failed is left in peace for two."""


class Hands:
    """`chance` decides whom it hits; the same seed hits the same ones in the same order."""

    def __init__(self, system: System, chance: random.Random) -> None:
        self.system = system
        self.chance = chance
        self.outages: list[tuple[float, float]] = []
        """When the database was away."""

    @contextlib.contextmanager
    def noted(self, what: str, who: str = "") -> Iterator[None]:
        """Everything in the block is one deed."""
        since = time.time()
        try:
            yield
        finally:
            self.system.actions.note("hurt", what=what, who=who, since=since)

    def any(self, kind: str = "") -> str:
        """A process of a kind, by lot."""
        return self.chance.choice(self.system.named(kind))

    async def kill(self, name: str) -> None:
        """SIGKILL; it is started again a moment later, and the deed lasts until it works again."""
        with self.noted("kill", name):
            await asyncio.to_thread(self.system.programs[name].kill)
            await self._back(name)

    async def kill_twice(self, name: str) -> None:
        """Kill it, and again while it starts."""
        await self.kill(name)
        await asyncio.sleep(self.chance.uniform(0.5, 1.5))
        await self.kill(name)

    async def freeze(self, name: str, seconds: float, until: Callable[[], bool] = lambda: True) -> None:
        """SIGSTOP, and SIGCONT when others have long taken over: after so long, and when `until` says so."""
        with self.noted("freeze", name):
            self.system.programs[name].signal(signal.SIGSTOP)
            await asyncio.sleep(seconds)
            longest = time.monotonic() + TAKEN_OVER_SECONDS
            while not await asyncio.to_thread(until) and time.monotonic() < longest:  # noqa: ASYNC110  # books are silent
                await asyncio.sleep(0.5)
            self.system.programs[name].signal(signal.SIGCONT)
            await asyncio.sleep(1.0)

    async def kill_database(self, down_seconds: float = 0.0) -> float:
        """SIGKILL of server and backends; seconds until it accepts connections again, without the pause."""
        with self.noted("kill", "database"):
            async with self.system.hands_on():
                since = time.time()
                await asyncio.to_thread(self.system.database.kill)
            await asyncio.sleep(down_seconds)
            took = await asyncio.to_thread(self.system.database.restart)
            self.outages.append((since, time.time()))
            await asyncio.sleep(SESSIONS_BACK_SECONDS)
        return took

    async def kill_redis(self, down_seconds: float = 0.0) -> None:
        """SIGKILL of Redis, which keeps nothing on disk: it comes back empty."""
        redis = self.system.redis
        assert redis is not None
        with self.noted("kill", "redis"):
            await asyncio.to_thread(redis.kill)
            await asyncio.sleep(down_seconds)
            await asyncio.to_thread(redis.start)
            await asyncio.sleep(REDIS_BACK_SECONDS)

    async def flush_redis(self) -> None:
        """Everything in it is gone, it goes on."""
        redis = self.system.redis
        assert redis is not None
        with self.noted("flush", "redis"):
            await asyncio.to_thread(redis.flush)
            await asyncio.sleep(REDIS_BACK_SECONDS)

    async def kill_everything(self, down_seconds: float = 1.0) -> None:
        """Every process at once, the database and Redis with them; then all start again."""
        with self.noted("power cut", "everything"):
            async with self.system.hands_on():
                since = time.time()
                for program in self.system.programs.values():
                    program.signal(signal.SIGKILL)
                await asyncio.to_thread(self.system.database.kill)
                if self.system.redis is not None:
                    await asyncio.to_thread(self.system.redis.kill)
                for program in self.system.programs.values():
                    program.kill()
                await asyncio.sleep(down_seconds)
                if self.system.redis is not None:
                    await asyncio.to_thread(self.system.redis.start)
                await asyncio.to_thread(self.system.database.restart)
                self.outages.append((since, time.time()))
            for name in self.system.named("web"):
                await self.system.until_ready(name)

    async def terminate(self, name: str) -> int | None:
        """SIGTERM, the polite end; it is started again. The exit code."""
        with self.noted("terminate", name):
            code = await asyncio.to_thread(self.system.programs[name].terminate)
            await self._back(name)
        return code

    async def partition(self, relay: str, seconds: float, mode: Mode = "hold") -> None:
        """Nothing passes for a while; connections of before are then broken, as routers do."""
        with self.noted("partition", relay):
            board, line = self.system.switchboard, self.system.relays[relay]
            await asyncio.to_thread(board.do, line.switch(mode))
            await asyncio.sleep(seconds)
            await asyncio.to_thread(board.do, line.cut(reset=True))
            await asyncio.to_thread(board.do, line.switch("pass"))
            await asyncio.sleep(1.0)

    async def kill_at_commit(self, name: str, moment: Moment, *, nth: int, seconds: float = 20.0) -> bool:
        """SIGKILL of a process just before or just after its n-th commit from now; False when none came."""
        program = self.system.programs[name]
        assert program.trap is not None
        struck = program.trap.struck
        pid = program.pid
        with self.noted(f"kill {moment} commit", name):
            program.trap.arm(moment, lambda: _kill_if(program, pid), nth=nth)
            until = time.monotonic() + seconds
            while program.trap.struck == struck and time.monotonic() < until:  # noqa: ASYNC110  # struck by another thread
                await asyncio.sleep(0.02)
            await self._back(name)
        return program.trap.struck > struck

    async def kill_database_at_commit(self, name: str, moment: Moment, *, nth: int, seconds: float = 20.0) -> bool:
        """The same with the database as the victim."""
        program = self.system.programs[name]
        assert program.trap is not None
        struck = program.trap.struck
        with self.noted(f"kill database {moment} commit", name):
            program.trap.arm(moment, self.system.database.kill, nth=nth)
            until = time.monotonic() + seconds
            while program.trap.struck == struck and time.monotonic() < until:  # noqa: ASYNC110  # struck by another thread
                await asyncio.sleep(0.02)
            if program.trap.struck > struck:
                await asyncio.to_thread(self.system.database.restart)
            await asyncio.sleep(SESSIONS_BACK_SECONDS)
        return program.trap.struck > struck

    async def end_sessions(self, share: float = 0.5) -> int:
        """pg_terminate_backend of some of the product's sessions; how many."""
        with self.noted("end sessions"), contextlib.suppress(psycopg.Error):
            with self.system.database.look() as connection:
                row = connection.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE usename = 'patchcord_app' AND random() < %s",
                    (share,),
                ).fetchone()
            await asyncio.sleep(SESSIONS_BACK_SECONDS)
            return int(row[0]) if row else 0
        return 0

    async def _back(self, name: str) -> None:
        if name.startswith("web"):
            await asyncio.sleep(0.5)
            await self.system.until_ready(name)
        else:
            await asyncio.sleep(1.5)


def _kill_if(program: Program, pid: int) -> None:
    if program.pid == pid:
        program.signal(signal.SIGKILL)
