"""Who talks about what: conversations with their channel and their messages, drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from tests.faults.flows import ordinals

MIX: dict[str, float] = {
    "api": 0.2, "api_burst": 0.1, "api_async": 0.1, "chat": 0.25,
    "webhook": 0.1, "hook_burst": 0.05, "hook_once": 0.05, "blind": 0.08, "reconcile": 0.07,
}  # fmt: skip
"""Channel → share. api: waits for its answer; api_burst: copies of every message, one of them with other words;
api_async: takes the 202 and never repeats it; chat: the visitor's socket; webhook, hook_burst, hook_once: the same over
signed webhooks; blind, reconcile: webhooks whose receivers fold nothing."""
HOOKS = {
    "webhook": "webhook", "hook_burst": "webhook", "hook_once": "webhook",
    "blind": "fake_blind", "reconcile": "fake_reconcile",
}  # fmt: skip
"""Channels that push → the connector behind them, which is also the name of the receiver's lane."""


@dataclass(frozen=True)
class Turn:
    """One message: "NAME tNUMBER FLAGS"."""

    number: int
    flags: str = ""

    @property
    def expected(self) -> frozenset[int]:
        """The ordinals that answer it."""
        return frozenset(ordinals(self.flags))

    def words(self, name: str) -> str:
        """What the contact writes."""
        return f"{name} t{self.number} {self.flags}".rstrip()


@dataclass(frozen=True)
class Conversation:
    """One contact's side of it. `pause`: seconds between turns; `rapid`: messages are sent without waiting for answers;
    `copies`: how often the channels that send copies send each message, besides once with other words.
    `home`: the web process that a visitor's page prefers, counted from 0; None: any."""

    name: str
    channel: str
    turns: tuple[Turn, ...]
    pause: float = 0.0
    rapid: bool = False
    copies: int = 3
    home: int | None = None


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a run's conversations are like. `flags`: flag → share of messages; `bye`: share that ends by the flow."""

    conversations: int
    turns: int = 3
    mix: dict[str, float] = field(default_factory=lambda: dict(MIX))
    flags: dict[str, float] = field(default_factory=lambda: {"model": 0.25, "timer": 0.1})
    bye: float = 0.3
    pause: float = 0.3
    rapid: bool = False
    copies: int = 3
    prefix: str = "c"


def draw(shape: Shape, chance: random.Random) -> list[Conversation]:
    """The conversations of a run."""
    found = []
    for n in range(shape.conversations):
        (channel,) = chance.choices([*shape.mix], [*shape.mix.values()])
        turns = [Turn(i, _flag(shape, chance)) for i in range(1, shape.turns + 1)]
        if chance.random() < shape.bye:
            turns[-1] = Turn(shape.turns, "bye")
        pause = chance.uniform(0, 2 * shape.pause)
        found.append(Conversation(f"{shape.prefix}{n}", channel, tuple(turns), pause, shape.rapid, shape.copies))
    return found


def _flag(shape: Shape, chance: random.Random) -> str:
    drawn = chance.random()
    for flag, share in shape.flags.items():
        drawn -= share
        if drawn < 0:
            return flag
    return ""
