/* What an answer is based on: a chip for each source that opens its passage, and whether the answer helped. */

import { icon } from "./files.js";
import { make, marked, safeAddress } from "./markup.js";
import { t } from "./words.js";

/** A group of chips below a bubble; one passage at a time is open. */
export function sources(list) {
  const chips = make("div", { class: "sources", role: "group", "aria-label": t("sources") });
  const place = make("div", { class: "passage", hidden: true });
  for (const [key, items] of byDocument(list)) chips.append(chip(key, items, chips, place));
  return make("div", { class: "based" }, make("span", { class: "label", "aria-hidden": "true" }, t("sources")), chips, place);
}

function byDocument(list) {
  const found = new Map();
  for (const item of list) {
    const key = `${item.title}\n${item.url}`;
    found.set(key, [...(found.get(key) ?? []), item]);
  }
  return found;
}

function chip(key, items, chips, place) {
  const first = items[0];
  const name = [make("b", {}, items.map((item) => item.number).join(", ")), make("span", {}, first.title)];
  const texts = items.filter((item) => item.text);
  const address = safeAddress(first.url);
  if (!texts.length && address) {
    return make("a", { class: "source", href: address, target: "_blank", rel: "noopener noreferrer nofollow ugc" }, ...name);
  }
  if (!texts.length) return make("span", { class: "source" }, ...name);
  const button = make("button", { type: "button", class: "source", "aria-expanded": "false" }, ...name);
  button.addEventListener("click", () => {
    const isOpen = button.getAttribute("aria-expanded") === "true";
    for (const other of chips.querySelectorAll("[aria-expanded]")) other.setAttribute("aria-expanded", "false");
    place.hidden = isOpen;
    if (isOpen) return;
    button.setAttribute("aria-expanded", "true");
    place.replaceChildren(...texts.flatMap(passage));
    if (address) place.append(make("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow ugc" }, t("wholeDocument")));
    place.scrollIntoView({ block: "nearest" });
  });
  return button;
}

function passage(item) {
  const where = [item.heading, item.page ? t("page").replace("{n}", item.page) : ""].filter(Boolean).join(" · ");
  return [make("p", { class: "where" }, `[${item.number}] ${where || item.title}`), make("blockquote", {}, ...marked(item.text))];
}

/** Two buttons; `rate(value)` with true, false or null (taken back). */
export function helpful(value, rate) {
  const group = make("div", { class: "helped", role: "group", "aria-label": t("helped") }, make("span", {}, t("helped")));
  const buttons = [["yes", true], ["no", false]].map(([name, means]) => {
    const button = make("button", { type: "button", "data-rate": name }, icon(name === "yes" ? "good" : "bad"), make("span", { class: "unseen" }, t(name)));
    button.title = t(name);
    button.addEventListener("click", () => rate(button.getAttribute("aria-pressed") === "true" ? null : means));
    return [button, means];
  });
  group.show = (now) => {
    for (const [button, means] of buttons) button.setAttribute("aria-pressed", String(now === means));
    group.querySelector("span").textContent = now == null ? t("helped") : t(now ? "gladHelped" : "sorryHelped");
  };
  group.append(...buttons.map(([button]) => button));
  group.show(value);
  return group;
}
