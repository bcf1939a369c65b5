"""Our LangGraph saver: the newest checkpoint of one run, in memory, and its strict, small byte form."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import ormsgpack
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)

MAX_STATE_BYTES = 2_000_000
_COMPRESS_ABOVE = 700
_BRANCH = "branch:to:"
PLACE = "@"
"""In the channel's value: the node that begins the next turn."""
_FORMAT = 1
_FIRST_ID = "0" * 32  # LangGraph reads checkpoint ids as hexadecimal


class StateTooLarge(ValueError):
    """The conversation's values together exceed what is kept for one conversation."""


def encode(waiting: str, data: dict[str, Any]) -> bytes:
    """Where the conversation waits and its values, as MessagePack. Raises: StateTooLarge."""
    try:
        packed = ormsgpack.packb([_FORMAT, waiting, data])
    except (TypeError, ormsgpack.MsgpackEncodeError):
        packed = ormsgpack.packb([_FORMAT, waiting, json_values(data)])
    if len(packed) > MAX_STATE_BYTES:
        raise StateTooLarge
    return b"z" + zlib.compress(packed, 1) if len(packed) > _COMPRESS_ABOVE else b"m" + packed


def decode(state: bytes) -> tuple[str, dict[str, Any]]:
    """The opposite of `encode`. Plain JSON values only: no extension types, so no class can be made from it.

    Raises: ValueError when the bytes are not ours.
    """
    body = state[1:]
    if state[:1] == b"z":
        unpacker = zlib.decompressobj()
        body = unpacker.decompress(body, MAX_STATE_BYTES + 1)
        if unpacker.unconsumed_tail:
            raise ValueError("the stored state is too large")
    elif state[:1] != b"m":
        raise ValueError("the stored state is not readable")
    version, waiting, data = ormsgpack.unpackb(body)
    if version != _FORMAT or not isinstance(waiting, str) or not isinstance(data, dict):
        raise ValueError("the stored state is not readable")
    return waiting, data


def json_values(value: Any) -> Any:
    """A copy with JSON types only; lone surrogates become U+FFFD, what is no JSON value becomes its text."""
    if isinstance(value, str):
        return clean(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {clean(str(k)): json_values(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_values(v) for v in value]
    return clean(str(value))


def clean(text: str) -> str:
    """The text without lone surrogates and NUL, which neither MessagePack nor PostgreSQL takes."""
    if text.isascii():
        return text.replace("\x00", "\ufffd") if "\x00" in text else text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\x00", "\ufffd")


class TurnSaver(BaseCheckpointSaver[int]):
    """Holds the newest checkpoint of the runs in progress, keyed by LangGraph's thread id. Nothing is written out.

    Only the state and the place of waiting matter between turns, so that is all that is kept: LangGraph's own
    bookkeeping (versions, writes, metadata) is rebuilt by `load`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._runs: dict[str, CheckpointTuple] = {}

    def load(self, thread_id: str, waiting: str, data: dict[str, Any]) -> None:
        """Put a conversation back where it waits: the checkpoint of a graph that is about to run that node."""
        branch = _BRANCH + waiting
        checkpoint = Checkpoint(
            v=4,
            id=_FIRST_ID,
            ts="",
            channel_values={"data": data, branch: None},
            channel_versions={"data": 1, branch: 1},
            versions_seen={},
            updated_channels=[branch],
        )
        self._runs[thread_id] = CheckpointTuple(_config(thread_id, _FIRST_ID), checkpoint, {"step": 0}, None, [])

    def take(self, thread_id: str) -> dict[str, Any]:
        """The channel's value, with the place of waiting unless the conversation is over; forgets the run."""
        return self._runs.pop(thread_id).checkpoint["channel_values"].get("data") or {}

    def drop(self, thread_id: str) -> None:
        """Forget a run, if it is still here."""
        self._runs.pop(thread_id, None)

    def get_next_version(self, current: int | None, channel: None) -> int:  # LangGraph's signature
        return 1 if current is None else current + 1

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        place = config["configurable"]
        saved = self._runs.get(place["thread_id"])
        wanted = place.get("checkpoint_id")
        if saved is None or place.get("checkpoint_ns") or (wanted and wanted != saved.checkpoint["id"]):
            return None
        return saved

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,  # LangGraph's signature
    ) -> RunnableConfig:
        thread_id = config["configurable"]["thread_id"]
        saved = _config(thread_id, checkpoint["id"])
        self._runs[thread_id] = CheckpointTuple(saved, checkpoint, metadata, None, [])
        return saved

    @staticmethod
    async def aput_writes(
        config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Pending writes do not exist: a turn is one run of the graph, stored when it ends."""

    async def adelete_thread(self, thread_id: str) -> None:
        self.drop(thread_id)

    async def alist(  # LangGraph's signature
        self, config: RunnableConfig | None, **_: Any
    ) -> AsyncIterator[CheckpointTuple]:
        """No earlier checkpoints exist."""
        nothing: tuple[CheckpointTuple, ...] = ()
        for saved in nothing:
            yield saved


# LangGraph asks for it at the beginning of every run; working it out anew takes some 25 µs each time, and for a bound
# method nearly as much even when it is known.
TurnSaver.aput_writes.__signature__ = inspect.signature(TurnSaver.aput_writes)  # type: ignore[attr-defined]  # functions have it


def _config(thread_id: str, checkpoint_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", "checkpoint_id": checkpoint_id}}
