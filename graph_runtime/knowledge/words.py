"""Words of three languages for searching: the same spelling on both sides, stems of Ukrainian, typos, stop words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"\w+(?:[-.]\w+)*")
_APOSTROPHES: Final = re.compile(r"(?<=\w)['’ʼ`‘](?=\w)")
_CYRILLIC: Final = re.compile("^[а-яіїєґ]+$")
_MARKS: Final = re.compile(r"[*_`#>|\\\[\](){}~]+")
_WIDE: Final = re.compile("[^\u0000-\u02ff]+")
MOST_WORDS: Final = 24
"""Of a query; what comes after is left out."""
LONGEST_WORD: Final = 60


def _listed(words: str) -> list[str]:
    return words.split()


# Ukrainian has no stemmer in PostgreSQL. Endings of nouns, adjectives and verbs, the longest first; a stem keeps at least
# three letters. Also used for Russian words, where it only adds a second stem.
_ENDINGS: Final = frozenset(
    _listed("""ами ями ові еві єві ові ого ого ому ему ими іми ій ої ою ею єю ий ій ий их іх ує юють ують уєте уємо ати яти ити
        іти ться тись тися лася лися вся ав ала али ало ив ила или ило ів ев єв ам ям ах ях ом ем єм ою ею ої єї а я о е є
        у ю и і ї й ь ння нню нням ання анню анням ення енню енням ість ості істю ами ими ете єте емо ємо имо ите ать ять уть
        ють ить ешь ишь ах иях ией иям иями ия ии ию ий ый ой ая яя ое ее ые ие ую юю ого его ому ему ых их ым им ешь ет ют
        ит ишь ем им ете ите ал ала али ало ил ила или ило""")
)
_LENGTHS: Final = sorted({len(e) for e in _ENDINGS}, reverse=True)
_VOICED: Final = str.maketrans({"і": "о"})

STOP_WORDS: Final = frozenset(
    _listed("""a an the is are was were be been am do does did have has had i me my we our you your he she it its they them their this
    that these those what which who whom whose when where why how much many long to of in on at by for with from as and or but
    not no if then than so can could will would shall should may might must there here about into out up down over under again
    although while before after during because anything something nothing nobody everything somebody
    please tell want need get got any some just also only very too dont doesnt im ive id youre isnt arent whats hi hello
    и в во не что он на я с со как а то все она так его но да ты к у же вы за бы по только ее мне было вот от меня еще нет о из
    ему теперь когда даже ну ли если уже или ни быть был него до вас нибудь опять вам ведь там потом себя ничего ей может они
    тут где есть надо ней для мы тебя их чем была сам чтоб без будто чего раз тоже себе под будет ж тогда кто этот того потому
    этого какой какая какое какие ним здесь этом один почти мой тем чтобы нее сейчас были куда зачем всех можно при об хоть
    после над больше тот через эти нас про них какую каким сколько это мое свое мои моя пожалуйста подскажите скажите хочу нужно
    пока хотя ли нужен нужна здравствуйте привет добрый день у вас есть ли могу можете
    і й в у не що він на я з зі із як а то все вона так його але ти до ж ви за би по тільки її мені було ось від мене ще ні о
    йому тепер коли навіть ну чи якщо вже або бути був нього вас знову вам адже там потім себе нічого їй може вони тут де є треба
    ній для ми тебе їх чим була сам щоб без чого раз теж собі під буде тоді хто цей того тому цього який яка яке які ним цьому
    майже мій тим зараз були куди навіщо всіх можна при об хоч після над більше той через ці нас про них яку скільки це моє своє
    доки поки хоча мої моя будь ласка підкажіть скажіть хочу потрібно потрібен потрібна вітаю привіт добрий день маєте можу можете""")
)


def normal(text: str) -> str:
    """The spelling that is searched: one form of each letter, no apostrophes inside words, ё as е."""
    text = unicodedata.normalize("NFKC", text).replace("\u0301", "").replace("\u00ad", "")
    return _APOSTROPHES.sub("", text).lower().replace("ё", "е")


def plain(text: str) -> str:
    """Markdown without its marks, for words and excerpts."""
    return _MARKS.sub(" ", text)


def tokens(text: str) -> list[str]:
    """Words of an already normal text, in order."""
    return [w for w in _WORD.findall(text) if len(w) <= LONGEST_WORD]


def query_words(query: str) -> list[str]:
    """What a query asks about: its words without stop words, each once; all of its words when nothing else is left."""
    return (telling_words(query) or list(dict.fromkeys(tokens(normal(query)))))[:MOST_WORDS]


def telling_words(query: str) -> list[str]:
    """The words of a query that are no stop words, each once; none of a mere greeting."""
    words = dict.fromkeys(tokens(normal(query)))
    return [w for w in words if w not in STOP_WORDS and (len(w) > 1 or w.isdigit())][:MOST_WORDS]


@lru_cache(maxsize=100_000)
def stem(word: str) -> str:
    """A stem of a Cyrillic word by Ukrainian endings, with і and о made one (порядок, рік – року); others unchanged."""
    if len(word) < 4 or not _CYRILLIC.match(word):
        return word
    for length in _LENGTHS:
        if len(word) - length >= 3 and word[-length:] in _ENDINGS:
            word = word[:-length]
            break
    return word.translate(_VOICED)


def stems(words: list[str]) -> str:
    """The stems of a text that differ from its words, as a text."""
    return " ".join({s for w in words if (s := stem(w)) != w})


def distance(one: str, other: str, most: int) -> int:
    """Edits between two words, a swap of neighbours counting once; `most + 1` when there are more.

    Optimal string alignment (Damerau 1964, restricted).
    """
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        before, last = last, row
    return min(last[-1], most + 1)


def typo_distance(written: str, known: str) -> int | None:
    """How many edits apart, if a word may be another one mistyped: one in a short word, two in a longer one."""
    if len(written) < 4 or written.isdigit() or known.isdigit():
        return None
    most = 1 if len(written) < 7 else 2
    edits = distance(written, known, most)
    return edits if edits <= most else None


def typo_weight(written: str, edits: int) -> float:
    """How much a word counts that was taken for another one: one edit of a short word may well make a third word."""
    return max(0.3, min(0.8, 1 - 1.6 * edits / len(written)))


def is_kin(written: str, known: str) -> bool:
    """Words of one root whose endings differ more than a stemmer removes: установить – установка."""
    most = min(len(written), len(known))
    shared = next((i for i in range(most) if written[i] != known[i]), most)
    return shared >= 6 and max(len(written), len(known)) - shared <= 5


def language_of(text: str) -> str:
    """ "uk", "ru", "en" or "" by letters that only one of them has, then by common words."""
    sample = text[:4000].lower()
    cyrillic = sum("а" <= c <= "я" or c in "іїєґё" for c in sample)
    latin = sum("a" <= c <= "z" for c in sample)
    if cyrillic + latin < 8:
        return ""
    if latin > cyrillic * 2:
        return "en"
    ukrainian = sum(c in "іїєґ" for c in sample)
    russian = sum(c in "ыэъё" for c in sample)
    if ukrainian or russian:
        return "uk" if ukrainian > russian else "ru"
    words = set(tokens(sample))
    return (
        "uk" if len(words & {"та", "що", "як", "або", "це", "не"}) > len(words & {"что", "как", "или", "это"}) else "ru"
    )


def token_estimate(text: str) -> int:
    """About how many tokens a model counts: four Latin or two and a half Cyrillic characters each, rounded up."""
    wide = len(text) - len(_WIDE.sub("", text))
    return int((len(text) - wide) / 4 + wide / 2.5) + 1


ALIKE: Final = 0.7
"""Of two questions: twice the words they share, by the number of words of both (Dice)."""


def is_same_word(one: str, other: str) -> bool:
    """Forms of one word, or one of them mistyped. Of stems, or of words in normal spelling."""
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if len(short) >= 4 and long.startswith(short[: max(4, len(short) - 2)]) and len(long) - len(short) <= 3:
        return True
    return typo_distance(one, other) is not None


class TermIndex:
    """Texts by their terms, for finding the key of the text that a new one is most like."""

    def __init__(self) -> None:
        self._texts: list[tuple[str, frozenset[str]]] = []
        self._by_beginning: dict[str, list[int]] = {}

    def add(self, key: str, terms: Iterable[str]) -> None:
        """A text; several may have one key."""
        text = frozenset(terms)
        for beginning in {term[:2] for term in text}:
            self._by_beginning.setdefault(beginning, []).append(len(self._texts))
        self._texts.append((key, text))

    def nearest(self, terms: Iterable[str]) -> str | None:
        """None when no text is alike enough."""
        wanted = frozenset(terms)
        places = {place for term in wanted for place in self._by_beginning.get(term[:2], ())}
        scored = [(_likeness(wanted, self._texts[place][1]), -place) for place in places]
        likeness, place = max(scored, default=(0.0, 0))
        return self._texts[-place][0] if likeness >= ALIKE else None


def _likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """0…1 (Dice)."""
    if not one or not other:
        return 0.0
    left, shared = set(other), 0
    for term in one:
        same = term if term in left else next((t for t in left if is_same_word(term, t)), None)
        if same is not None:
            left.discard(same)
            shared += 1
    return 2 * shared / (len(one) + len(other))
