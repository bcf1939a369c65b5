"""Which option did the person mean: by number, name, synonym, beginning, typing slip, or the nearest by words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from graph_runtime.contract.answers.numbers import read_number
from graph_runtime.contract.answers.words import normal, vocabulary, words

_ORDINALS = tuple(
    re.compile(rf"(?:{english}|(?:{slavic})(?:ый|ой|ий|ья|ая|ье|ое|ью|ую|ю|у|а|я|е|є|ьего|его|ого|ому|ій|им|ым))")
    for english, slavic in (
        ("first", "перв|перш"), ("second", "втор|друг"), ("third", "трет"), ("fourth", "четверт"),
        ("fifth", "пят|п'ят"), ("sixth", "шест|шост"), ("seventh", "седьм|сьом"), ("eighth", "восьм"),
    )
)  # fmt: skip
_NUMBERED = re.compile(r"(?:#|no?|номер)?\s?(\d{1,3})\s?[.):]?")
_AROUND = " .,!?;:\"'«»()"
_SMALL = vocabulary(
    "a an the of to in on for and or is are i my me it do you your we with please can want need",
    "и в на с о по за для не я мне мой моя мое у вы вас мы это как что пожалуйста хочу нужно",
    "і й та в у на з про для не я мені мій моя ви вас ми це як що будь ласка хочу треба",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One option: its stable id, what is shown, and other words for it."""

    id: str
    label: str
    synonyms: tuple[str, ...] = ()


def match_choice(text: str, choices: Sequence[Choice]) -> str | None:
    """Id of the option a text means; None when none or several fit. Each rule is tried on all options before the next.

    Rules: the whole name or synonym · its number · its beginning · its words inside the text · the text's words
    inside it · a typing slip.
    """
    whole = normal(text)
    plain = whole.strip(_AROUND)
    if not plain or len(plain) > 500:
        return None
    names = {c.id: [n for n in map(normal, (c.label, *c.synonyms)) if n] for c in choices}
    bare = {i: [name.strip(_AROUND) for name in options] for i, options in names.items()}
    for said, known in ((whole, names), (plain, bare)):
        exact = [i for i, options in known.items() if said in options]
        if exact:
            return exact[0] if len(exact) == 1 else None
    index = _number(plain)
    if index is not None and 1 <= index <= len(choices):
        return choices[index - 1].id
    for fits in (_begins, _contains, _is_part, _slips):
        found = [i for i, options in names.items() if any(fits(plain, name) for name in options)]
        if len(found) == 1:
            return found[0]
        if found:
            return None
    return None


def _number(plain: str) -> int | None:
    match = _NUMBERED.fullmatch(plain)
    if match:
        return int(match[1])
    tokens = words(plain)
    if len(tokens) > 3:
        return None
    for position, ordinal in enumerate(_ORDINALS):
        if any(ordinal.fullmatch(t) for t in tokens):
            return position + 1
    value = read_number(plain) if len(tokens) == 1 else None
    return value if isinstance(value, int) and value > 0 else None


def _begins(plain: str, name: str) -> bool:
    return len(plain) >= 2 and name.startswith(plain)


def _contains(plain: str, name: str) -> bool:
    said, wanted = words(plain), [w for w in words(name) if w not in _SMALL] or words(name)
    return bool(wanted) and all(any(_same_word(w, s) for s in said) for w in wanted)


def _is_part(plain: str, name: str) -> bool:
    said, wanted = [w for w in words(plain) if w not in _SMALL], words(name)
    return bool(said) and all(any(_same_word(w, s) for w in wanted) for s in said)


def _same_word(wanted: str, said: str) -> bool:
    """Equal, or two forms of one word: a common beginning and different short endings."""
    if wanted == said:
        return True
    common = 0
    for a, b in zip(wanted, said, strict=False):
        if a != b:
            break
        common += 1
    rest = max(len(wanted), len(said)) - common
    return common >= 3 and rest <= (1 if common < 4 else 3) and common >= 2 * rest


def _slips(plain: str, name: str) -> bool:
    return _is_slip(plain, name) or any(_is_slip(s, w) for w in words(name) if len(w) > 4 for s in words(plain)[:20])


def _is_slip(said: str, wanted: str) -> bool:
    if len(wanted) < 4 or abs(len(wanted) - len(said)) > 2 or len(wanted) > 60:
        return False
    return _distance(said, wanted) <= (1 if len(wanted) < 8 else 2)


def _distance(a: str, b: str) -> int:
    """Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, last, row = row, before, [i]
        for j, y in enumerate(b, 1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
    return row[-1]


def closest(text: str, phrases: Mapping[str, Iterable[str]]) -> tuple[str, float]:
    """The entry whose phrases share most words with a text, and how sure (0–1); ("", 0.0) when nothing is shared.

    The score is the share of the best phrase's words found in the text, halved when a second entry does as well.
    """
    said = words(text)
    scores: dict[str, float] = {}
    for entry, lines in phrases.items():
        scores[entry] = max((_share(said, line) for line in lines), default=0.0)
    ranked = sorted(scores.items(), key=lambda pair: -pair[1])
    if not ranked or ranked[0][1] <= 0:
        return "", 0.0
    best, score = ranked[0]
    if len(ranked) > 1 and ranked[1][1] >= score:
        return best, round(score / 2, 3)
    return best, round(score, 3)


def _share(said: list[str], line: str) -> float:
    wanted = [w for w in words(line) if w not in _SMALL]
    if not wanted:
        return 0.0
    hits = sum(any(_same_word(w, s) for s in said) for w in wanted)
    # A long description is matched well by a few of its words.
    return min(1.0, hits / min(len(wanted), 3))
