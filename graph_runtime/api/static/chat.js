/* The chat page: puts the connection, the list of messages, the composer and the states of the page together. */

import { paint } from "./colors.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { Files } from "./files.js";
import { Messages } from "./messages.js";
import { Outbox } from "./outbox.js";
import { Panel } from "./panel.js";
import { Store } from "./store.js";
import { chooseLanguage, language, LANGUAGES, speak, t } from "./words.js";

const LOOK_AGAIN_MS = 60_000;
const MOST_TYPING_MS = 60_000;
const $ = (selector) => document.querySelector(selector);
const about = JSON.parse(document.body.dataset.about);
const store = new Store(about.public_id);
const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/chat/${encodeURIComponent(about.public_id)}`;
const panel = new Panel({ opened: (isOpen) => isOpen && opened(), about: describe });
if (panel.isInside && !store.lasting) store.borrow(await panel.greeted, (all) => panel.tell("keep", { all }));

let token = store.get("visitor")?.token ?? "";
let conversation = "";
let history = 0; // the last number that was said before we came
let startsAgain = false;
let hasSpoken = false;
let calm = null;
const coming = []; // events that wait while "typing" is shown
let isPacing = false;

const files = new Files(about.public_id, () => token);
const messages = new Messages({
  scroller: $("#scroller"),
  log: $("#log"),
  now: $("#now"),
  jump: $("#jump"),
  files,
  agentName: () => title(),
  chosen: (option) => outbox.add({ text: option.label, option }),
  retry: (entry) => outbox.retry(entry),
  remove: (entry) => outbox.remove(entry),
  rate: (seq, helpful) => connection.send({ t: "rate", seq, helpful }),
});
const outbox = new Outbox(store, {
  send: (frame) => connection.send(frame),
  changed: (entry, state) => messages.ownState(entry, state),
});
const connection = new Connection(address, {
  hello: () => ({ t: "hello", token, after: conversation ? messages.last : 0, language: language(), again: startsAgain }),
  received: (frame) => receive(frame),
  changed: (state, detail) => connectionChanged(state, detail),
});
const composer = new Composer({ form: $("#composer"), store, files, said: (what) => outbox.add(what) });

function title() {
  return about.look?.title || about.name || "";
}

function describe() {
  const colors = paint(about.look?.theme?.accent);
  return {
    found: about.found,
    name: title(),
    language: language(),
    accent: colors.accent,
    ink: colors.ink,
    position: about.look?.position ?? "",
    greeting: about.look?.greeting ?? "",
  };
}

function receive(frame) {
  if (frame.t === "welcome") welcomed(frame);
  else if (frame.t === "event") live(frame.event);
  else if (frame.t === "accepted") {
    outbox.accepted(frame.client_id);
    awaitAnswer();
  } else if (frame.t === "rated") messages.rated(frame.seq, frame.helpful);
  else if (frame.t === "error") refused(frame);
}

function welcomed(frame) {
  token = frame.token;
  startsAgain = false;
  const id = frame.conversation_id ?? "";
  if (id !== conversation) {
    messages.clear();
    coming.length = 0;
    hasSpoken = false;
  }
  const before = store.get("visitor");
  store.set("visitor", { token, conversation: id, seen: before?.conversation === id ? before.seen : 0, over: frame.status === "ended" });
  conversation = id;
  history = frame.seq ?? 0;
  messages.reset("");
  messages.typing(false);
  $("#log").setAttribute("aria-live", messages.last < history ? "off" : "polite");
  about.name = frame.agent?.name || about.name;
  about.look = frame.agent?.look ?? about.look;
  dress();
  show(id ? (frame.status === "open" ? "open" : "over") : "closed");
  if (!id) return;
  for (const entry of outbox.begin(id)) {
    messages.ownState(entry, "gone");
    composer.giveBack(entry.text);
  }
  if (frame.status === "open" && (frame.is_running || history === 0)) awaitAnswer();
}

/** Messages come at the pace their author asked for; what was said before we came is shown at once. */
function live(event) {
  const isOld = event.type === "message" && event.message.seq <= history;
  if (isPacing && !isOld) coming.push(event);
  else pace(event, isOld);
}

function pace(event, isOld = false) {
  const pause = event.type === "message" && !isOld && event.message.role !== "contact" && !document.hidden && panel.isOpen
    ? Math.min(10_000, event.message.parts?.[0]?.typing_ms ?? 0) : 0;
  if (!pause) {
    happened(event);
    return;
  }
  isPacing = true;
  messages.typing(true);
  setTimeout(() => {
    isPacing = false;
    happened(event);
    while (coming.length && !isPacing) pace(coming.shift());
  }, pause);
}

function happened(event) {
  switch (event.type) {
    case "message":
      said(event.message);
      break;
    case "delta":
      messages.stream(event.key, event.text);
      break;
    case "reset":
      messages.reset(event.key);
      break;
    case "typing":
      awaitAnswer();
      break;
    case "turn":
    case "error":
      messages.reset("");
      answered();
      break;
    case "ended":
      answered();
      show("over");
      break;
  }
}

function said(message) {
  const isOwn = message.role === "contact";
  hasSpoken ||= isOwn;
  if (isOwn) outbox.accepted(message.client_id);
  else messages.typing(false);
  messages.add(message);
  if (message.seq >= history) $("#log").setAttribute("aria-live", "polite");
  seen();
}

function seen() {
  const visitor = store.get("visitor");
  if (!visitor) return;
  const isSeen = panel.isOpen && !document.hidden;
  const count = [...messages.rows].filter(([seq, row]) => seq > (visitor.seen ?? 0) && row.classList.contains("agent")).length;
  if (isSeen) store.set("visitor", { ...visitor, seen: Math.max(visitor.seen ?? 0, messages.last) });
  panel.unread(isSeen ? 0 : count);
  document.title = !isSeen && count && !panel.isInside ? `(${count}) ${title()}` : title();
}

/** The agent is at work: show it until the turn ends, but not for ever. */
function awaitAnswer() {
  messages.typing(true);
  clearTimeout(calm);
  calm = setTimeout(answered, MOST_TYPING_MS);
}

function answered() {
  clearTimeout(calm);
  calm = null;
  messages.typing(false);
}

function refused(frame) {
  if (frame.client_id) outbox.refused(frame.client_id, frame.code, frame.retry_after);
  if (frame.code === "conversation_ended") show("over");
  else if (frame.code === "agent_off" && !frame.client_id) show("closed");
}

function connectionChanged(state, detail) {
  const banner = $("#banner");
  if (state === "open") {
    clearTimeout(banner.later);
    banner.hidden = true;
    return;
  }
  outbox.lost();
  clearTimeout(calm);
  calm = null;
  messages.typing(false);
  if (state === "refused") {
    banner.hidden = true;
    show(detail === 4404 ? "missing" : detail === 4403 ? "refused" : "broken");
  } else if (state === "waiting" && banner.hidden) {
    // A cut of a second is nobody's business.
    clearTimeout(banner.later);
    banner.later = setTimeout(() => (banner.hidden = connection.state === "open"), navigator.onLine ? 1200 : 0);
  }
}

let looking = null;

/** The page is "connecting", "open", "over", or says why there is nothing to talk to. */
function show(state) {
  document.documentElement.dataset.state = state;
  clearInterval(looking);
  const wasWriting = $("#composer").contains(document.activeElement);
  const wasAtEnd = document.activeElement === $("#again");
  const isBlank = ["closed", "missing", "refused", "broken"].includes(state);
  $("#note").hidden = !isBlank;
  $("#scroller").hidden = isBlank;
  $("#composer").hidden = isBlank || state === "over";
  $("#over").hidden = state !== "over";
  messages.over(state === "over");
  // The keyboard stays where the conversation goes on; a key meant for an unfinished sentence must not press the button.
  if (state === "over" && wasWriting) (composer.text.value ? $("#scroller") : $("#again")).focus();
  if (state === "open" && wasAtEnd && matchMedia("(hover: hover)").matches) composer.text.focus();
  if (state === "over") {
    const visitor = store.get("visitor");
    if (visitor) store.set("visitor", { ...visitor, over: true });
  }
  if (state === "closed") looking = setInterval(lookAgain, LOOK_AGAIN_MS + Math.random() * 10_000);
  note(state);
}

function note(state) {
  const words = { closed: "closed", missing: "missing", refused: "refused", broken: "refused" }[state];
  if (!words) return;
  $("#note use").setAttribute("href", state === "closed" ? "#i-moon" : "#i-alert");
  $("#note h2").textContent = state === "broken" ? t("code_error") : t(`${words}Title`);
  $("#note p").textContent = state === "broken" ? "" : t(`${words}Text`);
  $("#note button").textContent = t(state === "closed" ? "look" : "reload");
}

function lookAgain() {
  if (document.documentElement.dataset.state === "closed") {
    connection.close();
    connection.open();
  } else location.reload();
}

function dress() {
  paint(about.look?.theme?.accent);
  $("#name").textContent = title();
  $("#face").textContent = [...String(about.look?.avatar || title() || "?").trim()].slice(0, 1).join("").toUpperCase();
  $("#subtitle").textContent = about.look?.subtitle ?? "";
  $("#greeting").textContent = about.look?.greeting ?? "";
  $("#greeting").hidden = !about.look?.greeting;
  $("#composer textarea").placeholder = about.look?.placeholder || t("write");
  document.title = title() || t("conversation");
}

function speakNow(code) {
  speak(code);
  $("#language").value = code;
  $("#code").textContent = code.toUpperCase();
  dress();
  note(document.documentElement.dataset.state);
}

/** Who has said nothing yet gets the conversation itself in the language they choose. */
function changeLanguage(code) {
  store.set("language", code);
  speakNow(code);
  if (!hasSpoken && conversation && !outbox.entries.length) startAgain();
}

function startAgain() {
  startsAgain = true;
  connection.close();
  connection.open();
}

function opened() {
  if (about.found && connection.state === "closed") connection.open();
  seen();
  if (matchMedia("(hover: hover)").matches && !$("#composer").hidden) $("#composer textarea").focus();
  messages.toEnd();
}

function begin() {
  for (const [code, name] of Object.entries(LANGUAGES)) $("#language").append(new Option(name, code));
  const asked = new URLSearchParams(location.search).get("lang");
  speakNow(chooseLanguage({ chosen: store.get("language"), asked, spoken: about.found ? about.languages : Object.keys(LANGUAGES), own: about.language }));
  $("#language").addEventListener("change", (event) => changeLanguage(event.target.value));
  $("#again").addEventListener("click", startAgain);
  $("#try").addEventListener("click", () => connection.now());
  $("#note button").addEventListener("click", lookAgain);
  $("#viewer form button").addEventListener("click", () => $("#viewer").close());
  $("#viewer").addEventListener("click", (event) => event.target === event.currentTarget && event.target.close());
  document.addEventListener("visibilitychange", seen);
  // An on-screen keyboard that covers the page instead of making it smaller.
  visualViewport?.addEventListener("resize", () => {
    document.documentElement.style.setProperty("--view", `${Math.round(visualViewport.height)}px`);
    messages.stuck && messages.toEnd();
  });
  store.watch("visitor", (visitor) => {
    if (!visitor?.token || visitor.conversation === conversation || connection.state !== "open") return;
    token = visitor.token; // another tab has begun a new conversation
    connection.close();
    connection.open();
  });
  if (!about.found) {
    show("missing");
    return;
  }
  show("connecting");
  for (const entry of outbox.entries) messages.ownState(entry, entry.code ? "failed" : "waiting");
  const visitor = store.get("visitor");
  if (panel.isOpen || (visitor?.conversation && !visitor.over)) connection.open();
  if (panel.isOpen && matchMedia("(hover: hover)").matches) $("#composer textarea").focus();
}

begin();
panel.ready();
