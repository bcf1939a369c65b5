"""Waiting for the next piece of a stream no longer than allowed, and always closing the stream."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from connectors._speech.errors import CUT, SLOW, TOO_LONG
from graph_runtime.contract.errors import BadAnswer, Refused, Unreachable
from graph_runtime.contract.speech import LONGEST_TEXT, Audio, SpeakRequest


async def audio_within(request: SpeakRequest, source: AsyncGenerator[Audio, None]) -> AsyncIterator[Audio]:
    """The pieces of `source` within the request's limits: whole samples, none empty, one rate.

    Raises: what `source` raises; Unreachable when nothing came in time, BadAnswer when it went silent or was cut
    """
    if len(request.text) > LONGEST_TEXT:
        raise Refused(TOO_LONG)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + request.seconds
    odd, rate = b"", 0
    async with contextlib.aclosing(source):
        while True:
            limit = asyncio.timeout_at(min(deadline, loop.time() + request.first_seconds))
            try:
                async with limit:
                    piece = await anext(source, None)
            except TimeoutError:
                if not limit.expired():
                    raise
                raise (BadAnswer(CUT) if rate else Unreachable(SLOW)) from None
            if piece is None:
                break
            pcm = odd + piece.pcm
            whole = len(pcm) // 2 * 2
            pcm, odd = pcm[:whole], pcm[whole:]
            if pcm:
                rate = rate or piece.rate
                yield Audio(pcm, rate)
    if odd:
        raise BadAnswer(CUT)


def half_sample(pcm: bytes) -> None:
    """Raises: ValueError for half a sample."""
    if len(pcm) % 2:
        raise ValueError("audio is 16-bit: a frame has an even number of bytes")
