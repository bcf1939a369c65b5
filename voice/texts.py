"""What is said to bridge a silence, in the product's languages."""

from __future__ import annotations

from enum import StrEnum


class Bridge(StrEnum):
    """The rungs of a wait, in order."""

    FILLER = "filler"
    ONE_MOMENT = "one_moment"
    SORRY = "sorry"
    GIVE_UP = "give_up"


AFTER_SECONDS = {Bridge.FILLER: 0.7, Bridge.ONE_MOMENT: 4.0, Bridge.SORRY: 10.0, Bridge.GIVE_UP: 20.0}
"""Of silence while a turn runs."""

TEXTS = {
    Bridge.FILLER: {"en": "One second.", "ru": "Секунду.", "uk": "Секунду."},
    Bridge.ONE_MOMENT: {
        "en": "One moment, please.",
        "ru": "Один момент, пожалуйста.",
        "uk": "Хвилинку, будь ласка.",
    },
    Bridge.SORRY: {
        "en": "Sorry, this takes longer than usual. I am still here.",
        "ru": "Извините, это занимает больше времени, чем обычно. Я на связи.",
        "uk": "Вибачте, це триває довше, ніж зазвичай. Я на зв'язку.",
    },
    Bridge.GIVE_UP: {
        "en": "I am sorry, I cannot answer right now. Please call again later.",
        "ru": "Извините, сейчас я не могу ответить. Перезвоните, пожалуйста, позже.",
        "uk": "Вибачте, зараз я не можу відповісти. Зателефонуйте, будь ласка, пізніше.",
    },
}


RECORDED = {
    "en": "This call is recorded.",
    "ru": "Разговор записывается.",
    "uk": "Розмова записується.",
}


def recording_notice(language: str) -> str:
    """In that language, else in English."""
    return RECORDED.get(language.partition("-")[0].lower(), RECORDED["en"])


def text_of(bridge: Bridge, language: str) -> str:
    """In that language, else in English."""
    texts = TEXTS[bridge]
    return texts.get(language.partition("-")[0].lower(), texts["en"])
