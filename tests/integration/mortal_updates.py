"""Workers that look with update rules, to be killed anywhere. Each is forked off this process, which has loaded everything.

Reads lines from its input: database address, a file where every question to the model leaves a line, where to die ("asking":
while the model is asked; "asked": its answer is recorded; "written": a change is written and not committed; "committed": right
after the commit). Answers each with "died", or "done" when nothing is left to do.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from graph_runtime.contract.models import ModelRequest
from graph_runtime.engine.models import ModelRunner
from graph_runtime.services import update_writing
from graph_runtime.services.update_checks import UpdateChecks, UpdateReader
from graph_runtime.storage.database import Database
from graph_runtime.storage.update_checks import CheckEffects, CheckSweep
from graph_runtime.testing import FakeModel
from graph_runtime.worker.update_checks import UpdateLooks
from tests.update_world import OneModel, answer


def die() -> None:
    """As the operating system would do it: nothing is finished, nothing is handed over."""
    os.kill(os.getpid(), signal.SIGKILL)


async def work(url: str, asked: str, where: str) -> None:
    database = Database(url, min_size=1, max_size=4)
    await database.open()

    def read(request: ModelRequest) -> dict[str, Any]:
        with Path(asked).open("a") as file:
            file.write("asked\n")
        if where == "asking":
            die()
        return {f"r{n}": answer("ten", value) for n, value in enumerate((10, None), 1)}

    checks = UpdateChecks(database, UpdateReader(OneModel(FakeModel(rule=read)), ModelRunner()))  # type: ignore[arg-type]
    put, finish, run = update_writing.put_value, CheckEffects.finish, checks.run

    async def finished(*arguments: Any) -> None:
        await finish(*arguments)
        if where == "asked":
            die()

    async def written(*arguments: Any) -> None:
        await put(*arguments)
        if where == "written":
            die()

    async def ran(*arguments: Any) -> None:
        await run(*arguments)
        if where == "committed":
            die()

    CheckEffects.finish = finished  # type: ignore[method-assign, assignment]
    update_writing.put_value = written  # type: ignore[assignment]
    checks.run = ran  # type: ignore[method-assign, assignment]
    await UpdateLooks(CheckSweep(database), checks).once()
    # One that has nothing left to do ends as roughly as the others.
    os._exit(0)


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                asyncio.run(work(*line.split()))
            except BaseException:  # noqa: BLE001  # whatever it was, this process must not go on as its parent
                traceback.print_exc()
            os._exit(1)
        _, status = os.waitpid(child, 0)
        print("done" if status == 0 else "died" if os.WIFSIGNALED(status) else "broken", flush=True)


if __name__ == "__main__":
    main()
