/* Light markup of messages as DOM nodes from an allow-list: bold, italic, code, links, lists. Never HTML text. */

const SAFE = new Set(["http:", "https:", "mailto:", "tel:"]);
const INLINE = new RegExp(
  [
    String.raw`\[([^\[\]\n]{1,500})\]\(([^\s()<>]{1,2000}(?:\([^\s()<>]*\)[^\s()<>]*)*)\)`, // [label](url)
    String.raw`\*\*(?=\S)([^\n]{0,4000}?\S)\*\*`,
    String.raw`(?<![\w*])\*(?=[^\s*])([^*\n]{0,4000}?[^\s*])\*(?![\w*])`,
    String.raw`(?<!\w)_(?=[^\s_])([^_\n]{0,4000}?[^\s_])_(?!\w)`,
    "`([^`\\n]{1,2000})`",
    String.raw`(https?:\/\/[^\s<>"']{3,2000})`,
  ].join("|"),
  "gu",
);
const LIST = /^\s{0,3}(?:([-*•])|(\d{1,3})[.)])\s+(.*)$/u;
const MAX_DEPTH = 3;

export function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") element.className = value;
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** The address when a link may lead there, else null. Only absolute addresses of harmless schemes. */
export function safeAddress(text) {
  try {
    const url = new URL(text);
    return SAFE.has(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function link(address, ...children) {
  return make("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow ugc" }, ...children);
}

function bare(text) {
  let end = text.length;
  while (end > 8 && /[.,:;!?)\]»”’*_]/u.test(text[end - 1])) {
    if (text[end - 1] === ")" && text.slice(0, end).split("(").length >= text.slice(0, end).split(")").length) break;
    end -= 1;
  }
  const address = safeAddress(text.slice(0, end));
  return address ? [link(address, text.slice(0, end)), text.slice(end)] : [text];
}

function inline(text, depth = 0) {
  if (depth > MAX_DEPTH) return [text];
  const nodes = [];
  let last = 0;
  for (const found of text.matchAll(INLINE)) {
    const [whole, label, url, bold, italic, also, code, address] = found;
    nodes.push(text.slice(last, found.index));
    last = found.index + whole.length;
    if (label != null) {
      const safe = safeAddress(url);
      nodes.push(...(safe ? [link(safe, ...inline(label, MAX_DEPTH))] : [whole]));
    } else if (bold != null) nodes.push(make("strong", {}, ...inline(bold, depth + 1)));
    else if (italic != null || also != null) nodes.push(make("em", {}, ...inline(italic ?? also, depth + 1)));
    else if (code != null) nodes.push(make("code", {}, code));
    else nodes.push(...bare(address));
  }
  nodes.push(text.slice(last));
  return nodes.filter((node) => node !== "");
}

/** Nodes for an agent's text. */
export function marked(text) {
  const blocks = [];
  let list = null;
  let lines = [];
  const flush = () => {
    if (lines.length) blocks.push(make("p", {}, ...lines.flatMap((l, i) => (i ? ["\n", ...inline(l)] : inline(l)))));
    lines = [];
  };
  for (const line of String(text).split(/\r?\n/)) {
    const item = LIST.exec(line);
    if (item) {
      flush();
      const tag = item[1] ? "UL" : "OL";
      if (list?.tagName !== tag) {
        list = make(tag.toLowerCase(), tag === "OL" ? { start: Number(item[2]) } : {});
        blocks.push(list);
      }
      list.append(make("li", {}, ...inline(item[3])));
    } else if (line.trim() === "") {
      flush();
      list = null;
    } else {
      list = null;
      lines.push(line);
    }
  }
  flush();
  return blocks;
}

/** Nodes for a visitor's text: as written, with addresses as links. */
export function plain(text) {
  const nodes = [];
  let last = 0;
  for (const found of String(text).matchAll(/https?:\/\/[^\s<>"']{3,2000}/gu)) {
    nodes.push(text.slice(last, found.index), ...bare(found[0]));
    last = found.index + found[0].length;
  }
  nodes.push(text.slice(last));
  return [make("p", {}, ...nodes.filter((node) => node !== ""))];
}
