/* What the page remembers in this browser: per agent, in web storage when it is allowed, else until the page is closed. */

const held = new Map();
const LENT = ["visitor", "language"]; // who the visitor is; never what they write

function area(kind) {
  try {
    const found = globalThis[kind];
    found.setItem("patchcord:probe", "1");
    found.removeItem("patchcord:probe");
    return found;
  } catch {
    return null;
  }
}

export class Store {
  constructor(publicId) {
    this.prefix = `patchcord:${publicId}:`;
    this.lasting = area("localStorage");
    this.passing = area("sessionStorage");
  }

  /** A frame whose storage the browser forbids keeps its notes with the page around it: `kept` is what that page
   * had, `keep` gives it what there is after each change. */
  borrow(kept, keep) {
    for (const [key, text] of Object.entries(kept ?? {})) {
      if (key.startsWith(this.prefix) && typeof text === "string") held.set(key, text);
    }
    this.keep = keep;
  }

  get(name, { passing = false } = {}) {
    const key = this.prefix + name;
    try {
      const text = (passing ? this.passing : this.lasting)?.getItem(key) ?? held.get(key);
      return text == null ? null : JSON.parse(text);
    } catch {
      return null;
    }
  }

  set(name, value, { passing = false } = {}) {
    const key = this.prefix + name;
    const place = passing ? this.passing : this.lasting;
    const text = value == null ? null : JSON.stringify(value);
    if (text == null) held.delete(key);
    else held.set(key, text);
    try {
      if (text == null) place?.removeItem(key);
      else place?.setItem(key, text);
    } catch {
      /* full or forbidden: `held` has it */
    }
    if (LENT.includes(name)) this.keep?.(Object.fromEntries([...held].filter(([k]) => LENT.includes(k.slice(this.prefix.length)))));
  }

  /** Calls back when another tab writes `name`. */
  watch(name, changed) {
    addEventListener("storage", (event) => {
      if (event.key === this.prefix + name) changed(this.get(name));
    });
  }
}
