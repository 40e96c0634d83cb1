// One table shape for every panel: Tabulator fed from the store, with flashes, ages, expansion and a cursor.
import { TabulatorFull as Tabulator } from "../vendor/tabulator/tabulator_esm.min.js";
import { compare, sum } from "./decimal.js";
import { age, el, freshness, number } from "./format.js";

const PAINT_MS_MIN = 100;

/** Columns of figures: right-aligned, sorted as decimals. `format` gets the value and the row. */
export const figure = (title, field, format = number, more = {}) => ({
  title, field, hozAlign: "right", headerHozAlign: "right", sorter: compare, cssClass: "figure",
  formatter: (cell) => format(cell.getValue(), cell.getData()), ...more,
});

/** Columns of words; `format` gives text or a node. */
export const label = (title, field, format = (value) => value ?? "", more = {}) => ({
  title, field, formatter: (cell) => format(cell.getValue(), cell.getData()), ...more,
});

/** A footer that sums the column exactly; `format` as in the column. */
export const total = (format = number, places = 2) => ({
  bottomCalc: (values) => sum(values, places),
  bottomCalcFormatter: (cell) => format(cell.getValue()),
});

export class Grid {
  /** `panel` names the stream; `detail(row)` gives the node of an expanded row; `aged` tells rows that have an age;
   *  `idle(row)` says which rows show only to who filters for them. */
  constructor({ host, store, panel, columns, empty, detail, flash = [], sort, addTop = false, aged = true, matches, idle }) {
    Object.assign(this, { host, store, panel, detail, flash, addTop, aged, matches });
    this.idle = idle;
    this.dirty = new Set();
    this.whole = false;
    this.expanded = new Set();
    this.cursor = null;
    this.painted = new Map();
    this.table = new Tabulator(host, {
      index: "key", data: [], columns, layout: "fitColumns", responsiveLayout: "hide", height: "100%",
      placeholder: empty, initialSort: sort, columnCalcs: "table", headerSortElement: "<span class='sort'></span>",
      columnDefaults: { headerSortTristate: true, resizable: "header", minWidth: 44, tooltip: false },
      rowFormatter: (row) => this.dress(row),
    });
    this.table.on("tableBuilt", () => {
      nameRoles(host);
      this.nameHolder();
      this.built = true;
      if (idle) this.filter("");
      this.whole = true;
      this.schedule();
    });
    this.table.on("rowClick", (_event, row) => this.activate(row.getIndex()));
    this.table.on("rowDblClick", (_event, row) => this.opened?.(this.store.row(panel, row.getIndex())));
    store.watch(panel, (keys, whole) => this.changed(keys, whole));
    if (aged) setInterval(() => this.growOld(), 1_000);
  }

  ageOf(row) {
    return this.store.ageMs(row.age_ms);
  }

  /** A column of ages that count on by themselves. */
  static ageColumn(grid) {
    return figure("Age", "age_ms", (_value, row) => el("span", "age", age(grid().ageOf(row))), { width: 66, responsive: 0 });
  }

  changed(keys, whole) {
    this.whole ||= whole;
    for (const key of keys) this.dirty.add(key);
    this.schedule();
  }

  schedule() {
    if (this.due || !this.built) return;
    this.due = true;
    setTimeout(() => requestAnimationFrame(() => this.paint()), PAINT_MS_MIN);
  }

  async paint() {
    const keys = [...this.dirty];
    const whole = this.whole;
    this.dirty.clear();
    this.whole = false;
    const rows = this.store.rows(this.panel);
    if (whole) await this.table.replaceData([...rows.values()].map((row) => ({ ...row })));
    else await this.merge(keys, rows);
    this.due = false;
    if (!whole) this.flashChanges(keys);
    this.painted = new Map(rows);
    this.nameHolder();
    this.host.dispatchEvent(new CustomEvent("painted", { detail: { count: this.shown(rows) } }));
    if (this.dirty.size || this.whole) this.schedule();
  }

  /** A group of rows must have rows: while there are none, the holder of the table is nothing by itself. */
  nameHolder() {
    const holder = this.host.querySelector(".tabulator-tableholder");
    const isEmpty = !this.table.getDataCount("active");
    holder.setAttribute("role", isEmpty ? "none" : "rowgroup");
    if (isEmpty) holder.removeAttribute("tabindex");
    else holder.tabIndex = 0;
  }

  shown(rows) {
    return this.idle ? [...rows.values()].filter((row) => !this.idle(row)).length : rows.size;
  }

  async merge(keys, rows) {
    const gone = keys.filter((key) => !rows.has(key) && this.table.getRow(key));
    const known = [];
    const fresh = [];
    for (const key of keys.filter((each) => rows.has(each))) (this.painted.has(key) ? known : fresh).push({ ...rows.get(key) });
    if (gone.length) await this.table.deleteRow(gone);
    if (known.length) await this.table.updateData(known);
    if (fresh.length) await this.table.addData(fresh, this.addTop);
    if (this.idle && known.some((row) => this.idle(row) !== this.idle(this.painted.get(row.key)))) this.table.refreshFilter();
    if (known.length || gone.length) this.table.recalc();
  }

  flashChanges(keys) {
    for (const key of keys) {
      const before = this.painted.get(key);
      const after = this.store.row(this.panel, key);
      if (!before || !after) continue;
      for (const field of this.flash.filter((name) => before[name] !== after[name])) {
        const element = this.table.getRow(key)?.getCell(field)?.getElement();
        if (!element?.isConnected) continue;
        const rose = compare(after[field], before[field]) > 0;
        element.classList.remove("flash-up", "flash-down");
        void element.offsetWidth;
        element.classList.add(rose ? "flash-up" : "flash-down");
      }
    }
  }

  /** What a row wears besides its cells: staleness, the cursor, and its detail when expanded. */
  dress(row) {
    const element = row.getElement();
    const data = row.getData();
    if (this.aged) element.classList.toggle("stale", freshness(this.ageOf(data)) === "stale");
    element.classList.toggle("cursor", this.cursor === data.key);
    element.querySelector(":scope > .detail")?.remove();
    const open = this.expanded.has(data.key);
    element.classList.toggle("open", open);
    if (!open || !this.detail) return;
    const detail = el("div", "detail", this.detail(this.store.row(this.panel, data.key) ?? data));
    detail.setAttribute("role", "gridcell");
    element.append(detail);
  }

  growOld() {
    if (!this.built || document.hidden) return;
    for (const row of this.table.getRows("visible")) {
      const ms = this.ageOf(row.getData());
      row.getElement().classList.toggle("stale", freshness(ms) === "stale");
      const shown = row.getElement().querySelector(".age");
      if (shown) shown.textContent = age(ms);
    }
  }

  activate(key) {
    this.moveTo(key);
    if (!this.detail) return;
    if (!this.expanded.delete(key)) this.expanded.add(key);
    this.table.getRow(key)?.reformat();
    this.table.getRow(key)?.normalizeHeight();
  }

  moveTo(key) {
    const before = this.cursor;
    this.cursor = key;
    for (const each of [before, key]) {
      const row = each === null ? false : this.table.getRow(each);
      if (row) row.getElement().classList.toggle("cursor", each === key);
    }
    if (before !== key) this.host.dispatchEvent(new CustomEvent("cursor", { detail: this.chosen }));
  }

  /** The row under the cursor, as it is now. */
  get chosen() { return this.cursor === null ? null : this.store.row(this.panel, this.cursor) ?? null; }

  /** Move the cursor by `step` rows and keep it in view. */
  move(step) {
    const rows = this.table.getRows("active");
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.getIndex() === this.cursor);
    const next = rows[Math.min(rows.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
    this.moveTo(next.getIndex());
    this.table.scrollToRow(next, "nearest", false).catch(() => {});
  }

  filter(text) {
    const wanted = text.trim().toLowerCase();
    if (wanted) this.table.setFilter((row) => this.matches(row).some((value) => String(value ?? "").toLowerCase().includes(wanted)));
    else if (this.idle) this.table.setFilter((row) => !this.idle(row));
    else this.table.clearFilter();
    this.nameHolder();
  }
}

// The scrolling holder can be focused, so it (see nameHolder) and not the element in it is the grid's group of rows.
const nameRoles = (host) => {
  host.removeAttribute("aria-owns");
  host.querySelector(".tabulator-table").setAttribute("role", "none");
};

/** A small table inside an expanded row; `rows` are arrays of text or nodes, `figures` the indexes of figure columns. */
export const detailTable = ({ caption, heads, rows, figures = [], lit = () => false }) => {
  const mark = (index) => (figures.includes(index) ? "figure" : "");
  const head = el("tr", "", ...heads.map((text, index) => {
    const cell = el("th", mark(index), text);
    cell.scope = "col";
    return cell;
  }));
  const body = rows.map((cells, at) => el("tr", lit(at) ? "lit" : "", ...cells.map((content, index) => el("td", mark(index), content))));
  return el("table", "detail-table", el("caption", "visually-hidden", caption), el("thead", "", head), el("tbody", "", ...body));
};
