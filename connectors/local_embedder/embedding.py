"""The embedder: one helper process with the model, in which a question never waits for more than a few passages."""

from __future__ import annotations

import array
import asyncio
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from connectors._processes.child_process import Helper, Manner
from connectors.local_embedder.model_folder import NotUsable, Prefixes, read
from connectors.local_embedder.texts import CRASHED, DAMAGED, SLOW
from connectors.local_embedder.unrelated import is_cyrillic
from graph_runtime.contract.errors import BadAnswer, Refused, Unreachable

MOST_CHARACTERS: Final = 24_000
"""Of one text; what comes after is left out."""
SECONDS: Final = 240.0
"""For everything that one call brings; a base that is filled has time, a question has less by itself."""
AT_ONCE: Final = 16
_TEXTS: Final = 4
_CHARACTERS: Final = 6000
"""Of passages that are worked on together: a question waits for no more."""


class LocalEmbedder:
    """`aclose` ends the process; the next text starts it again."""

    at_once = AT_ONCE

    def __init__(self, folder: str, model: str, prefixes: Prefixes, cores: int) -> None:
        """Raises: Refused when the folder holds no such model."""
        try:
            about = read(folder, model, prefixes)
        except NotUsable as error:
            raise Refused(str(error)) from None
        self._unrelated = (0.0, 0.0)
        self.name = f"local_embedder/{about.name}@{about.fingerprint}"
        setup = {
            "folder": folder, "model": model, "prefixes": prefixes, "cores": cores, "fingerprint": about.fingerprint,
        }  # fmt: skip
        manner = Manner(crashed=CRASHED, slow=SLOW, cancel_seconds=SECONDS)
        self._helper = Helper("connectors.local_embedder.embed_process", setup, manner)
        self._passages = asyncio.Lock()

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> list[list[float]]:
        """As the contract says; passages in small parts, so that a question comes between them."""
        if not texts:
            return []
        cut = [text[:MOST_CHARACTERS] for text in texts]
        try:
            async with asyncio.timeout(SECONDS):
                if is_query:
                    return await self._ask(cut, is_query=True)
                return await self._embed_passages(cut)
        except TimeoutError:
            raise Unreachable(SLOW) from None

    async def _embed_passages(self, texts: Sequence[str]) -> list[list[float]]:
        vectors: dict[int, list[float]] = {}
        for part in _parts(texts):
            async with self._passages:
                made = await self._ask([texts[n] for n in part], is_query=False)
            vectors.update(zip(part, made, strict=True))
        return [vectors[n] for n in range(len(texts))]

    async def _ask(self, texts: Sequence[str], *, is_query: bool) -> list[list[float]]:
        job = await self._helper.begin({"texts": [*texts], "is_query": is_query})
        found: list[list[float]] = []
        try:
            async for head, body in job.results():
                found = _vectors(head, body)
                self._unrelated = (head["unrelated"][0], head["unrelated"][1])
        finally:
            job.cancel()
        if len(found) != len(texts):
            raise BadAnswer(CRASHED)
        return found

    def unrelated(self, query: str) -> float:
        """As the contract says; measured when the model was loaded."""
        return self._unrelated[is_cyrillic(query)]

    async def aclose(self) -> None:
        """End the process."""
        await self._helper.aclose()


def _parts(texts: Sequence[str]) -> Iterator[list[int]]:
    """Places of texts to be worked on together: alike in length, because the longest decides what each costs."""
    part: list[int] = []
    size = 0
    for place in sorted(range(len(texts)), key=lambda n: len(texts[n])):
        if part and (len(part) == _TEXTS or size + len(texts[place]) > _CHARACTERS):
            yield part
            part, size = [], 0
        part.append(place)
        size += len(texts[place])
    if part:
        yield part


def _vectors(head: dict[str, Any], body: bytes) -> list[list[float]]:
    """Raises: Refused when the model gives what is no number."""
    numbers = array.array("f")
    numbers.frombytes(body)
    if sys.byteorder == "big":
        numbers.byteswap()
    dims = head["dims"]
    if not dims or len(numbers) % dims or not all(map(math.isfinite, numbers)):
        raise Refused(DAMAGED)
    return [numbers[at : at + dims].tolist() for at in range(0, len(numbers), dims)]
