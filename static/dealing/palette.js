// Ctrl+K: everything that this dealer can do or look at, by name.
import { el } from "./format.js";

const SHOWN_MAX = 12;

export class Palette {
  /** `entries()` gives [{title, run}]. */
  constructor({ element, entries }) {
    Object.assign(this, { element, entries, at: 0, found: [] });
    this.input = element.querySelector("input");
    this.list = element.querySelector("ul");
    this.input.addEventListener("input", () => this.find());
    this.input.addEventListener("keydown", (event) => this.key(event));
  }

  open() {
    if (document.querySelector("dialog[open]")) return;
    this.input.value = "";
    this.find();
    this.element.showModal();
  }

  find() {
    const wanted = this.input.value.trim().toLowerCase().split(/\s+/);
    this.found = this.entries().filter(({ title }) => wanted.every((part) => title.toLowerCase().includes(part))).slice(0, SHOWN_MAX);
    this.at = 0;
    this.paint();
  }

  paint() {
    this.list.replaceChildren(...this.found.map(({ title }, at) => {
      const button = el("button", at === this.at ? "chosen" : "", title);
      button.type = "button";
      button.tabIndex = -1;
      button.addEventListener("click", () => { this.at = at; this.run(); });
      return el("li", "", button);
    }));
  }

  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      this.at = Math.min(this.found.length - 1, Math.max(0, this.at + step));
      this.paint();
    }
    if (event.key === "Enter") {
      event.preventDefault();
      this.run();
    }
  }

  run() {
    const chosen = this.found[this.at];
    this.element.close();
    chosen?.run();
  }
}
