"""What a contact's words mean: tolerant readers for three languages. Pure; any text gives a value or a problem."""

from graph_runtime.contract.answers.choices import Choice, closest, match_choice
from graph_runtime.contract.answers.dates import read_date
from graph_runtime.contract.answers.numbers import read_number
from graph_runtime.contract.answers.reading import AnswerKind, AnswerRules, Parsed, contact_today, read_answer
from graph_runtime.contract.answers.short import read_email, read_phone, read_rating, read_yes_no
from graph_runtime.contract.answers.words import normal, words

__all__ = [
    "AnswerKind", "AnswerRules", "Choice", "Parsed", "closest", "contact_today", "match_choice", "normal",
    "read_answer", "read_date", "read_email", "read_number", "read_phone", "read_rating", "read_yes_no", "words",
]  # fmt: skip
