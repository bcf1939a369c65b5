/* The chat on another site: a button and a panel. One tag: <script src="https://HOST/widget.js" data-agent="ID" async>.
 * data-position left|right, data-color #rrggbb, data-label text, data-language en|ru|uk, data-open yes.
 * Everything lives in a shadow tree and a sandboxed frame, so no style gets in or out; nothing needs inline code. */
(() => {
  "use strict";
  const script = document.currentScript ?? document.querySelector('script[data-agent][src*="/widget.js"]');
  const agent = script?.dataset.agent;
  if (!agent) return console.warn("Patchcord: the script tag needs data-agent, the id of the agent.");
  if (window.patchcord?.agent) return undefined;
  const home = new URL(script.src, location.href).origin;
  const asked = script.dataset;
  const LABELS = {
    en: ["Open the chat", "Close the chat", "new messages"],
    ru: ["Открыть чат", "Закрыть чат", "есть новые сообщения"],
    uk: ["Відкрити чат", "Закрити чат", "є нові повідомлення"],
  };
  const CSS = `
    :host { all: initial !important; position: fixed !important; z-index: 2147483000 !important; inset: auto !important;
      display: block !important; --accent: #5b5bd6; --accent-ink: #fff; }
    * { box-sizing: border-box; }
    button { position: fixed; bottom: calc(20px + env(safe-area-inset-bottom, 0px)); right: 20px; display: inline-flex;
      align-items: center; justify-content: center; gap: 10px; height: 56px; min-width: 56px; padding: 0 16px; border: 0;
      border-radius: 28px; background: var(--accent); color: var(--accent-ink); cursor: pointer;
      font: 500 15px/1 "Inter Variable", Inter, system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif;
      box-shadow: 0 6px 20px rgb(0 0 0 / 20%), 0 1px 3px rgb(0 0 0 / 14%); touch-action: manipulation;
      transition: transform .15s ease-out, opacity .15s ease-out; }
    button:hover { transform: translateY(-1px); }
    button:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
    .left button { right: auto; left: 20px; }
    button span { max-width: 40vw; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; padding-right: 4px; line-height: 1.3; }
    button span:empty { display: none; }
    svg { width: 24px; height: 24px; fill: none; stroke: currentColor; stroke-width: 1.9; stroke-linecap: round;
      stroke-linejoin: round; flex: none; }
    .shut { display: none; }
    .open .shut { display: block; }
    .open .talk, .open button span { display: none; }
    .dot { position: absolute; top: 0; right: 0; width: 16px; height: 16px; border-radius: 50%; background: #e5484d;
      border: 3px solid #fff; }
    [hidden] { display: none !important; }
    .panel { position: fixed; right: 20px; bottom: calc(92px + env(safe-area-inset-bottom, 0px)); width: 392px;
      height: min(660px, calc(100vh - 116px)); height: min(660px, calc(100dvh - 116px)); border-radius: 18px;
      overflow: hidden; background: Canvas; color-scheme: light dark; box-shadow: 0 16px 48px rgb(0 0 0 / 22%), 0 0 0 1px rgb(0 0 0 / 7%);
      visibility: hidden; opacity: 0; transform: translateY(8px); transition: opacity .15s ease-out, transform .15s ease-out, visibility 0s .15s; }
    .left .panel { right: auto; left: 20px; }
    .open .panel { visibility: visible; opacity: 1; transform: none; transition: opacity .15s ease-out, transform .15s ease-out; }
    iframe { display: block; width: 100%; height: 100%; border: 0; color-scheme: normal; }
    @media (max-width: 480px), (max-height: 480px) {
      .panel, .left .panel { inset: 0; width: 100%; height: var(--view, 100dvh); border-radius: 0; box-shadow: none; }
      .open button { display: none; }
    }
    @media (prefers-color-scheme: dark) { .panel { box-shadow: 0 16px 48px rgb(0 0 0 / 50%), 0 0 0 1px rgb(255 255 255 / 12%); } .dot { border-color: #18191b; } }
    @media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
    @media print { :host { display: none !important; } }`;

  const pageLanguage = document.documentElement.lang.slice(0, 2).toLowerCase();
  const language = [asked.language, pageLanguage].find((code) => LABELS[code]) ?? "";
  let words = LABELS[language || "en"];
  let isOpen = false;
  let isReady = false;
  let isPainted = false;
  let opener = null;
  let unread = 0;

  const make = (tag, props = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), props);
    element.append(...children);
    return element;
  };
  const drawing = (name, path) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [key, value] of [["viewBox", "0 0 24 24"], ["class", name], ["aria-hidden", "true"]]) svg.setAttribute(key, value);
    svg.append(document.createElementNS("http://www.w3.org/2000/svg", "path"));
    svg.firstChild.setAttribute("d", path);
    return svg;
  };

  const host = document.createElement("patchcord-chat");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);
  root.adoptedStyleSheets = [sheet];
  const label = make("span", { textContent: asked.label ?? "" });
  const dot = make("i", { className: "dot", hidden: true });
  const button = make("button", { type: "button", hidden: true },
    drawing("talk", "M6 5h12a3 3 0 0 1 3 3v7a3 3 0 0 1-3 3h-6l-5 4v-4H6a3 3 0 0 1-3-3V8a3 3 0 0 1 3-3Z"), drawing("shut", "m6 9 6 6 6-6"), label, dot);
  const frame = make("iframe");
  frame.setAttribute("sandbox", "allow-scripts allow-same-origin allow-forms allow-popups allow-popups-to-escape-sandbox allow-downloads");
  frame.setAttribute("referrerpolicy", "strict-origin");
  const panel = make("div", { className: "panel", inert: true }, frame);
  panel.setAttribute("role", "dialog");
  const box = make("div", {}, panel, button);
  box.classList.toggle("left", asked.position === "left");
  root.append(box);

  const tell = (what, more) => frame.contentWindow?.postMessage({ patchcord: what, ...more }, home);
  const notes = `patchcord:${agent}`;

  /** What the frame asked us to keep, because this browser forbids storage to frames of other sites. */
  function kept() {
    try {
      return JSON.parse(localStorage.getItem(notes)) ?? {};
    } catch {
      return {};
    }
  }

  function keep(all) {
    try {
      localStorage.setItem(notes, JSON.stringify(all));
    } catch {
      /* forbidden here as well: the conversation lasts until the page is left */
    }
  }

  function name() {
    const open = asked.label || words[0];
    button.setAttribute("aria-label", isOpen ? words[1] : unread ? `${open} (${words[2]})` : open);
    button.setAttribute("aria-expanded", String(isOpen));
    dot.hidden = isOpen || !unread;
  }

  function show(wanted) {
    if (wanted === isOpen || !isReady) return;
    isOpen = wanted;
    if (isOpen) opener = document.activeElement === host ? null : document.activeElement;
    box.classList.toggle("open", isOpen);
    panel.inert = !isOpen;
    name();
    tell(isOpen ? "open" : "close");
    if (isOpen) frame.focus();
    else if (opener?.isConnected && opener !== document.body) opener.focus();
    else button.focus();
  }

  function paint(accent, ink) {
    if (!CSS_COLOR.test(accent) || !CSS_COLOR.test(ink)) return;
    host.style.setProperty("--accent", accent);
    host.style.setProperty("--accent-ink", ink);
  }
  const CSS_COLOR = /^(#[0-9a-f]{3,8}|rgb\([\d\s,.]+\))$/i;

  function ownColor() {
    if (!/^#[0-9a-f]{6}$/i.test(asked.color ?? "")) return;
    isPainted = true;
    const [r, g, b] = [1, 3, 5].map((at) => (parseInt(asked.color.slice(at, at + 2), 16) / 255) ** 2.2);
    paint(asked.color, 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#1c2024" : "#ffffff");
  }

  function ready(look) {
    clearTimeout(patience);
    if (!look.found) {
      host.remove();
      console.warn(`Patchcord: there is no chat with the id ${agent}. Copy the tag again from the agent's page.`);
      return;
    }
    isReady = true;
    words = LABELS[look.language] ?? words;
    panel.setAttribute("aria-label", String(look.name || words[0]));
    if (!isPainted) paint(look.accent, look.ink);
    if (!asked.position) box.classList.toggle("left", look.position === "left");
    button.hidden = false;
    name();
    if (asked.open === "yes") show(true);
  }

  addEventListener("message", (event) => {
    if (event.source !== frame.contentWindow || event.origin !== home) return;
    const said = event.data ?? {};
    if (said.patchcord === "ready") ready(said);
    else if (said.patchcord === "close") show(false);
    else if (said.patchcord === "keep") keep(said.all);
    else if (said.patchcord === "unread") {
      unread = Number(said.count) || 0;
      name();
    }
  });
  button.addEventListener("click", () => show(!isOpen));
  root.addEventListener("keydown", (event) => event.key === "Escape" && show(false));
  frame.addEventListener("load", () => tell("hello", { kept: kept() }));
  globalThis.visualViewport?.addEventListener("resize", () => {
    host.style.setProperty("--view", `${Math.round(visualViewport.height)}px`);
  });

  let patience = 0;
  function begin() {
    ownColor();
    frame.title = asked.label || words[0];
    frame.src = `${home}/widget/${encodeURIComponent(agent)}${language ? `?lang=${language}` : ""}`;
    document.body.append(host);
    patience = setTimeout(() => {
      console.warn(`Patchcord: the chat did not load. Either ${home} cannot be reached, or ${location.origin} is not on the agent's list of allowed websites.`);
    }, 15_000);
  }
  window.patchcord = { agent, open: () => show(true), close: () => show(false), toggle: () => show(!isOpen) };
  if (document.readyState === "complete") begin();
  else addEventListener("load", begin, { once: true });
})();
