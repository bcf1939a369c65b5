"""Workers that run triggers, to be killed anywhere. Each is forked off this process, which has loaded everything already.

Reads lines from its input: database address, moment (ISO), where to die ("tick": after the occasions of a time were made and
before their commit; "acts": after an action and before its commit; "commit": right after a commit, before the turn is
begun), how many times to live through that first. Answers each with "died", or "done" when nothing is left to do.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from datetime import datetime
from typing import Any

from pydantic import SecretStr

from graph_runtime.bootstrap import Services, build
from graph_runtime.contract.catalog import Catalog, load_catalog
from graph_runtime.settings import Settings
from graph_runtime.storage import triggers as rows
from graph_runtime.storage.trigger_runs import TriggerSweep
from graph_runtime.worker.triggers import TriggerTimers


def mine(services: Services, where: str, times: int) -> None:
    """Let this process die as the operating system would do it: nothing is finished, nothing is handed over."""
    left = [times]

    def count(here: str) -> None:
        if here == where:
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    side = services.conversation_side
    do, begin, set_tick = side.trigger_acts.do, side.starts.begin, rows.set_tick

    async def acts(*arguments: Any) -> Any:
        done = await do(*arguments)
        count("acts")
        return done

    def begun(*arguments: Any) -> None:
        count("commit")
        begin(*arguments)

    async def ticked(*arguments: Any) -> None:
        await set_tick(*arguments)
        count("tick")

    side.trigger_acts.do = acts  # type: ignore[method-assign, assignment]
    side.starts.begin = begun  # type: ignore[method-assign, assignment]
    rows.set_tick = ticked  # type: ignore[assignment]


async def work(catalog: Catalog, url: str, moment: str, where: str, times: str) -> None:
    settings = Settings(database_url=SecretStr(url), secret_key=SecretStr("for tests only, " * 3))
    services = await build(settings, catalog=catalog)
    mine(services, where, int(times))
    now = datetime.fromisoformat(moment)
    timers = TriggerTimers(
        TriggerSweep(services.database), services.trigger_runner, services.database.listen, lambda: now
    )  # fmt: skip
    while await timers.once():
        pass
    # One that has nothing left to do ends as roughly as the others.
    os._exit(0)


def main() -> None:
    catalog = load_catalog(("nodes", "connectors"))
    for line in sys.stdin:
        child = os.fork()
        if not child:
            try:
                asyncio.run(work(catalog, *line.split()))
            except BaseException:  # noqa: BLE001  # whatever it was, this process must not go on as its parent
                traceback.print_exc()
            os._exit(1)
        _, status = os.waitpid(child, 0)
        print("done" if status == 0 else "died" if os.WIFSIGNALED(status) else "broken", flush=True)


if __name__ == "__main__":
    main()
