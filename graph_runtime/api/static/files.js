/* Files of the conversation: sending with progress, fetching with the visitor's token, showing. */

import { make, safeAddress } from "./markup.js";
import { sizeText, t } from "./words.js";

export const MAX_BYTES = 20_000_000;
const KINDS = {
  image: /\.(png|jpe?g|gif|webp)$/i,
  audio: /\.(ogg|mp3|wav|m4a)$/i,
  video: /\.(mp4|webm)$/i,
};

export function kindOf(file) {
  const stated = String(file.mime ?? file.type ?? "").split("/")[0];
  if (stated in KINDS) return stated;
  return Object.keys(KINDS).find((kind) => KINDS[kind].test(file.name ?? "")) ?? "document";
}

/** A name people can read: the server's own names say nothing but the kind. */
function nameOf(part) {
  const made = /^(image|audio|video|document)-[0-9a-f]{8}\.(\w+)$/.exec(part.name ?? "");
  if (!made) return part.name || t("file");
  return `${t({ image: "picture", document: "file" }[made[1]] ?? made[1])} (${made[2].toUpperCase()})`;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

const FAILURES = {
  file_harmful: "harmful", 413: "tooLarge", 400: "wrongKind", 422: "wrongKind", 429: "code_too_many",
};

/** The `code` of a refusal, or "" when something else answered. */
function codeOf(request) {
  try {
    return JSON.parse(request.responseText).code ?? "";
  } catch {
    return "";
  }
}

/** `token()` gives the visitor's token. */
export class Files {
  constructor(publicId, token) {
    this.address = `/api/chat/${encodeURIComponent(publicId)}/files`;
    this.token = token;
    this.own = new Map(); // file id → File this page has sent, so that it need not be fetched
    this.fetched = new Map();
  }

  /** {done: Promise of the stored file, cancel()}; the promise fails with an Error whose `code` has words. */
  send(file, progressed) {
    const request = new XMLHttpRequest();
    const done = new Promise((resolve, reject) => {
      const fail = (code) => reject(Object.assign(new Error(code), { code }));
      request.open("POST", this.address);
      request.setRequestHeader("Authorization", `Bearer ${this.token()}`);
      request.upload.addEventListener("progress", (e) => e.lengthComputable && progressed(e.loaded / e.total));
      request.addEventListener("error", () => fail("uploadFailed"));
      request.addEventListener("abort", () => fail("abort"));
      request.addEventListener("load", () => {
        if (request.status === 201) {
          const stored = JSON.parse(request.responseText);
          this.own.set(stored.file_id, file);
          resolve(stored);
        } else {
          fail(FAILURES[codeOf(request)] ?? FAILURES[request.status] ?? "uploadFailed");
        }
      });
      const form = new FormData();
      form.append("file", file);
      request.send(form);
    });
    return { done, cancel: () => request.abort() };
  }

  /** The address of a blob with the file. */
  async load(fileId) {
    if (!this.fetched.has(fileId)) this.fetched.set(fileId, this.fetch(fileId));
    try {
      return await this.fetched.get(fileId);
    } catch (error) {
      this.fetched.delete(fileId);
      throw error;
    }
  }

  async fetch(fileId) {
    const own = this.own.get(fileId);
    if (own) return URL.createObjectURL(own);
    const answer = await fetch(`${this.address}/${encodeURIComponent(fileId)}`, {
      headers: { Authorization: `Bearer ${this.token()}` },
    });
    if (!answer.ok) throw new Error(String(answer.status));
    return URL.createObjectURL(await answer.blob());
  }

  /** A media part as an element. Files of other hosts are shown as a link: a picture there could count its viewers. */
  show(part) {
    const figure = make("figure", { class: "media" });
    if (!part.file_id) {
      const address = safeAddress(part.url);
      figure.append(address ? this.remote(part, address) : make("p", {}, t("noFile")));
    } else if (kindOf(part) === "document") {
      figure.append(this.card(part));
    } else {
      this.player(part, kindOf(part), figure);
    }
    if (part.caption) figure.append(make("figcaption", {}, part.caption));
    return figure;
  }

  remote(part, address) {
    const link = make("a", { class: "file", href: address, target: "_blank", rel: "noopener noreferrer nofollow" });
    const word = { image: "picture", audio: "audio", video: "video" }[part.media] ?? "file";
    link.append(icon(part.media === "image" ? "picture" : "file"), this.words(part.name || t(word), `${t("remote")} · ${new URL(address).host}`));
    return link;
  }

  card(part) {
    const button = make("button", { class: "file", type: "button" });
    const note = [part.size ? sizeText(part.size) : "", t("download")].filter(Boolean).join(" · ");
    button.append(icon("file"), this.words(nameOf(part), note));
    button.addEventListener("click", async () => {
      button.disabled = true;
      try {
        make("a", { href: await this.load(part.file_id), download: part.name || "file" }).click();
      } catch {
        button.querySelector("small").textContent = t("noFile");
      }
      button.disabled = false;
    });
    return button;
  }

  words(name, note) {
    return make("span", {}, make("b", {}, name), make("small", {}, note));
  }

  async player(part, kind, figure) {
    const frame = make("div", { class: `frame ${kind}` });
    figure.prepend(frame);
    try {
      const address = await this.load(part.file_id);
      if (kind !== "image") {
        frame.replaceChildren(make(kind, { src: address, controls: true, preload: "metadata", "aria-label": part.name || t(kind) }));
        return;
      }
      const picture = make("img", { src: address, alt: part.caption || nameOf(part), decoding: "async" });
      const button = make("button", { type: "button", class: "picture", "aria-label": `${t("open")}: ${picture.alt}` }, picture);
      button.addEventListener("click", () => this.enlarge(address, part));
      frame.replaceChildren(button);
      picture.addEventListener("load", () => frame.dispatchEvent(new CustomEvent("grown", { bubbles: true })));
    } catch {
      frame.replaceWith(this.card(part));
    }
  }

  enlarge(address, part) {
    const dialog = document.querySelector("#viewer");
    dialog.querySelector("img").src = address;
    dialog.querySelector("img").alt = part.caption || nameOf(part);
    Object.assign(dialog.querySelector("a"), { href: address, download: part.name || "picture" });
    dialog.showModal();
  }
}
