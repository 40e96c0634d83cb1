// The consolidated ladder of one symbol: whose each level is, how deep, and what clients rest in the internal book.
import { sum } from "../decimal.js";
import { bigFigure, el, number } from "../format.js";
import { painter } from "../painter.js";

const share = (size, most) => `${Math.min(100, Math.round((Number(size) / Number(most || 1)) * 100))}%`;

// Prices meet in the middle, so the ask side reads from its price outwards.
const inOrder = (kind, parts) => (kind === "asks" ? parts.reverse() : parts);

const cells = (levels, most, kind) => levels.map((level, at) => {
  const deep = sum(levels.slice(0, at + 1).map((each) => each.size));
  const whose = el("td", kind === "asks" ? "figure" : "", el("span", "venue", level.venue ?? `${level.orders} ${level.orders === 1 ? "order" : "orders"}`));
  const parts = [whose, el("td", "figure", number(level.size)), el("td", "figure muted", number(deep)), el("td", kind === "asks" ? "" : "figure", bigFigure(level.price))];
  const row = el("tr", "", ...inOrder(kind, parts));
  row.style.setProperty("--depth", share(deep, most));
  return row;
});

const side = (title, kind, levels, most) => {
  const left = kind === "asks" ? title : "Whose";
  const heads = inOrder(kind, ["Whose", "Lots", "Sum", title]).map((name) => { const cell = el("th", name === left ? "" : "figure", name); cell.scope = "col"; return cell; });
  const body = levels.length ? cells(levels, most, kind) : [el("tr", "", Object.assign(el("td", kind === "asks" ? "muted" : "figure muted", "nothing"), { colSpan: 4 }))];
  return el("table", `ladder-side ${kind}`, el("thead", "", el("tr", "", ...heads)), el("tbody", "", ...body));
};

const depth = (levels) => sum(levels.map((level) => level.size));

export class Ladder {
  /** Looks like a grid to the keys: there is no row to choose, j and k go to the next symbol. */
  constructor({ host, store }) {
    Object.assign(this, { host, store, symbol: null, cursor: null });
    host.classList.add("ladder");
    host.tabIndex = 0;
    host.setAttribute("role", "region");
    host.setAttribute("aria-label", "Levels of the ladder");
    store.watch("focus", (keys, whole) => { if (whole || keys.includes(`depth:${this.symbol}`)) painter.wants(this); });
    this.paint();
  }

  /** What the ladder shows now, for whoever asks why. */
  get chosen() { return this.symbol ? this.store.row("focus", `depth:${this.symbol}`) ?? null : null; }

  get wanted() { return this.symbol ? [`depth:${this.symbol}`] : []; }

  follow(symbol) {
    if (!symbol || symbol === this.symbol) return;
    this.symbol = symbol;
    this.host.dispatchEvent(new CustomEvent("symbol", { detail: symbol }));
    this.paint();
  }

  paint() {
    const row = this.symbol && this.store.row("focus", `depth:${this.symbol}`);
    const hint = document.querySelector(".panel-ladder .hint");
    if (hint) hint.textContent = this.symbol ?? "choose a symbol";
    if (!row) {
      this.host.replaceChildren(el("p", "ladder-empty muted", this.symbol ? "Asking the desk for the depth…" : "Choose a symbol in Exposure or Quotes."));
      return;
    }
    const most = sum([depth(row.bids), depth(row.asks)].sort((one, other) => Number(one) - Number(other)).slice(-1));
    const book = [row.book_bids, row.book_asks];
    const mostInBook = sum(book.map(depth).sort((one, other) => Number(one) - Number(other)).slice(-1));
    this.host.replaceChildren(
      el("h3", "", "LPs"), el("div", "ladder-pair", side("Bid", "bids", row.bids, most), side("Ask", "asks", row.asks, most)),
      el("h3", "", "Internal book"), el("div", "ladder-pair", side("Bid", "bids", book[0], mostInBook), side("Ask", "asks", book[1], mostInBook)),
    );
  }

  move(step) {
    const symbols = [...this.store.rows("quotes").keys()].sort();
    const at = symbols.indexOf(this.symbol);
    this.follow(symbols[Math.min(symbols.length - 1, Math.max(0, at + step))]);
  }

  activate() {}

  filter() {}
}

export const ladder = ({ host, store }) => new Ladder({ host, store });
