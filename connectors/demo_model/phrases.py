"""The few sentences the demo model says of its own, in three languages."""

from __future__ import annotations

_PHRASES: dict[str, dict[str, str]] = {
    "greeting": {
        "en": "Hello! What would you like to know?",
        "ru": "Здравствуйте! Что вас интересует?",
        "uk": "Вітаю! Що вас цікавить?",
    },
    "thanks": {
        "en": "You are welcome! Is there anything else?",
        "ru": "Пожалуйста! Что-нибудь ещё?",
        "uk": "Будь ласка! Щось іще?",
    },
    "not_found": {
        "en": "I have found nothing about this in what I was given. "
        "(This is the demo model, not an AI: it only looks up what the step’s instructions say.)",
        "ru": "Об этом я ничего не нашёл в том, что мне дали. "
        "(Это демо-модель, а не ИИ: она лишь ищет в инструкциях шага.)",
        "uk": "Про це я нічого не знайшов у тому, що мені дали. "
        "(Це демо-модель, а не ШІ: вона лише шукає в інструкціях кроку.)",
    },
    "no_facts": {
        "en": "I am the demo model, not an AI, and the step’s instructions hold no facts I could answer from. "
        "Connect a real model under Models & keys.",
        "ru": "Я демо-модель, а не ИИ, и в инструкциях шага нет сведений для ответа. "
        "Подключите настоящую модель в разделе «Модели и ключи».",
        "uk": "Я демо-модель, а не ШІ, і в інструкціях кроку немає відомостей для відповіді. "
        "Підключіть справжню модель у розділі «Моделі та ключі».",
    },
    "judged_good": {
        "en": "Nothing speaks against the answer.",
        "ru": "Ответ подходит: ничто не говорит против него.",
        "uk": "Відповідь підходить: ніщо не говорить проти неї.",
    },
    "nothing_said": {"en": "The answer is empty.", "ru": "Ответ пустой.", "uk": "Відповідь порожня."},
    "gibberish": {
        "en": "This does not look like words.",
        "ru": "Это не похоже на слова.",
        "uk": "Це не схоже на слова.",
    },
    "evasive": {
        "en": "The question was not answered.",
        "ru": "На вопрос не ответили.",
        "uk": "На запитання не відповіли.",
    },
    "too_short": {
        "en": "The answer is too short; a few more words are needed.",
        "ru": "Ответ слишком короткий, нужно ещё несколько слов.",
        "uk": "Відповідь надто коротка, потрібно ще кілька слів.",
    },
    "no_email": {
        "en": "There is no e-mail address in the answer.",
        "ru": "В ответе нет адреса электронной почты.",
        "uk": "У відповіді немає адреси електронної пошти.",
    },
    "no_phone": {
        "en": "There is no phone number in the answer.",
        "ru": "В ответе нет номера телефона.",
        "uk": "У відповіді немає номера телефону.",
    },
    "no_date": {"en": "There is no date in the answer.", "ru": "В ответе нет даты.", "uk": "У відповіді немає дати."},
    "no_number": {
        "en": "There is no number in the answer.",
        "ru": "В ответе нет числа.",
        "uk": "У відповіді немає числа.",
    },
    "no_yes_no": {
        "en": "The answer is neither yes nor no.",
        "ru": "Ответ не «да» и не «нет».",
        "uk": "Відповідь не «так» і не «ні».",
    },
    "rude": {"en": "The answer is not polite.", "ru": "Ответ невежливый.", "uk": "Відповідь неввічлива."},
    "chosen": {
        "en": "Chosen by the words the text shares with the class.",
        "ru": "Выбрано по общим словам текста и класса.",
        "uk": "Обрано за спільними словами тексту й класу.",
    },
}


def say(phrase: str, language: str) -> str:
    """A sentence in en, ru or uk."""
    return _PHRASES[phrase].get(language) or _PHRASES[phrase]["en"]
