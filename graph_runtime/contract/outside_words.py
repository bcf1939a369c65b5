"""What is said when a web service cannot be called, or a step cannot do what it is for, by code, in every language: the
program's own sentences, not a vendor's.

A sentence that was kept in English, with its values in it, is found again by its pattern.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from graph_runtime.contract.errors import ConnectorError

SENTENCES: Final[Mapping[str, tuple[str, str, str]]] = {
    "no_such_host": (
        "The address of {host} cannot be found. Check its spelling.",
        "Адрес {host} не найден. Проверьте, нет ли опечатки.",
        "Адресу {host} не знайдено. Перевірте, чи немає помилки.",
    ),
    "port": (
        "Port {port} may not be called. Use 80, 443, 8080 or 8443.",
        "Порт {port} вызывать нельзя. Подойдут 80, 443, 8080 и 8443.",
        "Порт {port} викликати не можна. Підійдуть 80, 443, 8080 і 8443.",
    ),
    "inside": (
        "{host} is an address inside this network, and flows may not call those. Use a public address.",
        "{host} находится внутри этой сети, а туда сценариям нельзя. Укажите адрес в интернете.",
        "{host} міститься всередині цієї мережі, а туди сценаріям не можна. Вкажіть адресу в інтернеті.",
    ),
    "socket": (
        "Sockets of this machine may not be called.",
        "К сокетам этой машины обращаться нельзя.",
        "До сокетів цієї машини звертатися не можна.",
    ),
    "not_the_file": (
        "{host} answers {status} instead of the file. Check the address.",
        "{host} вместо файла отвечает {status}. Проверьте адрес.",
        "{host} замість файлу відповідає {status}. Перевірте адресу.",
    ),
    "cannot_be_reached": (
        "{host} cannot be reached. Check the address.",
        "{host} недоступен. Проверьте адрес.",
        "{host} недоступний. Перевірте адресу.",
    ),
    "too_slow": (
        "{host} did not answer within {seconds} s. Try again later.",
        "{host} не ответил за {seconds} с. Повторите позже.",
        "{host} не відповів за {seconds} с. Повторіть пізніше.",
    ),
    "broke_off": (
        "{host} broke the connection off. Try again later.",
        "{host} оборвал соединение. Повторите позже.",
        "{host} обірвав з’єднання. Повторіть пізніше.",
    ),
    "redirects": (
        "{host} redirects too often. Use the address it ends at.",
        "{host} перенаправляет слишком много раз. Укажите адрес, на котором это заканчивается.",
        "{host} переспрямовує забагато разів. Вкажіть адресу, на якій це закінчується.",
    ),
    "no_answer": (
        "{host} did not answer. It may have received the message.",
        "{host} не ответил. Возможно, сообщение он получил.",
        "{host} не відповів. Можливо, повідомлення він отримав.",
    ),
    "too_large": (
        "The answer is larger than 5 MB. Ask the service for less.",
        "Ответ больше 5 МБ. Запросите у сервиса меньше.",
        "Відповідь більша за 5 МБ. Запитайте в сервісу менше.",
    ),
    "unpacks_too_large": (
        "The answer is larger than 20 MB. Ask the service for less.",
        "Ответ больше 20 МБ. Запросите у сервиса меньше.",
        "Відповідь більша за 20 МБ. Запитайте в сервісу менше.",
    ),
    "damaged": (
        "The answer is damaged. Try again later.",
        "Ответ повреждён. Повторите позже.",
        "Відповідь пошкоджена. Повторіть пізніше.",
    ),
    "https_only": (
        "A key is sent over https only. Write the address with https://.",
        "Ключ передаётся только по https. Напишите адрес с https://.",
        "Ключ передається лише через https. Напишіть адресу з https://.",
    ),
    "https_or_inside": (
        "A key is sent over https only. Write the address with https://, or allow one inside your own network under More options.",
        "Ключ передаётся только по https. Напишите адрес с https:// или разрешите адрес внутри вашей сети в разделе «Дополнительно».",
        "Ключ передається лише через https. Напишіть адресу з https:// або дозвольте адресу всередині вашої мережі в розділі «Додатково».",
    ),
    "no_address": (
        "This is not an address that can be called. It must begin with http:// or https://.",
        "Такой адрес вызвать нельзя. Он должен начинаться с http:// или https://.",
        "Таку адресу викликати не можна. Вона має починатися з http:// або https://.",
    ),
    "control_character": (
        "The address contains a space or a control character. Remove it.",
        "В адресе есть пробел или служебный знак. Уберите его.",
        "В адресі є пробіл або службовий знак. Приберіть його.",
    ),
    "line_break": (
        "A header contains a line break. Remove it.",
        "В заголовке есть перенос строки. Уберите его.",
        "У заголовку є розрив рядка. Приберіть його.",
    ),
    "rate": (
        "The service allows no more requests right now. Try again later.",
        "Сервис сейчас больше запросов не принимает. Повторите позже.",
        "Сервіс зараз більше запитів не приймає. Повторіть пізніше.",
    ),
    "paused": (
        "This service has failed several times in a row and is left alone for half a minute. Try again shortly.",
        "Сервис несколько раз подряд не ответил как надо, и полминуты его не трогают. Повторите чуть позже.",
        "Сервіс кілька разів поспіль не відповів як слід, і пів хвилини його не турбують. Повторіть трохи згодом.",
    ),
    "not_bound": (
        "Nothing is connected to “{slot}” yet. Choose a connection in the step's settings.",
        "К «{slot}» пока ничего не подключено. Выберите подключение в настройках шага.",
        "До «{slot}» поки нічого не під’єднано. Виберіть підключення в налаштуваннях кроку.",
    ),
    "key_gone": (
        "The key is gone. Choose another one in the settings.",
        "Этого ключа больше нет. Выберите в настройках другой.",
        "Цього ключа більше немає. Виберіть у налаштуваннях інший.",
    ),
    "no_crm": (
        "No customer system is connected to this step. Choose one in the step's settings.",
        "К шагу не подключена ни одна CRM. Выберите её в настройках шага.",
        "До кроку не під’єднано жодної CRM. Виберіть її в налаштуваннях кроку.",
    ),
    "does_not_fit": (
        "This connection does not fit here. Choose another one in the step's settings.",
        "Это подключение сюда не подходит. Выберите другое в настройках шага.",
        "Це підключення сюди не підходить. Виберіть інше в налаштуваннях кроку.",
    ),
    "foreign_host": (
        "The key of “{label}” belongs to {hosts} and is not sent to {host}. Use an address of that service, or a key that belongs to this one.",
        "Ключ «{label}» относится к {hosts} и на {host} не отправляется. Возьмите адрес того сервиса или ключ этого.",
        "Ключ «{label}» належить до {hosts} і на {host} не надсилається. Візьміть адресу того сервісу або ключ цього.",
    ),
    "access_lost": (
        "The access was withdrawn or has expired. Open Connections and press “Connect again”.",
        "Доступ отозван или истёк. Откройте «Подключения» и нажмите «Подключить заново».",
        "Доступ відкликано або він скінчився. Відкрийте «Підключення» й натисніть «Під’єднати знову».",
    ),
    "not_connected": (
        "This connection has not been granted access yet. Open Connections and press “Connect”.",
        "Доступ ещё не выдан. Откройте «Подключения» и нажмите «Подключить».",
        "Доступ ще не надано. Відкрийте «Підключення» й натисніть «Під’єднати».",
    ),
    "sign_in_pause": (
        "The service asks for a pause before it signs us in.",
        "Прежде чем выдать доступ, сервис просит подождать.",
        "Перш ніж надати доступ, сервіс просить зачекати.",
    ),
    "sign_in_away": (
        "The service cannot sign us in right now. Try again later.",
        "Сервис сейчас не может выдать доступ. Повторите позже.",
        "Сервіс зараз не може надати доступ. Повторіть пізніше.",
    ),
    "sign_in_refused": (
        "The service refused to sign us in ({said}). Check the client ID and the secret.",
        "Сервис не выдал доступ ({said}). Проверьте идентификатор и секрет.",
        "Сервіс не надав доступу ({said}). Перевірте ідентифікатор і секрет.",
    ),
    "sign_in_unreadable": (
        "The service answered the sign-in with something that cannot be read.",
        "Ответ сервиса на запрос доступа прочитать не удалось.",
        "Відповідь сервісу на запит доступу прочитати не вдалося.",
    ),
    "not_told_yet": (
        "The account has not been told our address yet. That happens by itself within minutes.",
        "Аккаунт ещё не знает нашего адреса. Через несколько минут узнает сам.",
        "Акаунт ще не знає нашої адреси. За кілька хвилин дізнається сам.",
    ),
    "cannot_be_tried": (
        "Saved. This connector has no way to try a key.",
        "Сохранено. Проверить ключ у этого сервиса нельзя.",
        "Збережено. Перевірити ключ у цього сервісу не можна.",
    ),
    "check_too_slow": (
        "{label} did not answer within {seconds} seconds. Try again later.",
        "{label} не ответил за {seconds} с. Повторите позже.",
        "{label} не відповів за {seconds} с. Повторіть пізніше.",
    ),
    "answered_with": (
        "The service answered with status {status}.",
        "Сервис ответил статусом {status}.",
        "Сервіс відповів статусом {status}.",
    ),
    "kept_too_large": (
        "The answer is larger than 1 MB. Ask the service for less.",
        "Ответ больше 1 МБ. Запросите у сервиса меньше.",
        "Відповідь більша за 1 МБ. Запитайте в сервісу менше.",
    ),
    "pages_too_large": (
        "The pages are larger than 1 MB together. Take fewer pages, or ask for less in each.",
        "Страницы вместе больше 1 МБ. Возьмите меньше страниц или меньше на каждой.",
        "Сторінки разом більші за 1 МБ. Візьміть менше сторінок або менше на кожній.",
    ),
    "no_list_at": (
        "The answer has no list at “{items}”. Point at the list that goes on over the pages.",
        "В ответе нет списка в «{items}». Укажите список, который продолжается на страницах.",
        "У відповіді немає списку в «{items}». Вкажіть список, який продовжується на сторінках.",
    ),
    "no_list": (
        "The answer itself is no list. Point at the list that goes on over the pages.",
        "Сам ответ – не список. Укажите список, который продолжается на страницах.",
        "Сама відповідь – не список. Вкажіть список, який продовжується на сторінках.",
    ),
    "no_services": (
        "Calling web services is not possible here.",
        "Вызвать веб-сервис здесь нельзя.",
        "Викликати вебсервіс тут не можна.",
    ),
    "no_model": (
        "No model is connected to this step. Choose one under Models & keys.",
        "К шагу не подключена модель. Выберите её в разделе «Модели и ключи».",
        "До кроку не під’єднано модель. Виберіть її в розділі «Моделі та ключі».",
    ),
    "model_not_usable": (
        "The model of “{slot}” cannot be used: its connector is not installed or has no key. Choose a model under Models & keys.",
        "Модель «{slot}» использовать нельзя: её подключение не установлено или без ключа. Выберите модель в разделе «Модели и ключи».",
        "Модель «{slot}» використати не можна: її під’єднання не встановлено або воно без ключа. Виберіть модель у розділі «Моделі та ключі».",
    ),
    "model_paused": (
        "This model has failed several times in a row and is left alone for half a minute. Try again shortly.",
        "Модель несколько раз подряд не ответила как надо, и полминуты её не трогают. Повторите чуть позже.",
        "Модель кілька разів поспіль не відповіла як слід, і пів хвилини її не турбують. Повторіть трохи згодом.",
    ),
    "model_broke_off": (
        "The answer broke off before it was complete. Try again.",
        "Ответ оборвался, не закончившись. Повторите.",
        "Відповідь обірвалася, не закінчившись. Повторіть.",
    ),
    "no_class": (
        "The model did not name a class. Try a model that supports structured answers.",
        "Модель не назвала класс. Возьмите модель, которая умеет отвечать по схеме.",
        "Модель не назвала клас. Візьміть модель, яка вміє відповідати за схемою.",
    ),
    "no_facts": (
        "The model did not fill in the facts. Try a model that supports structured answers.",
        "Модель не заполнила сведения. Возьмите модель, которая умеет отвечать по схеме.",
        "Модель не заповнила відомості. Візьміть модель, яка вміє відповідати за схемою.",
    ),
    "no_fields": (
        "The model did not fill in the fields. Try a model that supports structured answers.",
        "Модель не заполнила поля. Возьмите модель, которая умеет отвечать по схеме.",
        "Модель не заповнила поля. Візьміть модель, яка вміє відповідати за схемою.",
    ),
    "no_words": (
        "The model gave no answer. Check its instructions, or choose another model.",
        "Модель ничего не ответила. Проверьте указания или возьмите другую.",
        "Модель нічого не відповіла. Перевірте вказівки або візьміть іншу.",
    ),
    "no_judgement": (
        "The model did not judge the answer. Try a model that supports structured answers.",
        "Модель не оценила ответ. Возьмите модель, которая умеет отвечать по схеме.",
        "Модель не оцінила відповідь. Візьміть модель, яка вміє відповідати за схемою.",
    ),
    "no_knowledge": (
        "There is no knowledge to search here.",
        "Искать здесь негде: базы знаний нет.",
        "Шукати тут ніде: бази знань немає.",
    ),
    "bad_json": (
        "This is not valid JSON ({where}). Put names and texts in quotation marks and commas between them.",
        "Это не JSON ({where}). Возьмите имена и тексты в кавычки и разделите их запятыми.",
        "Це не JSON ({where}). Візьміть імена й тексти в лапки та розділіть їх комами.",
    ),
    "text_too_long": (
        "This text is longer than {limit} characters. Shorten it.",
        "Текст длиннее {limit} знаков. Сократите его.",
        "Текст довший за {limit} знаків. Скоротіть його.",
    ),
    "text_unreadable": (
        "The text cannot be read: {why}. Check the double braces and the names inside them.",
        "Текст не читается: {why}. Проверьте двойные скобки и имена в них.",
        "Текст не читається: {why}. Перевірте подвійні дужки та імена в них.",
    ),
    "text_unfilled": (
        "The text could not be filled in: {why}. Make it simpler.",
        "Текст не удалось заполнить: {why}. Упростите его.",
        "Текст не вдалося заповнити: {why}. Спростіть його.",
    ),
    "value_too_large": (
        "The value for “{name}” is larger than 100 kB. Keep less of it.",
        "Значение «{name}» больше 100 кБ. Сохраняйте меньше.",
        "Значення «{name}» більше за 100 кБ. Зберігайте менше.",
    ),
    "values_too_large": (
        "The values of this conversation are larger than 2 MB. Keep less in variables.",
        "Значения этого диалога больше 2 МБ. Храните в переменных меньше.",
        "Значення цього діалогу більші за 2 МБ. Тримайте у змінних менше.",
    ),
    "too_many_tokens": (
        "This turn has used more than {limit} tokens. Ask the models less in one turn.",
        "За один ответ израсходовано больше {limit} токенов. Спрашивайте модели реже.",
        "За одну відповідь витрачено понад {limit} токенів. Питайте моделі рідше.",
    ),
    "too_long_a_turn": (
        "This turn took longer than {seconds} s. Ask for less in one turn.",
        "Ответ готовился дольше {seconds} с. Делайте за один раз меньше.",
        "Відповідь готувалася довше за {seconds} с. Робіть за один раз менше.",
    ),
    "too_many_steps": (
        "The conversation went through {limit} steps without waiting for the client. Let the loop wait for an answer or give it a way out.",
        "Диалог прошёл {limit} шагов, ни разу не дождавшись клиента. Пусть круг ждёт ответа или имеет выход.",
        "Діалог пройшов {limit} кроків, жодного разу не дочекавшись клієнта. Хай коло чекає на відповідь або має вихід.",
    ),
    "step_failed": (
        "This step failed ({kind}).",
        "Шаг не выполнен ({kind}).",
        "Крок не виконано ({kind}).",
    ),
    "open_error_exit": (
        "This step failed and its error exit leads nowhere. Connect the exit to a step that says so.",
        "Шаг не выполнен, а его выход «Ошибка» никуда не ведёт. Соедините выход с шагом, который скажет об этом.",
        "Крок не виконано, а його вихід «Помилка» нікуди не веде. З’єднайте вихід із кроком, який скаже про це.",
    ),
}  # fmt: skip
_PLACES: Final = {"en": 0, "ru": 1, "uk": 2}
_Kind = TypeVar("_Kind", bound=ConnectorError)


def sentence(code: str, /, language: str = "en", **values: Any) -> str:
    """The sentence with its values."""
    return SENTENCES[code][_PLACES.get(language, 0)].format(**values)


def failure(kind: type[_Kind], code: str, /, **values: Any) -> _Kind:
    """An error that says the sentence; `params` hold the code as `reason`, and the values."""
    return kind(sentence(code, **values), reason=code, **values)


def in_language(said: str, language: str) -> str | None:
    """An English sentence of ours in another language; None when it is none of ours."""
    for code, row in SENTENCES.items():
        if (values := _values(row[0], said)) is not None:
            return sentence(code, language, **values)
    return None


def from_texts(texts: Mapping[str, Mapping[str, str]], said: str, language: str) -> str | None:
    """A sentence out of a connector's or a step's `texts.json`, with its values, which may be texts from there too; None
    when it is none of those, or has no translation."""
    if said in texts:
        return texts[said].get(language)
    for english, others in texts.items():
        if "{" in english and language in others and (values := _values(english, said)) is not None:
            return others[language].format(**{k: texts.get(v, {}).get(language, v) for k, v in values.items()})
    return None


def _values(english: str, said: str) -> dict[str, str] | None:
    if "{" not in english:
        return {} if english == said else None
    found = _pattern(english).fullmatch(said)
    return found.groupdict() if found else None


@lru_cache(maxsize=2000)
def _pattern(english: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", english)
    return re.compile(
        "".join(f"(?P<{p}>.{{1,300}}?)" if i % 2 else re.escape(p) for i, p in enumerate(parts)), re.DOTALL
    )
