// Changed figures into the cells that are on the screen: no row is laid out anew because a price moved.
import { compare } from "./decimal.js";

// Where everything moves a flash tells nothing.
const FLASHES_MAX = 12;
const FLASH_MS = 250;
const FLASHES = ["flash-up", "flash-down"];

/** A column's formatter that can also be asked for one figure; text stays text and is never markup. */
export const drawnBy = (format) => Object.assign((cell) => asNode(format(cell.getValue(), cell.getData())), { format });

const asNode = (content) => (content instanceof Node ? content : document.createTextNode(String(content ?? "")));

export class Patches {
  /** `flash` names the fields whose change is shown for a moment. */
  constructor({ columns, flash }) {
    this.columns = columns.map(({ field, formatter: { format } }) => ({ field, format, readsRow: format.length > 1 }));
    this.flash = flash;
    this.cells = new WeakMap();
    this.shown = new WeakMap();
    this.lit = [];
  }

  /** The table has just made the cells of `element` out of `row`. */
  made(element, row) {
    this.cells.set(element, new Map([...element.querySelectorAll(":scope > .tabulator-cell")].map((cell) => [cell.getAttribute("tabulator-field"), cell])));
    this.shown.set(element, row);
  }

  /** Write what `row` says where it differs from what is shown; tell whether it did. Cells to flash go into `changed`. */
  write(element, row, changed) {
    const before = this.shown.get(element);
    const cells = this.cells.get(element);
    if (before === row || !cells) return false;
    for (const { field, format, readsRow } of this.columns) {
      const moved = before?.[field] !== row[field];
      if (moved || readsRow) put(cells.get(field), format(row[field], row));
      if (moved && before && this.flash.includes(field)) changed.push([cells.get(field), compare(row[field], before[field]) > 0 ? 0 : 1]);
    }
    this.shown.set(element, row);
    return true;
  }

  /** Light the cells for a moment, by class: an animation would keep the browser drawing in between. */
  light(changed) {
    if (!changed.length || changed.length > FLASHES_MAX) return;
    this.darken();
    for (const [cell, which] of changed) cell?.classList.add(FLASHES[which]);
    this.lit = changed;
    this.timer = setTimeout(() => this.darken(), FLASH_MS);
  }

  darken() {
    clearTimeout(this.timer);
    for (const [cell] of this.lit) cell?.classList.remove(...FLASHES);
    this.lit = [];
  }
}

const put = (cell, content) => {
  if (!cell) return;
  if (content instanceof Node) cell.replaceChildren(content);
  else if (cell.textContent !== String(content ?? "")) cell.textContent = content ?? "";
};
