/* Where the visitor writes: the text (kept until it is sent), the files that go with it, Enter and the button. */

import { icon, kindOf, MAX_BYTES } from "./files.js";
import { make } from "./markup.js";
import { sizeText, t } from "./words.js";

const MOST_FILES = 10;
const ACCEPTED = "image/png,image/jpeg,image/gif,image/webp,audio/*,video/mp4,video/webm,.pdf,.txt,.doc,.docx,.xlsx,.pptx";

export class Composer {
  constructor({ form, store, files, said }) {
    Object.assign(this, { form, store, files, said });
    this.text = form.querySelector("textarea");
    this.tray = form.querySelector(".tray");
    this.button = form.querySelector(".send");
    this.picker = form.querySelector("input[type=file]");
    this.picker.accept = ACCEPTED;
    this.chosen = new Map(); // chip → {file, stored, upload}
    this.text.value = store.get("draft", { passing: true }) ?? "";
    this.listen();
    this.resize();
  }

  listen() {
    const { form, text, picker } = this;
    text.addEventListener("input", () => this.changed());
    text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.submit();
    });
    text.addEventListener("paste", (event) => {
      const pasted = [...(event.clipboardData?.files ?? [])];
      if (!pasted.length) return;
      event.preventDefault();
      this.attach(pasted);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    form.querySelector(".attach").addEventListener("click", () => picker.click());
    picker.addEventListener("change", () => {
      this.attach([...picker.files]);
      picker.value = "";
      text.focus();
    });
    this.acceptDrops(document.body);
  }

  acceptDrops(area) {
    const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    area.addEventListener("dragover", (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      document.documentElement.classList.toggle("dropping", !this.form.hidden);
    });
    area.addEventListener("dragleave", (event) => {
      if (!event.relatedTarget) document.documentElement.classList.remove("dropping");
    });
    area.addEventListener("drop", (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      document.documentElement.classList.remove("dropping");
      if (!this.form.hidden) this.attach([...event.dataTransfer.files]);
    });
  }

  /** Put a text back that could not be delivered, unless something else is being written. */
  giveBack(text) {
    if (this.text.value.trim() || !text) return;
    this.text.value = text;
    this.changed();
  }

  changed() {
    this.store.set("draft", this.text.value || null, { passing: true });
    this.resize();
  }

  resize() {
    this.text.style.height = "auto";
    this.text.style.height = `${Math.min(this.text.scrollHeight, 160)}px`;
    const waits = [...this.chosen.values()].some((one) => !one.stored);
    const isEmpty = !this.text.value.trim() && !this.chosen.size;
    this.button.setAttribute("aria-disabled", String(isEmpty || waits));
  }

  submit() {
    const text = this.text.value.trim();
    const files = [...this.chosen.values()].map((one) => one.stored);
    if ((!text && !files.length) || files.some((file) => !file)) return;
    this.said({ text, files });
    this.text.value = "";
    this.chosen.clear();
    this.tray.replaceChildren();
    this.changed();
    this.text.focus();
  }

  attach(files) {
    for (const file of files) {
      if (this.chosen.size >= MOST_FILES) {
        this.complain(t("tooManyFiles"));
        return;
      }
      this.add(file);
    }
  }

  complain(words) {
    const note = make("p", { class: "complaint", role: "alert" }, icon("alert"), words);
    this.tray.querySelector(".complaint")?.remove();
    this.tray.append(note);
    setTimeout(() => note.remove(), 8000);
  }

  add(file) {
    const bar = make("progress", { max: 1, value: 0, "aria-label": t("uploading") });
    const away = make("button", { type: "button", class: "away", "aria-label": `${t("remove")}: ${file.name}` }, icon("close"));
    const note = make("small", {}, sizeText(file.size));
    const face = kindOf(file) === "image" ? make("img", { src: URL.createObjectURL(file), alt: "" }) : icon("file");
    const chip = make("div", { class: "chip" }, face, make("span", {}, make("b", {}, file.name), note), bar, away);
    const entry = { file, stored: null, upload: null };
    this.chosen.set(chip, entry);
    this.tray.append(chip);
    away.addEventListener("click", () => {
      entry.upload?.cancel();
      this.chosen.delete(chip);
      chip.remove();
      this.resize();
      this.text.focus();
    });
    if (file.size > MAX_BYTES) this.refuse(chip, entry, "tooLarge");
    else this.upload(chip, entry);
    this.resize();
  }

  async upload(chip, entry) {
    const bar = chip.querySelector("progress");
    chip.classList.remove("bad");
    chip.querySelector(".more")?.remove();
    bar.hidden = false;
    entry.upload = this.files.send(entry.file, (share) => (bar.value = share));
    try {
      entry.stored = await entry.upload.done;
      bar.hidden = true;
      chip.querySelector("small").textContent = sizeText(entry.stored.size);
    } catch (error) {
      if (error.code !== "abort") this.refuse(chip, entry, error.code);
    }
    this.resize();
  }

  refuse(chip, entry, code) {
    chip.classList.add("bad");
    chip.querySelector("progress").hidden = true;
    chip.querySelector("small").textContent = t(code);
    chip.querySelector("small").setAttribute("role", "alert");
    if (code !== "uploadFailed" && code !== "code_too_many") return;
    const again = make("button", { type: "button", class: "more" }, t("retry"));
    again.addEventListener("click", () => this.upload(chip, entry));
    chip.querySelector(".away").before(again);
  }
}
