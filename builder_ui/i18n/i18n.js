// The interface language in the browser: which one, and the texts of all of them. Areas with many texts of their own come
// with the first page that shows one of them.
import { useSyncExternalStore } from "react";
import agents from "./agents.json";
import channels from "./channels.json";
import contacts from "./contacts.json";
import connections from "./connections.json";
import serving from "./serving.json";
import conversations from "./conversations.json";
import errors from "./errors.json";
import events from "./events.json";
import knowledge from "./knowledge.json";
import inbox from "./inbox.json";
import calls from "./calls.json";
import letters from "./letters.json";
import models from "./models.json";
import rerank from "./rerank.json";
import settings from "./settings.json";
import shell from "./shell.json";
import telegram from "./telegram.json";

export const LANGUAGES = ["en", "ru", "uk"];
const KEPT_AS = "patchcord.language";
const texts = { ...shell, ...errors, ...agents, ...channels, ...models, ...conversations, ...knowledge, ...letters, ...events, ...settings, ...telegram, ...contacts, ...inbox, ...calls, ...connections, ...serving, ...rerank };
const AREAS = {
  conditions: () => import("./conditions.json"),
  triggers: () => import("./triggers.json"),
  chains: () => import("./chains.json"),
  approval: () => import("./approval.json"),
  answering: () => import("./approval.json"),
  update_rules: () => import("./update_rules.json"),
  questions: () => import("./questions.json"),
  work: () => import("./work.json"),
  stores: () => import("./stores.json"),
  exchange: () => import("./knowledge_exchange.json"),
};
const asked = {};
const listeners = new Set();
let current = null;
let arrivals = 0;
// What arrives while React still compares the page with the prerendered one, which has none of these texts, waits until it
// has: otherwise React throws the prerendered page away, and the styles that came with it.
let held = [];

function fetchArea(area) {
  asked[area] ??= AREAS[area]().then(
    (found) => (listeners.size ? arrive(area, found.default) : held.push([area, found.default])),
    () => delete asked[area], // the next text asks again
  );
}

function arrive(area, found) {
  Object.assign(texts, found);
  asked[area] = true;
  arrivals += 1;
  listeners.forEach((listener) => listener());
}

function firstLanguage() {
  if (typeof window === "undefined") return "en";
  let kept = null;
  try {
    kept = localStorage.getItem(KEPT_AS);
  } catch {
    // Storage may be forbidden; the browser's own languages decide then.
  }
  const wanted = [kept, ...(navigator.languages || [])].filter(Boolean).map((code) => code.slice(0, 2));
  return wanted.find((code) => LANGUAGES.includes(code)) || "en";
}

export function getLanguage() {
  if (current === null) current = firstLanguage();
  return current;
}

export function setLanguage(code) {
  if (!LANGUAGES.includes(code) || code === getLanguage()) return;
  current = code;
  try {
    localStorage.setItem(KEPT_AS, code);
  } catch {
    // The choice then lasts until the page is closed.
  }
  listeners.forEach((listener) => listener());
}

function subscribe(listener) {
  const onStorage = (event) => {
    if (event.key === KEPT_AS && LANGUAGES.includes(event.newValue)) setLanguage(event.newValue);
  };
  listeners.add(listener);
  if (held.length) {
    const waiting = held;
    held = [];
    queueMicrotask(() => waiting.forEach(([area, found]) => arrive(area, found)));
  }
  window.addEventListener("storage", onStorage);
  return () => {
    listeners.delete(listener);
    window.removeEventListener("storage", onStorage);
  };
}

export function useLanguage() {
  useSyncExternalStore(subscribe, () => arrivals, () => 0);
  return useSyncExternalStore(subscribe, getLanguage, () => "en");
}

const rules = {};

/** The text of a key. `params.n` chooses among plural forms; {name} is replaced by params.name. */
export function tr(language, key, params) {
  const entry = texts[key];
  const area = entry === undefined ? key.slice(0, key.indexOf(".")) : "";
  if (AREAS[area] && !(asked[area] === true)) {
    if (typeof window !== "undefined") fetchArea(area);
    return "";
  }
  if (entry === undefined) return params && params.otherwise !== undefined ? params.otherwise : key;
  let text = entry[language] ?? entry.en;
  if (typeof text !== "string") {
    rules[language] ??= new Intl.PluralRules(language);
    text = text[rules[language].select(Number(params?.n ?? 0))] ?? text.other;
  }
  return params ? text.replace(/\{(\w+)\}/g, (whole, name) => params[name] ?? whole) : text;
}
