/* The chat inside another site: what it tells the page around it, and what it hears from there. Nothing that is said
 * leaves the frame. */

export class Panel {
  /** `opened(isOpen)` is called when the page around shows or hides the panel. */
  constructor({ opened, about }) {
    this.isInside = document.documentElement.dataset.place === "widget" && parent !== window;
    this.isOpen = !this.isInside;
    this.origin = null;
    this.about = about;
    this.count = 0;
    this.isReady = false;
    this.greeted = new Promise((resolve) => (this.greet = resolve));
    if (!this.isInside) return;
    addEventListener("message", (event) => {
      if (event.source !== parent || (this.origin && event.origin !== this.origin)) return;
      const asked = event.data?.patchcord;
      if (asked === "hello") {
        this.origin = event.origin;
        this.greet(event.data.kept);
        if (this.isReady) this.ready();
      } else if (this.origin && (asked === "open" || asked === "close")) {
        this.isOpen = asked === "open";
        opened(this.isOpen);
      }
    });
    document.querySelector("#leave").addEventListener("click", () => this.tell("close"));
    addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !document.querySelector("dialog[open]")) this.tell("close");
    });
  }

  /** The page is dressed: the button may be shown. */
  ready() {
    this.isReady = true;
    this.tell("ready", this.about());
    this.unread(this.count);
  }

  tell(what, more = {}) {
    if (this.origin && this.origin !== "null") parent.postMessage({ patchcord: what, ...more }, this.origin);
  }

  unread(count) {
    this.count = count;
    this.tell("unread", { count });
  }
}
