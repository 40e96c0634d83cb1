// Rows in the order of a figure that moves: the order follows by itself, but not under somebody's hand.
import { compare } from "./decimal.js";

// Who rests here for longer without a move is not about to press anything.
const REST_MS = 15_000;

const told = (value) => value !== null && value !== undefined;

/** Order of two figures, the least first; rows without one come last, and equals stand by their keys. */
const ordered = (one, other, oneKey, otherKey) => {
  if (told(one) !== told(other)) return told(one) ? -1 : 1;
  return (told(one) && compare(one, other)) || (oneKey < otherKey ? -1 : oneKey > otherKey ? 1 : 0);
};

export class Ranking {
  /** `field` is the column that ranks. While the pointer or the focus is in its rows they stand as they stood. */
  constructor(field) {
    this.field = field;
    this.held = null;
    this.inside = new Set();
    this.sorter = (_one, _other, left, right) => this.between(left.getData(), right.getData());
  }

  /** Watch over `host`; `release()` is called when its order may follow again. */
  attach(host, records, release) {
    Object.assign(this, { host, records, release });
    const enters = (why) => () => { this.inside.add(why); this.hold(); };
    const leaves = (why) => () => { this.inside.delete(why); if (!this.inside.size) this.let(); };
    for (const event of ["pointermove", "keydown", "wheel"]) host.addEventListener(event, () => this.inside.size && this.hold(), { passive: true });
    host.addEventListener("pointerenter", enters("pointer"));
    host.addEventListener("pointerleave", leaves("pointer"));
    host.addEventListener("focusin", enters("focus"));
    host.addEventListener("focusout", leaves("focus"));
  }

  hold() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.let(), REST_MS);
    this.held ??= new Map([...this.records()].map(([key, row]) => [key, row[this.field]]));
  }

  let() {
    clearTimeout(this.timer);
    if (!this.held) return;
    this.held = null;
    this.release();
  }

  /** What a row is ranked by: while the order is held, what it was when that began. */
  figureOf(row) { return this.held?.has(row.key) ? this.held.get(row.key) : row[this.field]; }

  between(row, other) { return ordered(this.figureOf(row), this.figureOf(other), row.key, other.key); }

  /** Put the rows of `table` back into order where a figure has passed another; tell whether it did. */
  follow(table) {
    const [sorted] = table.getSorters();
    if (sorted?.field !== this.field) return this.mark(false);
    const turn = sorted.dir === "asc" ? 1 : -1;
    const rows = table.getRows("active").map((row) => row.getData());
    const isBehind = rows.some((row, at) => at && turn * ordered(rows[at - 1][this.field], row[this.field], rows[at - 1].key, row.key) > 0);
    if (!isBehind || this.held) return this.mark(isBehind);
    const holder = this.host.querySelector(".tabulator-tableholder");
    const { scrollTop } = holder;
    table.setSort([{ column: sorted.field, dir: sorted.dir }]);
    holder.scrollTop = scrollTop;
    this.mark(false);
    return true;
  }

  /** Say that rows wait to change places. */
  mark(isBehind) {
    if (isBehind !== this.marked) this.host.dispatchEvent(new CustomEvent("held", { detail: isBehind }));
    this.marked = isBehind;
    return false;
  }
}
