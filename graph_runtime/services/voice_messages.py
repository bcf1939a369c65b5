"""Voice messages in a chat: heard with the speech that was chosen for calls, and from there on text like any other."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, Protocol

import structlog

from graph_runtime.contract.calls import PHONE
from graph_runtime.contract.errors import BuilderError
from graph_runtime.contract.speech import ListenRequest, Transcriber
from graph_runtime.places import without_secrets
from graph_runtime.storage import files as rows
from graph_runtime.storage.database import Database, Row
from graph_runtime.storage.turns import LeasedTurn

log = structlog.get_logger(__name__)
RATE: Final = 16_000
LONGEST_SECONDS: Final = 300
"""What is longer is heard so far."""
PIECE_SECONDS: Final = 50
"""A listening gives up when it is a minute behind; so much is fed at once."""
QUIET_SECONDS: Final = 10
"""In the last so many seconds of a piece the quietest moment is looked for, where nobody is in the middle of a word."""
FETCH_SECONDS: Final = 20.0
HEARING_SECONDS: Final = 60.0
AT_ONCE: Final = 2
_CONTAINERS: Final = {
    "audio/ogg": "ogg", "audio/mpeg": "mp3", "audio/wav": "wav", "audio/mp4": "mp4", "video/mp4": "mp4",
    "video/webm": "matroska",
}  # fmt: skip
"""By what the bytes say; browsers and phones record sound alone as these kinds of video, too."""


class Speech(Protocol):
    """`services.bound_speech.BoundSpeech`."""

    async def chosen_transcriber(self, workspace_id: str, agent_id: str) -> Transcriber | None:
        """What somebody has chosen; None when nobody has."""


class VoiceMessages:
    """One for a process. What was heard is stored with the file: a turn that is repeated does not pay again."""

    def __init__(self, database: Database, speech: Speech, told: Callable[[str, str], None]) -> None:
        """`told`: (workspace, conversation) looks different now."""
        self._database = database
        self._speech = speech
        self._told = told
        self._places = asyncio.Semaphore(AT_ONCE)

    async def heard(self, place: tuple[str, str], turn: LeasedTurn) -> LeasedTurn:
        """The turn with the words of its voice messages in its text. What cannot be heard stays a file without words."""
        reply = turn.payload.get("reply") or {}
        sounds = {
            str(a["file_id"]): str(a["mime"]) for a in reply.get("attachments") or () if _may_speak(str(a["mime"]))
        }
        if not sounds or turn.channel_kind == PHONE:
            return turn
        transcriber: Transcriber | None = None
        with contextlib.suppress(BuilderError):  # a connection that cannot be used is shown where it was chosen
            transcriber = await self._speech.chosen_transcriber(place[0], str(turn.agent_id))
        if transcriber is None:
            return turn
        texts = [str(reply.get("text") or "")]
        for file_id, mime in sounds.items():
            patience = FETCH_SECONDS if mime.startswith("audio/") else 0.0  # a film is not waited for
            try:
                row = await self._row(place, file_id, patience)
                if row is not None:
                    texts.append(await self._text(place, (file_id, row), transcriber, turn.language))
            except (BuilderError, TimeoutError) as error:
                log.warning("voice_message_not_heard", error=getattr(error, "code", "too_slow"))
        text = "\n".join(filter(None, texts))
        return replace(turn, payload=turn.payload | {"reply": reply | {"text": text}})

    async def _text(
        self, place: tuple[str, str], file: tuple[str, Row], transcriber: Transcriber, language: str
    ) -> str:
        """Raises: BuilderError, TimeoutError."""
        file_id, row = file
        if row["transcript"] is not None:
            return str(row["transcript"])
        content = await self._database.files.read(row) or b""
        async with self._places:
            pcm = await decoded(content, str(row["mime"]))
            text = await _listen(transcriber, pcm, language) if pcm else ""
        async with self._database.workspace(place[0]) as connection:
            await rows.set_transcript(connection, place[1], file_id, text)
        self._told(*place)
        return text

    async def _row(self, place: tuple[str, str], file_id: str, patience: float) -> Row | None:
        """The file, once its vendor has sent it; None when that failed or takes too long."""
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + patience, 0.1
        while True:
            async with self._database.workspace(place[0]) as connection:
                row, is_coming = await rows.sound(connection, place[1], file_id)
            if row is not None or not is_coming or loop.time() > until:
                return row
            await asyncio.sleep(pause)
            pause = min(2 * pause, 1.0)


def _may_speak(mime: str) -> bool:
    """By what its sender says it is; what it is, its bytes say later."""
    return mime.startswith("audio/") or mime in _CONTAINERS


async def decoded(content: bytes, mime: str) -> bytes:
    """Samples at RATE, at most LONGEST_SECONDS; empty for what is no sound. Raises: TimeoutError."""
    container = _CONTAINERS.get(mime)
    if container is None:
        return b""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "graph_runtime.services.sound_decoder", container, str(RATE), str(LONGEST_SECONDS),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        env=without_secrets(),
    )  # fmt: skip
    try:
        async with asyncio.timeout(HEARING_SECONDS):
            pcm, _ = await process.communicate(content)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return pcm if process.returncode == 0 else b""


async def _listen(transcriber: Transcriber, pcm: bytes, language: str) -> str:
    """Raises: BuilderError, TimeoutError."""
    said: list[str] = []
    for piece in await asyncio.to_thread(lambda: [*pieces(pcm)]):
        listening = transcriber.listen(ListenRequest(RATE, language, seconds=HEARING_SECONDS))
        try:
            listening.feed(piece)
            listening.finish()
            async with asyncio.timeout(2 * HEARING_SECONDS):
                said += [t.text.strip() async for t in listening.transcripts() if t.is_final]
        finally:
            await listening.aclose()
    return " ".join(filter(None, said))


def pieces(pcm: bytes) -> Iterator[bytes]:
    """Parts of at most PIECE_SECONDS, cut where it is quietest."""
    step = RATE // 50 * 2
    while len(pcm) > PIECE_SECONDS * RATE * 2:
        starts = range((PIECE_SECONDS - QUIET_SECONDS) * RATE * 2, PIECE_SECONDS * RATE * 2, step)
        cut = min(starts, key=lambda at: sum(map(abs, array("h", pcm[at : at + step])))) + step // 2
        yield pcm[:cut]
        pcm = pcm[cut:]
    if pcm:
        yield pcm
