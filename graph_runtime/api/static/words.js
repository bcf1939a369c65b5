/* The words of the chat page in its three languages. */

export const LANGUAGES = { en: "English", ru: "Русский", uk: "Українська" };

const WORDS = {
  en: {
    conversation: "Conversation", language: "Language", write: "Write a message", send: "Send", attach: "Attach a file",
    you: "You", typing: "is typing", today: "Today", yesterday: "Yesterday", newMessages: "New messages",
    sending: "Sending", notSent: "Not sent.", retry: "Try again", remove: "Remove", download: "Download", open: "Open",
    close: "Close", options: "Answers to choose from", chosen: "chosen", picture: "Picture", file: "File",
    audio: "Sound", video: "Video", loading: "Loading", uploading: "Uploading",
    connecting: "Connecting…", offline: "No connection. What you write is kept and sent as soon as it is back.",
    tryNow: "Try now", over: "This conversation is over.", again: "Start again",
    closedTitle: "The chat is closed at the moment", closedText: "Please come back a little later. This page looks again by itself.",
    look: "Look again", missingTitle: "There is no chat here",
    missingText: "The address may be incomplete, or the chat was removed. Check the link, or ask whoever sent it.",
    refusedTitle: "The chat cannot be opened here",
    refusedText: "This website is not on the list of those that may show it. Tell the owner of the website.",
    reload: "Reload the page", tooLarge: "This file is larger than 20 MB. Send a smaller one.",
    wrongKind: "This kind of file is not accepted. Send a picture, sound, video, PDF, office document or plain text.",
    harmful: "This file was not sent: the virus scanner found something harmful in it.",
    uploadFailed: "The file could not be sent.", noFile: "The file could not be loaded.", drop: "Drop the file here",
    tooManyFiles: "At most 10 files fit into one message.", remote: "Open in a new tab", poweredBy: "Works with Patchcord",
    person_joined: "You are talking to {name}", person_left: "{name} has left; the assistant goes on",
    sources: "Sources", wholeDocument: "Open the whole document", page: "page {n}", helped: "Did this help?", yes: "Yes", no: "No",
    gladHelped: "Glad it helped", sorryHelped: "Thank you, we will look into it",
    code_too_many: "You are writing very fast. Wait a few seconds.",
    code_too_large: "This is too large to send. Send less at once.",
    code_conversation_ended: "The conversation was over before this arrived.",
    code_agent_off: "The chat is closed at the moment.",
    code_input_invalid: "The message could not be read.",
    code_not_found: "A file of this message is no longer there. Attach it again.",
    code_error: "Something went wrong on our side.",
  },
  ru: {
    conversation: "Диалог", language: "Язык", write: "Напишите сообщение", send: "Отправить", attach: "Прикрепить файл",
    you: "Вы", typing: "печатает", today: "Сегодня", yesterday: "Вчера", newMessages: "Новые сообщения",
    sending: "Отправляется", notSent: "Не отправлено.", retry: "Повторить", remove: "Убрать", download: "Скачать",
    open: "Открыть", close: "Закрыть", options: "Варианты ответа", chosen: "выбрано", picture: "Изображение", file: "Файл",
    audio: "Аудио", video: "Видео", loading: "Загружается", uploading: "Загружается",
    connecting: "Соединяемся…", offline: "Нет связи. Всё, что вы напишете, сохранится и уйдёт, как только связь появится.",
    tryNow: "Проверить", over: "Диалог завершён.", again: "Начать заново",
    closedTitle: "Сейчас чат закрыт", closedText: "Загляните немного позже. Страница сама проверит, открылся ли чат.",
    look: "Проверить снова", missingTitle: "Здесь нет чата",
    missingText: "Возможно, адрес скопирован не полностью или чат удалён. Проверьте ссылку или спросите того, кто её прислал.",
    refusedTitle: "Здесь чат открыть нельзя",
    refusedText: "Этот сайт не входит в список тех, где чат разрешён. Сообщите об этом владельцу сайта.",
    reload: "Обновить страницу", tooLarge: "Файл больше 20 МБ. Отправьте файл поменьше.",
    wrongKind: "Такие файлы не принимаются. Подойдут изображения, аудио, видео, PDF, офисные документы и простой текст.",
    harmful: "Файл не отправлен: антивирус нашёл в нём что-то опасное.",
    uploadFailed: "Файл не удалось отправить.", noFile: "Файл не удалось загрузить.", drop: "Отпустите файл здесь",
    tooManyFiles: "В одном сообщении — не больше 10 файлов.", remote: "Открыть в новой вкладке", poweredBy: "Работает на Patchcord",
    person_joined: "С вами общается {name}", person_left: "{name} больше не на связи, дальше отвечает помощник",
    sources: "Источники", wholeDocument: "Открыть документ целиком", page: "стр. {n}", helped: "Это помогло?", yes: "Да", no: "Нет",
    gladHelped: "Рады помочь", sorryHelped: "Спасибо, мы это проверим",
    code_too_many: "Вы пишете очень быстро. Подождите несколько секунд.",
    code_too_large: "Слишком большое сообщение. Отправьте его по частям.",
    code_conversation_ended: "Диалог завершился раньше, чем дошло это сообщение.",
    code_agent_off: "Сейчас чат закрыт.",
    code_input_invalid: "Сообщение не удалось прочитать.",
    code_not_found: "Файла из этого сообщения больше нет. Прикрепите его ещё раз.",
    code_error: "У нас что-то пошло не так.",
  },
  uk: {
    conversation: "Діалог", language: "Мова", write: "Напишіть повідомлення", send: "Надіслати", attach: "Додати файл",
    you: "Ви", typing: "друкує", today: "Сьогодні", yesterday: "Учора", newMessages: "Нові повідомлення",
    sending: "Надсилається", notSent: "Не надіслано.", retry: "Повторити", remove: "Прибрати", download: "Завантажити",
    open: "Відкрити", close: "Закрити", options: "Варіанти відповіді", chosen: "вибрано", picture: "Зображення", file: "Файл",
    audio: "Аудіо", video: "Відео", loading: "Завантажується", uploading: "Завантажується",
    connecting: "З’єднуємося…", offline: "Немає зв’язку. Усе, що ви напишете, збережеться й піде, щойно зв’язок відновиться.",
    tryNow: "Перевірити", over: "Діалог завершено.", again: "Почати знову",
    closedTitle: "Зараз чат зачинено", closedText: "Завітайте трохи пізніше. Сторінка сама перевірить, чи відкрився чат.",
    look: "Перевірити знову", missingTitle: "Тут немає чату",
    missingText: "Можливо, адресу скопійовано не повністю або чат видалено. Перевірте посилання або спитайте того, хто його надіслав.",
    refusedTitle: "Тут чат відкрити не можна",
    refusedText: "Цього сайту немає в переліку тих, де чат дозволено. Повідомте про це власника сайту.",
    reload: "Оновити сторінку", tooLarge: "Файл більший за 20 МБ. Надішліть менший.",
    wrongKind: "Такі файли не приймаються. Підійдуть зображення, аудіо, відео, PDF, офісні документи та простий текст.",
    harmful: "Файл не надіслано: антивірус знайшов у ньому щось небезпечне.",
    uploadFailed: "Файл не вдалося надіслати.", noFile: "Файл не вдалося завантажити.", drop: "Відпустіть файл тут",
    tooManyFiles: "В одному повідомленні — щонайбільше 10 файлів.", remote: "Відкрити в новій вкладці", poweredBy: "Працює на Patchcord",
    person_joined: "З вами спілкується {name}", person_left: "{name} більше не на зв’язку, далі відповідає помічник",
    sources: "Джерела", wholeDocument: "Відкрити весь документ", page: "с. {n}", helped: "Це допомогло?", yes: "Так", no: "Ні",
    gladHelped: "Раді допомогти", sorryHelped: "Дякуємо, ми це перевіримо",
    code_too_many: "Ви пишете дуже швидко. Зачекайте кілька секунд.",
    code_too_large: "Завелике повідомлення. Надішліть його частинами.",
    code_conversation_ended: "Діалог завершився раніше, ніж дійшло це повідомлення.",
    code_agent_off: "Зараз чат зачинено.",
    code_input_invalid: "Повідомлення не вдалося прочитати.",
    code_not_found: "Файлу з цього повідомлення вже немає. Додайте його ще раз.",
    code_error: "У нас щось пішло не так.",
  },
};

let current = "en";

export const language = () => current;

export function t(key) {
  return WORDS[current][key] ?? WORDS[current].code_error;
}

/** The visitor's own choice, the address, what the browser prefers among the agent's languages, the agent's own. */
export function chooseLanguage({ chosen, asked, spoken = [], own }) {
  const ours = (code) => (code && LANGUAGES[code.slice(0, 2).toLowerCase()] ? code.slice(0, 2).toLowerCase() : null);
  const known = spoken.map(ours).filter(Boolean);
  const liked = (navigator.languages ?? []).map(ours).filter((code) => code && known.includes(code));
  return ours(chosen) ?? ours(asked) ?? liked[0] ?? ours(own) ?? "en";
}

/** Put the words of a language into everything marked with data-t (text) and data-t-label (name). */
export function speak(code, root = document) {
  current = LANGUAGES[code] ? code : "en";
  document.documentElement.lang = current;
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", t(element.dataset.tLabel));
    if (element.tagName === "BUTTON") element.title = t(element.dataset.tLabel);
  }
}

const UNITS = { en: ["B", "kB", "MB"], ru: ["Б", "КБ", "МБ"], uk: ["Б", "КБ", "МБ"] };

export function sizeText(bytes) {
  const power = bytes < 1000 ? 0 : bytes < 1_000_000 ? 1 : 2;
  const value = bytes / 1000 ** power;
  const shown = new Intl.NumberFormat(current, { maximumFractionDigits: value < 10 && power ? 1 : 0 }).format(value);
  return `${shown} ${UNITS[current][power]}`;
}

export function timeText(date) {
  return new Intl.DateTimeFormat(navigator.language, { hour: "numeric", minute: "2-digit" }).format(date);
}

export function momentText(date) {
  return new Intl.DateTimeFormat(current, { dateStyle: "long", timeStyle: "short" }).format(date);
}

export function dayText(date, now = new Date()) {
  const midnight = (d) => new Date(d.getFullYear(), d.getMonth(), d.getDate()).getTime();
  const days = Math.round((midnight(now) - midnight(date)) / 86_400_000);
  if (days === 0) return t("today");
  if (days === 1) return t("yesterday");
  const year = date.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return new Intl.DateTimeFormat(current, { weekday: "long", day: "numeric", month: "long", year }).format(date);
}
