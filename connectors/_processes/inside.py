"""The inside of a helper process: reads jobs, does one after the other, hears of cancellations meanwhile."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from connectors._processes.wire import Message, pack, read


class Misfit(Exception):
    """The job cannot be done as it is; the text is one of our own sentences."""


@dataclass
class Job:
    """One piece of work: what was asked, its audio as it comes, and whether anybody still wants it."""

    id: int
    asked: dict[str, Any]
    frames: queue.Queue[bytes | None] = field(default_factory=queue.Queue)
    is_cancelled: bool = False

    def audio(self) -> Iterator[bytes]:
        """Pieces of audio until the asker has finished or gone."""
        while not self.is_cancelled and (piece := self.frames.get()) is not None:
            yield piece


Answer = Callable[[dict[str, Any], bytes], None]
Work = Callable[[Job, Answer], None]


def serve(load: Callable[[dict[str, Any]], Work]) -> None:
    """Serve standard input until it ends. The first message is handed to `load`, which makes the worker.

    Standard output belongs to the wire: what a library prints goes to standard error.
    """
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    jobs: dict[int, Job] = {}
    waiting: queue.Queue[Job | None] = queue.Queue()
    first = read(sys.stdin.buffer)
    if first is None:
        return
    threading.Thread(target=_receive, args=(jobs, waiting), daemon=True).start()
    try:
        work = load(first[0])
    except Misfit as error:
        out.write(pack({"failed": str(error)}))
        return
    out.write(pack({"ready": True}))
    while (job := waiting.get()) is not None:

        def answer(head: dict[str, Any], body: bytes = b"", *, to: int = job.id) -> None:
            out.write(pack({"id": to, **head}, body))

        end: dict[str, Any] = {"end": True}
        try:
            if not job.is_cancelled:
                work(job, answer)
        except Misfit as error:
            end |= {"misfit": str(error)}
        except Exception as error:  # noqa: BLE001  # a job must not end the process of all others
            end |= {"error": type(error).__name__}
            print(f"helper: {type(error).__name__}: {error}", file=sys.stderr)
        jobs.pop(job.id, None)
        answer(end)


def _receive(jobs: dict[int, Job], waiting: queue.Queue[Job | None]) -> None:
    while (message := read(sys.stdin.buffer)) is not None:
        _take(message, jobs, waiting)
    for job in list(jobs.values()):
        job.is_cancelled = True
        job.frames.put(None)
    waiting.put(None)


def _take(message: Message, jobs: dict[int, Job], waiting: queue.Queue[Job | None]) -> None:
    head, body = message
    if head["do"] == "job":
        job = jobs[head["id"]] = Job(head["id"], head)
        waiting.put(job)
        return
    found = jobs.get(head["id"])
    if found is None:
        return
    if head["do"] == "audio":
        found.frames.put(body)
    elif head["do"] == "finish":
        found.frames.put(None)
    elif head["do"] == "cancel":
        found.is_cancelled = True
        found.frames.put(None)
