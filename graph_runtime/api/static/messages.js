/* The list of messages: each once and in the order of its number, with what is streaming now below them. */

import { icon } from "./files.js";
import { make, marked, plain } from "./markup.js";
import { helpful, sources } from "./sources.js";
import { dayText, momentText, t, timeText } from "./words.js";

const NEAR_PX = 120;

export class Messages {
  constructor({ scroller, log, now, jump, files, agentName, chosen, retry, remove, rate }) {
    Object.assign(this, { scroller, log, now, jump, files, agentName, chosen, retry, remove, rate });
    this.rows = new Map(); // seq → row
    this.mine = new Map(); // client_id → row that has no number yet
    this.streams = new Map();
    this.last = 0;
    this.isOver = false;
    this.dots = now.querySelector(".typing");
    jump.addEventListener("click", () => this.toEnd(true));
    scroller.addEventListener("scroll", () => this.isNear() && (jump.hidden = true), { passive: true });
    scroller.addEventListener("grown", () => this.stuck && this.toEnd());
    new ResizeObserver(() => this.stuck && this.toEnd()).observe(scroller);
    scroller.addEventListener("scroll", () => (this.stuck = this.isNear()), { passive: true });
    this.stuck = true;
  }

  clear() {
    this.rows.clear();
    this.mine.clear();
    this.reset("");
    this.last = 0;
    this.isOver = false;
    this.log.replaceChildren();
    this.typing(false);
  }

  /** Show a message of the server; one that is here already is not shown twice. */
  add(message) {
    if (this.rows.has(message.seq)) return;
    const own = this.mine.get(message.client_id);
    const row = own ?? (message.role === "system" ? make("div", { class: "row event" }) : this.row(message.role === "contact"));
    if (own) this.mine.delete(message.client_id);
    row.dataset.seq = message.seq;
    row.className = row.className.replace(/ (waiting|failed)/g, "");
    this.fill(row, message);
    this.rows.set(message.seq, row);
    this.last = Math.max(this.last, message.seq);
    if (message.role !== "contact") this.reset(message.key || null);
    this.place(row, message.seq);
    this.arrange();
    this.arrived(message.role === "contact");
  }

  /** Show what the visitor has just said, before the server knows. */
  addOwn(entry) {
    if (this.mine.has(entry.client_id)) return;
    const row = this.row(true);
    row.classList.add("waiting");
    const parts = entry.text ? [{ kind: "text", text: entry.text }] : [];
    parts.push(...entry.files.map((file) => ({ kind: "media", media: "document", ...file })));
    this.fill(row, { role: "contact", parts, created_at: entry.at });
    this.mine.set(entry.client_id, row);
    this.log.append(row);
    this.arrange();
    this.arrived(true);
  }

  ownState(entry, state) {
    if (state === "waiting") this.addOwn(entry);
    const row = this.mine.get(entry.client_id);
    if (!row) return;
    row.querySelector(".trouble")?.remove();
    row.classList.toggle("waiting", state === "waiting");
    row.classList.toggle("failed", state === "failed");
    if (state === "gone") {
      this.mine.delete(entry.client_id);
      row.remove();
      this.arrange();
    }
    if (state !== "failed") return;
    const again = make("button", { type: "button" }, t("retry"));
    const away = make("button", { type: "button" }, t("remove"));
    again.addEventListener("click", () => this.retry(entry));
    away.addEventListener("click", () => this.remove(entry));
    row.append(make("p", { class: "trouble", role: "alert" }, icon("alert"), `${t("notSent")} ${t(`code_${entry.code}`)} `, again, away));
    this.arrived(true);
  }

  stream(key, text) {
    let found = this.streams.get(key);
    if (!found) {
      const row = this.row(false);
      row.append(make("div", { class: "bubble" }));
      found = { row, text: "", due: 0 };
      this.streams.set(key, found);
      this.now.insertBefore(row, this.dots);
      this.typing(false);
    }
    found.text += text;
    found.due ||= requestAnimationFrame(() => {
      found.due = 0;
      found.row.firstChild.replaceChildren(...marked(found.text));
      this.arrived(false);
    });
  }

  /** Forget what was streaming under a key; "" means everything, null nothing but the oldest. */
  reset(key) {
    const keys = key === "" || key === null ? [...this.streams.keys()] : [key];
    for (const one of keys) {
      const found = this.streams.get(one);
      if (!found) continue;
      cancelAnimationFrame(found.due);
      found.row.remove();
      this.streams.delete(one);
    }
  }

  typing(isTyping) {
    this.dots.hidden = !isTyping || this.streams.size > 0;
    if (isTyping && this.stuck) this.toEnd();
  }

  over(isOver) {
    this.isOver = isOver;
    this.arrange();
  }

  row(isOwn) {
    return make("div", { class: `row ${isOwn ? "own" : "agent"}` });
  }

  fill(row, message) {
    const isOwn = message.role === "contact";
    const person = message.parts?.find((part) => part.kind === "person");
    if (message.role === "system") {
      row.replaceChildren(make("span", {}, person ? t(`person_${person.event}`).replace("{name}", person.name) : message.text));
      return;
    }
    const by = message.role === "member" ? message.flags?.by : "";
    row.replaceChildren(make("span", { class: "unseen" }, `${isOwn ? t("you") : by || this.agentName()}: `));
    if (by) row.append(make("span", { class: "by", "aria-hidden": "true" }, by));
    const parts = message.parts?.length ? message.parts : [{ kind: "text", text: message.text ?? "" }];
    row.message = { ...message, parts };
    for (const part of parts) {
      if (part.text) row.append(make("div", { class: "bubble" }, ...(isOwn ? plain(part.text) : marked(part.text))));
      if (part.kind === "media") row.append(make("div", { class: "bubble holds" }, this.files.show(part)));
      if (part.kind === "choices" && part.options?.length) row.append(this.options(row, part));
    }
    const based = isOwn ? [] : parts.flatMap((part) => part.sources ?? []);
    if (based.length) {
      row.append(sources(based));
      if (message.seq) row.append((row.helped = helpful({ yes: true, no: false }[message.flags?.rated], (value) => this.rate(message.seq, value))));
    }
    const at = new Date(message.created_at);
    if (!Number.isNaN(at.getTime())) {
      row.at = at;
      row.append(make("time", { dateTime: at.toISOString(), title: momentText(at) }, timeText(at)));
    }
  }

  /** The server has kept what the visitor thinks of an answer. */
  rated(seq, value) {
    this.rows.get(seq)?.helped?.show(value);
  }

  options(row, part) {
    const group = make("div", { class: "options", role: "group", "aria-label": t("options") });
    for (const option of part.options) {
      const button = make("button", { type: "button", class: "option", "data-option": option.id }, make("span", {}, option.label));
      button.addEventListener("click", () => {
        if (button.getAttribute("aria-disabled") !== "true") this.chosen(option);
      });
      group.append(button);
    }
    return group;
  }

  place(row, seq) {
    let after = null;
    for (const [other, element] of this.rows) if (other < seq && (!after || other > Number(after.dataset.seq))) after = element;
    const next = after ? after.nextSibling : this.log.querySelector(".row");
    if (next === row) return;
    if (next) this.log.insertBefore(row, next);
    else this.log.append(row);
  }

  /** Days, groups of one side, and which buttons can still be pressed. */
  arrange() {
    for (const line of this.log.querySelectorAll(".day")) line.remove();
    const rows = [...this.log.querySelectorAll(".row")];
    let day = "";
    rows.forEach((row, i) => {
      const before = rows[i - 1];
      const isEvent = row.classList.contains("event") || before?.classList.contains("event");
      const same = before && !isEvent && before.classList.contains("own") === row.classList.contains("own");
      row.classList.toggle("follows", Boolean(same));
      const shown = row.at ? row.at.toDateString() : day;
      if (shown !== day) {
        if (day || shown !== new Date().toDateString()) {
          row.before(make("div", { class: "day" }, make("span", {}, dayText(row.at))));
          row.classList.remove("follows");
        }
        day = shown;
      }
      this.settle(row, rows.slice(i + 1).find((other) => other.classList.contains("own")));
    });
  }

  settle(row, answer) {
    const isClosed = Boolean(answer) || this.isOver;
    const said = answer?.message?.parts.find((part) => part.kind === "text")?.text;
    let isMarked = false;
    for (const button of row.querySelectorAll(".option")) {
      const isChosen = !isMarked && said !== undefined && said === button.textContent;
      isMarked ||= isChosen;
      button.setAttribute("aria-disabled", String(isClosed));
      button.classList.toggle("chosen", isChosen);
      if (isChosen) {
        button.setAttribute("aria-pressed", "true");
        if (!button.querySelector(".icon")) button.prepend(icon("check"));
      } else {
        button.removeAttribute("aria-pressed");
        button.querySelector(".icon")?.remove();
      }
    }
  }

  arrived(isOwn) {
    if (isOwn || this.stuck) this.toEnd();
    else this.jump.hidden = false;
  }

  isNear() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_PX;
  }

  toEnd(isSmooth = false) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior: isSmooth && !calm ? "smooth" : "instant" });
    this.stuck = true;
    this.jump.hidden = true;
  }
}
