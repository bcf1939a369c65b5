"""Words of English, Russian and Ukrainian text, cut to their stems, so that forms of one word are the same word."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WORD = re.compile(r"[^\W_]+(?:[’'ʼ-][^\W_]+)*")
_UKRAINIAN = frozenset("іїєґІЇЄҐ")
_RUSSIAN = frozenset("ыэъёЫЭЪЁ")
_CYRILLIC = re.compile(r"[а-яіїєґё]", re.IGNORECASE)
_LATIN = re.compile(r"[a-z]", re.IGNORECASE)

# Longest first. Endings of nouns, adjectives and verbs; crude on purpose: a stem only has to meet itself again.
_ENDINGS = """
    ами ями ого его ому ему ыми ими ими ість ости остью істю ення ання ение ание ению ованн ться тися тись тся
    ешь ете ите ишь ем им ут ют ат ят ить ать ять еть уть ити ати яти іти ути ал ял ил ел ло ла ли ло ила али или
    ый ий ой ая яя ое ее ые ие ую юю ій а я о е ы и й у ю ь і ї є ов ев ів ей ою ею ам ям ах ях ом ем єм
    ує ует уют уйте йте те ся сь
"""
_CYRILLIC_ENDINGS = sorted(_ENDINGS.split(), key=len, reverse=True)
_ENGLISH_ENDINGS = ("ations", "ation", "ments", "ment", "ings", "ing", "ness", "ies", "ied", "ers", "er", "edly", "ed",
                    "ly", "es", "s", "e", "y")  # fmt: skip

_UNIMPORTANT = """
    a an the and or but if is are was were be been am do does did to of in on at for from by with as it its this
    that these those i me my we us our you your he she they them what which who how when where why can could will
    would should shall may might have has had not no so than then there here about into please tell want need get
    и в во на с со к ко о об у по за из от до для при не ни но а же ли бы то это этот эта эти как что кто где когда
    почему зачем какой какая какие какое я мы ты вы он она они мне меня мой моя мои нам нас вам вас ваш ваша ваши его
    ее их есть быть был была было будет можно хочу хотел хотела нужно надо скажите подскажите пожалуйста ещё уже
    і й та у в на з із зі до від для при не ні але ж чи б би це цей ця ці як що хто де коли чому який яка які яке
    ми ти ви він вона вони мені мене мій моя мої нам нас вам вас ваш ваша ваші його її їх є бути був була було буде
    можна хочу хотів хотіла треба потрібно скажіть підкажіть будь ласка ще вже про
"""
_STOP = frozenset(_UNIMPORTANT.split())


def words(text: str) -> list[str]:
    """The words of a text, lower case, in order."""
    return [w.lower().replace("ё", "е") for w in _WORD.findall(text)]


def stem(word: str) -> str:
    """What is left of a word without its ending; at least three letters."""
    if _CYRILLIC.search(word):
        for _ in range(2):  # "настройками" sheds one ending, "оплачивается" two
            for ending in _CYRILLIC_ENDINGS:
                if word.endswith(ending) and len(word) - len(ending) >= 3:
                    word = word[: -len(ending)]
                    break
            else:
                break
        return word
    for ending in _ENGLISH_ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def stems(text: str) -> list[str]:
    """Stems of the words that carry meaning."""
    return [stem(w) for w in words(text) if w not in _STOP and (len(w) > 1 or w.isdigit())]


def alike(one: str, other: str) -> float:
    """How much two stems are the same word: 1 the same, 0.8 one begins like the other, 0.6 one slip of the finger."""
    if one == other:
        return 1.0
    short, long = sorted((one, other), key=len)
    if len(short) >= 4 and long.startswith(short) and len(long) - len(short) <= 4:
        return 0.8
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(short))
    if same >= 5 and len(long) - same <= 3:
        return 0.7
    if len(short) >= 5 and len(long) - len(short) <= 1 and _one_slip(one, other):
        return 0.6
    return 0.0


def _one_slip(one: str, other: str) -> bool:
    if len(one) == len(other):
        wrong = [n for n, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        swapped = len(wrong) == 2 and wrong[1] == wrong[0] + 1
        return len(wrong) == 1 or (swapped and one[wrong[0]] == other[wrong[1]] and one[wrong[1]] == other[wrong[0]])
    short, long = sorted((one, other), key=len)
    return any(long[:n] + long[n + 1 :] == short for n in range(len(long)))


def overlap(asked: Iterable[str], offered: Iterable[str], weight: dict[str, float] | None = None) -> float:
    """Share (0 to 1) of what was asked that the offer has, heavier words counting more."""
    offers = list(offered)
    total = found = 0.0
    for word in asked:
        worth = (weight or {}).get(word, 1.0)
        total += worth
        found += worth * max((alike(word, o) for o in offers), default=0.0)
    return found / total if total else 0.0


def language_of(text: str, otherwise: str) -> str:
    """en, ru or uk, as far as the letters tell; `otherwise` when they do not."""
    if set(text) & _UKRAINIAN:
        return "uk"
    if set(text) & _RUSSIAN:
        return "ru"
    if _CYRILLIC.search(text):
        return otherwise if otherwise in ("ru", "uk") else "ru"
    if _LATIN.search(text) and otherwise not in ("ru", "uk"):
        return "en"
    return otherwise if otherwise in ("en", "ru", "uk") else "en"
