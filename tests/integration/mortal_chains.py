"""Workers that run chains, to be killed anywhere. Each is forked off this process, which has loaded everything already.

Reads lines from its input: database address, moment (ISO), where to die ("acts": after a step acted and before its commit;
"commit": right after a commit; "sending": as soon as a message is being sent), how many steps to do before. Answers each
with "died", or "done" when the worker found nothing left to do.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from datetime import datetime
from typing import Any

from tests.chain_world import ChainProcess, chaining


def die() -> None:
    """As the operating system would do it: nothing is finished, nothing is handed over."""
    os.kill(os.getpid(), signal.SIGKILL)


def mine(side: ChainProcess, where: str, steps: int) -> None:
    """Let this process die once it has done so many steps."""
    left = [steps]

    def count(here: str) -> None:
        if here == where:
            left[0] -= 1
            if left[0] < 0:
                die()

    acts, tell = side.acts.do, side.acts.tell

    async def do(*arguments: Any) -> Any:
        done = await acts(*arguments)
        count("acts")
        return done

    def after(*arguments: Any) -> None:
        tell(*arguments)
        count("commit")

    deliver = side.deliveries.deliver

    async def send(ticket: Any) -> None:
        count("sending")
        await deliver(ticket)

    side.acts.do = do  # type: ignore[method-assign, assignment]
    side.acts.tell = after  # type: ignore[method-assign, assignment]
    side.deliveries.deliver = send  # type: ignore[method-assign]


async def work(url: str, moment: str, where: str, steps: str) -> None:
    async with chaining(url, datetime.fromisoformat(moment), is_started=False) as side:
        mine(side, where, int(steps))
        side.start_sending()
        await side.run_due()
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
