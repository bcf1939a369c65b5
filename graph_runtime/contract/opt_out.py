"""Words by which people opt out of messages and come back, and what they are answered; in three languages."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

Wish = Literal["", "stop", "start"]

STOP_WORDS: Final = (
    "stop", "stop all", "stopall", "unsubscribe", "opt out", "optout", "стоп", "отписаться", "отпишись", "отпишите",
    "отписка", "отписать", "відписатися", "відписатись", "відпишіть", "відписка",
)  # fmt: skip
START_WORDS: Final = (
    "start", "unstop", "subscribe", "старт", "подписаться", "подписка", "підписатися", "підписатись", "підписка",
)  # fmt: skip
STOPPED: Final = {
    "en": "Understood: we will not write to you any more. To come back, write START.",
    "ru": "Поняли: больше мы вам не пишем. Чтобы вернуться, напишите СТАРТ.",
    "uk": "Зрозуміли: більше ми вам не пишемо. Щоб повернутися, напишіть СТАРТ.",
}
CAME_BACK: Final = {
    "en": "You are back: you will get our messages again. To stop them, write STOP.",
    "ru": "Вы снова с нами: наши сообщения будут приходить. Чтобы отказаться, напишите СТОП.",
    "uk": "Ви знову з нами: наші повідомлення надходитимуть. Щоб відмовитися, напишіть СТОП.",
}
_EDGES = re.compile(r"^[\W_]+|[\W_]+$")
_GAPS = re.compile(r"[\W_]+")


def wish_of(
    text: str,
    *,
    has_opted_out: bool,
    stop_words: tuple[str, ...] = STOP_WORDS,
    start_words: tuple[str, ...] = START_WORDS,
) -> Wish:
    """What a message asks for. Only a line that is nothing but such a word counts: "stop by tomorrow" is talk.

    `start_words` mean something only to somebody who has opted out. The newest line wins: messages in a row are one.
    """
    stops, starts = _known(stop_words), _known(start_words)
    for line in reversed(text[-2000:].splitlines()):
        plain = _plain(line)
        if plain in stops:
            return "stop"
        if has_opted_out and plain in starts and not line.strip().startswith("/"):
            return "start"
    return ""


@lru_cache(maxsize=256)
def _known(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(_plain(w) for w in words) - {""}


def _plain(text: str) -> str:
    return _GAPS.sub(" ", _EDGES.sub("", text)).casefold().strip()
