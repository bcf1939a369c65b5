"""Texts that have nothing to do with one another: how alike a model thinks them is where “alike” begins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

QUESTIONS: Final = (
    "How long does the battery of the watch last?",
    "Which bus goes to the museum on Sundays?",
    "May I bring my dog to the hotel?",
    "How do I prune an apple tree?",
    "Сколько стоит абонемент в бассейн?",
    "Как оформить доверенность у нотариуса?",
    "Чем вывести пятно от кофе?",
    "Коли починається навчальний рік?",
    "Як зварити вареники з вишнями?",
    "Чи потрібна віза до Японії?",
)
PASSAGES: Final = (
    "The choir rehearses in the old town hall every second Thursday.",
    "Invoices are paid within thirty days by bank transfer.",
    "The glacier has lost a third of its length since it was first measured.",
    "Screw the shelf to the wall with the four long screws.",
    "Симфония написана в тональности ре минор и состоит из четырёх частей.",
    "Пациентам после операции рекомендуется покой в течение недели.",
    "Курс рубля к юаню устанавливается ежедневно.",
    "Команда виграла три матчі поспіль і вийшла у фінал.",
    "Бджоли збирають нектар у радіусі трьох кілометрів від вулика.",
    "Договір оренди складено у двох примірниках.",
)


_CYRILLIC: Final = re.compile(r"[\u0400-\u04ff]")
Vectors = Sequence[Sequence[float]]


def is_cyrillic(text: str) -> bool:
    """A model that learned no Russian or Ukrainian sees letters, and finds all such texts alike."""
    return 2 * len(_CYRILLIC.findall(text)) > sum(map(str.isalpha, text))


def likeness(questions: Vectors, passages: Vectors) -> tuple[float, float]:
    """The mean cosine of questions and passages, in Latin and in Cyrillic letters, each from 0 to 0.95.

    `questions`, `passages`: of the texts above, in their order, of length one.
    """
    latin, cyrillic = (
        [
            sum(x * y for x, y in zip(q, p, strict=True))
            for asked, q in zip(QUESTIONS, questions, strict=True)
            for said, p in zip(PASSAGES, passages, strict=True)
            if is_cyrillic(asked) == is_cyrillic(said) == script
        ]
        for script in (False, True)
    )
    return _mean(latin), _mean(cyrillic)


def _mean(cosines: Sequence[float]) -> float:
    return min(0.95, max(0.0, sum(cosines) / len(cosines)))
