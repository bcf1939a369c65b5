"""Answers a question with the best matching facts of the system text, word for word, or says that there are none."""

from __future__ import annotations

import html
import math
import re
from dataclasses import dataclass, replace

from connectors.demo_model.phrases import say
from connectors.demo_model.words import alike, language_of, overlap, stems, words

_LEAST = 0.34
MOST_WORDS = 60
_QUESTION = re.compile(r"^\W*(?:q|question|в|вопрос|п|з|питання|запитання)\s*\d*\s*[:.)]\s*(.+)", re.IGNORECASE)
_ANSWER = re.compile(r"^\W*(?:a|answer|о|ответ|відповідь|в)\s*\d*\s*[:.)]\s*(.+)", re.IGNORECASE)
_INSTRUCTION = re.compile(
    r"^\W*(you are|you['’]re|your (task|role|job|goal)|act as|answer|reply|respond|use (only|the)|"
    r"do not|don['’]t|never|"
    r"always|be |if |when |keep|speak|write|ask |say |only |stay|help|greet|make sure|facts?\b.{0,20}:?$|faq:?$|"
    r"ты |вы |твоя |ваша |отвечай|отвечайте|не |никогда|всегда|если |когда |будь|говори|пиши|используй|используйте|"
    r"опирайся|опирайтесь|спроси|спросите|помоги|помогай|представься|поздоровайся|факты:?$|"
    r"ти |ви |твоє |твій |ваше |відповідай|відповідайте|ніколи|завжди|якщо |коли |кажи|використовуй|"
    r"використовуйте|спирайся|спирайтеся|запитай|допоможи|допомагай|факти:?$)",
    re.IGNORECASE,
)
_HELLO = re.compile(
    r"^\W*(hi|hello|hey|good (morning|day|evening)|привет\w*|здравствуй\w*|добрый (день|вечер)|доброе утро|привіт\w*|"
    r"вітаю|доброго дня|добрий (день|вечір)|добридень)\W*$",
    re.IGNORECASE,
)
_THANKS = re.compile(r"^\W*(thanks?|thank you|спасибо|благодарю|дякую|спасибі)\b.{0,20}$", re.IGNORECASE)
_PASSAGE = re.compile(r'</passage>|<passage n="(\d+)"(?: source="([^"]*)")?>')
_SENTENCE = re.compile(r"(?<=[.!?…])\s+(?=[A-ZА-ЯЁІЇЄҐ«\"(\d])")


@dataclass(frozen=True)
class Fact:
    """`text` is what may be said; `about` what it is found by; `source`: the number of the passage it stands in, or ""."""

    text: str
    about: str
    source: str = ""


def reply(system: str, question: str, language: str) -> str:
    """A text in the language of the question; facts stay in the language they were written in."""
    language = language_of(question, language)
    if _HELLO.match(question) or not words(question):
        return say("greeting", language)
    if _THANKS.match(question):
        return say("thanks", language)
    known = facts(system)
    if not known and "<passage" in system:
        return say("not_found", language)
    if not known:
        return say("no_facts", language)
    found = best(known, question)
    return " ".join(f.text + (f" [{f.source}]" if f.source else "") for f in found) or say("not_found", language)


def facts(system: str) -> list[Fact]:
    """Sentences, list items and question–answer pairs of a system text; instructions to the model left out.

    With passages of a knowledge search in the text, only what stands in them counts.
    """
    has_passages = bool(_PASSAGE.search(system))
    out: list[Fact] = []
    question = heading = source = ""
    for raw in system.splitlines():
        if m := _PASSAGE.match(raw):
            source, heading, question = m[1] or "", html.unescape(m[2] or ""), ""
            continue
        if has_passages and not source:
            continue
        before = len(out)
        line = re.sub(r"^\s*(?:[-*•–—]|\d+[.)])\s+", "", raw).strip()
        if not line:
            question = ""
        elif m := _QUESTION.match(line) if not question else None:
            question = m[1]
        elif question:
            text = m[1] if (m := _ANSWER.match(line)) else line
            out.append(Fact(text, f"{question} {text}"))
            question = ""
        elif line.startswith("#"):
            heading = line.strip("# ")
        elif m := re.match(r"(.{3,120}\?)\s+(.{2,})", line):
            out.append(Fact(m[2], f"{m[1]} {m[2]}"))
        elif line.endswith("?"):
            question = line
        else:
            out += [Fact(s, f"{heading} {s}") for s in _SENTENCE.split(line) if source or _is_fact(s)]
        out[before:] = [replace(f, source=source) for f in out[before:]]
    return out


def _is_fact(sentence: str) -> bool:
    bare = sentence.strip()
    return len(words(bare)) >= 2 and not bare.endswith(":") and not _INSTRUCTION.match(bare)


def best(known: list[Fact], question: str) -> list[Fact]:
    """One fact, or two when the second is nearly as good; rare words count more than common ones."""
    asked = list(dict.fromkeys(stems(question)))[:MOST_WORDS]
    if not asked:
        return []
    found = [(set(stems(f.about)), f) for f in known]
    weight = {
        word: math.log(1 + len(known) / (0.5 + sum(any(alike(word, s) >= 0.7 for s in about) for about, _ in found)))
        for word in asked
    }
    # a word that no fact knows says nothing about which fact is meant
    unknown = {w for w in asked if not any(alike(w, s) >= 0.6 for about, _ in found for s in about)}
    weight = {w: (0.35 if w in unknown else max(value, 0.2)) for w, value in weight.items()}
    scored = sorted(((overlap(asked, about, weight), -n, f) for n, (about, f) in enumerate(found)), reverse=True)
    top = scored[0][0]
    if top < _LEAST:
        return []
    return [f for score, _, f in scored[:2] if score >= max(_LEAST, top * 0.92)]
