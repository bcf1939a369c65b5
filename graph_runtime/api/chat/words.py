"""What a visitor of the web chat reads when something does not work, in the languages of conversations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "agent_off": {
        "en": "The chat is closed at the moment. Please come back a little later.",
        "ru": "Сейчас чат закрыт. Загляните, пожалуйста, немного позже.",
        "uk": "Зараз чат зачинено. Завітайте, будь ласка, трохи пізніше.",
    },
    "conversation_ended": {
        "en": "This conversation is over. Start a new one to go on.",
        "ru": "Этот диалог завершён. Чтобы продолжить, начните новый.",
        "uk": "Цей діалог завершено. Щоб продовжити, почніть новий.",
    },
    "too_many": {
        "en": "You are writing very fast. Wait a few seconds and send the message again.",
        "ru": "Вы пишете очень быстро. Подождите несколько секунд и отправьте сообщение ещё раз.",
        "uk": "Ви пишете дуже швидко. Зачекайте кілька секунд і надішліть повідомлення ще раз.",
    },
    "too_many_chats": {
        "en": "Too many chats are open from your network. Close one and reload the page.",
        "ru": "Из вашей сети открыто слишком много чатов. Закройте один и обновите страницу.",
        "uk": "З вашої мережі відкрито забагато чатів. Закрийте один і оновіть сторінку.",
    },
    "too_large": {
        "en": "This is too large to send. Send less at once.",
        "ru": "Это слишком большое сообщение. Отправьте его по частям.",
        "uk": "Це завелике повідомлення. Надішліть його частинами.",
    },
    "input_invalid": {
        "en": "This message could not be read. Write it again.",
        "ru": "Сообщение не удалось прочитать. Напишите его ещё раз.",
        "uk": "Повідомлення не вдалося прочитати. Напишіть його ще раз.",
    },
    "not_found": {
        "en": "There is no chat at this address. Check the link.",
        "ru": "По этому адресу нет чата. Проверьте ссылку.",
        "uk": "За цією адресою немає чату. Перевірте посилання.",
    },
    "idle": {
        "en": "The connection was quiet for too long; connect again.",
        "ru": "Соединение слишком долго молчало; подключитесь снова.",
        "uk": "З’єднання надто довго мовчало; під’єднайтеся знову.",
    },
    "error": {
        "en": "Something went wrong on our side. Please send the message again.",
        "ru": "У нас что-то пошло не так. Пожалуйста, отправьте сообщение ещё раз.",
        "uk": "У нас щось пішло не так. Будь ласка, надішліть повідомлення ще раз.",
    },
}


def words(code: str, language: str) -> str:
    """The sentence for a code; a code without words of its own gets the general one."""
    sentences = WORDS.get(code, WORDS["error"])
    return sentences.get(language, sentences["en"])
