"""State of what could not be delivered: trying it again, one or all alike, and discarding it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder_ui.rows import moment
from builder_ui.session import Session, handler, services

if TYPE_CHECKING:
    from graph_runtime.services.dead_letters import DeadLetter
    from graph_runtime.services.principal import Principal

SHOWN = 100


@dataclass(frozen=True)
class LetterItem:
    """A row of the list. `alike`: how many open letters share its source, reason and channel."""

    id: str
    source: str
    reason: str
    error: str
    text: str
    contact: str
    agent: str
    channel: str
    channel_kind: str
    attempts: int
    alike: int
    last_at: str
    conversation_path: str
    can_replay: bool


def letter_item(letter: DeadLetter, alike: int, error: str) -> LetterItem:
    """From the service's row; `error`: in the page's language."""
    return LetterItem(
        id=letter.id,
        source=letter.source,
        reason=letter.reason,
        error=error,
        text=letter.text,
        contact=letter.contact,
        agent=letter.agent,
        channel=letter.channel_label,
        channel_kind=letter.channel_kind,
        attempts=letter.attempts,
        alike=alike,
        last_at=moment(letter.last_at),
        conversation_path=f"/conversations?id={letter.conversation_id}",
        can_replay=letter.can_replay,
    )


class Letters(Session):
    """The list, newest first."""

    letters: list[LetterItem] = []
    is_loaded: bool = False
    doomed_id: str = ""

    async def _refresh(self, who: Principal) -> None:
        counts = {(g.source, g.reason, g.channel_id): g.letters for g in await services().dead_letters.groups(who)}
        found = await services().dead_letters.list(who, limit=SHOWN)
        in_language, language = services().catalog.in_language, self.me.language or "en"
        self.letters = [
            letter_item(x, counts.get((x.source, x.reason, x.channel_id), 1), in_language(x.error, language))
            for x in found
        ]
        self.is_loaded = True

    @handler
    async def load(self, who: Principal) -> None:
        """The page was opened."""
        self.doomed_id = ""
        await self._refresh(who)

    @handler
    async def replay(self, who: Principal, letter_id: str) -> None:
        """Try one once more."""
        await services().dead_letters.replay(who, letter_id)
        self._tell("letters.replayed", n=1)
        await self._refresh(who)

    @handler
    async def replay_alike(self, who: Principal, letter_id: str) -> None:
        """Try all that failed in the same way once more."""
        self._tell("letters.replayed", n=await services().dead_letters.replay_alike(who, letter_id))
        await self._refresh(who)

    @handler
    async def ask_discard(self, who: Principal, letter_id: str) -> None:
        """Ask before discarding."""
        self.doomed_id = letter_id

    @handler
    async def keep(self, who: Principal, is_open: bool) -> None:
        """Close the question without discarding."""
        if not is_open:
            self.doomed_id = ""

    @handler
    async def discard(self, who: Principal) -> None:
        """Discard the one that was asked about."""
        doomed, self.doomed_id = self.doomed_id, ""
        if doomed:
            await services().dead_letters.discard(who, doomed)
            self._tell("letters.discarded")
            await self._refresh(who)
