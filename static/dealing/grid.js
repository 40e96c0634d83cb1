// One table shape for every panel: Tabulator fed from the store, with flashes, ages, expansion and a cursor.
import { TabulatorFull as Tabulator } from "../vendor/tabulator/tabulator_esm.min.js";
import { compare, sum } from "./decimal.js";
import { age, el, freshness, number } from "./format.js";
import { painter } from "./painter.js";
import { Patches, drawnBy } from "./patches.js";

const ROW_PX = 24;
const TOTALS_MS = 1_000;
// Of a page that nobody looks at only so many changes are remembered one by one.
const DIRTY_MAX = 2_000;

// A window as narrow as a phone: a column's `phone` says what is different there.
const ON_PHONE = matchMedia("(max-width: 600px)").matches;
const fitted = ({ phone, ...more }) => (ON_PHONE ? { ...more, ...phone } : more);

/** Columns of figures: right-aligned, sorted as decimals. `format` gets the value and the row. */
export const figure = (title, field, format = number, more = {}) => ({
  title, field, hozAlign: "right", headerHozAlign: "right", sorter: compare, cssClass: "figure",
  formatter: drawnBy(format), ...fitted(more),
});

/** Columns of words; `format` gives text or a node. */
export const label = (title, field, format = (value) => value ?? "", more = {}) => ({
  title, field, formatter: drawnBy(format), ...fitted(more),
});

/** A footer that sums the column exactly; `format` as in the column. */
export const total = (format = number, places = 2) => ({
  bottomCalc: (values) => sum(values, places),
  bottomCalcFormatter: (cell) => format(cell.getValue()),
});

export class Grid {
  /** `panel` names the stream; `detail(row)` gives the node of an expanded row; `aged` tells rows that have an age;
   *  `idle(row)` says which rows show only to who filters for them; `ranking` keeps them in the order of a figure. */
  constructor({ host, store, panel, columns, empty, detail, flash = [], sort, addTop = false, aged = true, matches, idle, ranking }) {
    Object.assign(this, { host, store, panel, detail, addTop, aged, matches, ranking });
    ranking?.attach(host, () => this.records, () => painter.wants(this));
    this.idle = idle;
    this.dirty = new Set();
    this.whole = false;
    this.expanded = new Set();
    this.cursor = null;
    // By key: the row as the table has it, and the table's own copy of it, which is written in place.
    this.painted = new Map();
    this.records = new Map();
    this.patches = new Patches({ columns, flash });
    this.hasTotals = columns.some((column) => column.bottomCalc);
    this.totalsAtMs = -Infinity;
    this.table = new Tabulator(host, {
      index: "key", data: [], columns, layout: "fitColumns", responsiveLayout: "hide", height: "100%", rowHeight: ROW_PX,
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
      painter.wants(this);
    });
    this.table.on("rowClick", (_event, row) => this.activate(row.getIndex()));
    this.table.on("rowDblClick", (_event, row) => this.opened?.(this.store.row(panel, row.getIndex())));
    // Rows that come into sight are as old as they were when they left it.
    for (const event of ["scrollVertical", "renderComplete"]) this.table.on(event, () => this.refresh());
    store.watch(panel, (keys, whole) => this.changed(keys, whole));
    if (aged) setInterval(() => this.growOld(), 1_000);
  }

  ageOf(row) {
    return this.store.ageMs(row.age_ms);
  }

  /** A column of ages that count on by themselves. */
  static ageColumn(grid) {
    return figure("Age", "age_ms", (_value, row) => el("span", "age", age(grid().ageOf(row))), { width: 66, responsive: 0, phone: { width: 46, responsive: 1 } });
  }

  changed(keys, whole) {
    this.whole ||= whole || this.dirty.size > DIRTY_MAX;
    if (this.whole) this.dirty.clear();
    else for (const key of keys) this.dirty.add(key);
    painter.wants(this);
  }

  refresh() {
    if (this.painting || this.refreshing || !this.built) return;
    this.refreshing = true;
    requestAnimationFrame(() => {
      this.refreshing = false;
      if (!this.host.isConnected) return;
      this.look();
      this.patch({ flashes: false });
    });
  }

  look() { this.visible = this.built ? this.table.getRows("visible") : []; }

  /** The keys of the rows in sight, as of the last look. */
  get sight() { return this.host.isConnected ? (this.visible ?? []).map((row) => row.getIndex()).sort() : []; }

  paint() {
    if (!this.built) return;
    const rows = this.store.rows(this.panel);
    const isWhole = this.whole;
    const keys = isWhole ? [...new Set([...rows.keys(), ...this.painted.keys()])] : [...this.dirty];
    this.dirty.clear();
    this.whole = false;
    this.painting = true;
    if (isWhole && !this.isAlike(rows)) this.replace(rows);
    else this.merge(keys, rows);
    if (this.ranking?.follow(this.table)) this.look();
    this.patch({ flashes: !isWhole });
    this.sumUp();
    this.painting = false;
    this.nameHolder();
    this.tellCount(this.shown(rows));
  }

  /** Whether most rows are there already, in this order: then they are changed and not made anew. */
  isAlike(rows) {
    const kept = [...this.painted.keys()].filter((key) => rows.has(key));
    const inOrder = [...rows.keys()].filter((key) => this.painted.has(key));
    return kept.length * 2 > Math.max(rows.size, this.painted.size) && kept.every((key, at) => inOrder[at] === key);
  }

  replace(rows) {
    this.painted = new Map(rows);
    this.records = new Map([...rows].map(([key, row]) => [key, { ...row }]));
    this.table.replaceData([...this.records.values()]);
    this.look();
  }

  /** Rows come and go through the table; those that stay are written into its copy, and drawn where they are in sight. */
  merge(keys, rows) {
    const gone = keys.filter((key) => this.painted.has(key) && !rows.has(key));
    const fresh = keys.filter((key) => !this.painted.has(key) && rows.has(key));
    let turned = false;
    for (const key of keys) {
      const row = rows.get(key);
      const before = this.painted.get(key);
      if (!row || row === before) continue;
      if (before) {
        turned ||= this.idle && this.idle(row) !== this.idle(before);
        overwrite(this.records.get(key), row);
        this.totalsDue = true;
      } else this.records.set(key, { ...row });
      this.painted.set(key, row);
    }
    for (const key of gone) { this.painted.delete(key); this.records.delete(key); this.expanded.delete(key); }
    if (!gone.length && !fresh.length && !turned) return;
    const held = this.topInSight();
    this.table.blockRedraw();
    if (gone.length) this.table.deleteRow(gone);
    if (fresh.length) this.table.addData(fresh.map((key) => this.records.get(key)), this.addTop);
    if (turned) this.table.refreshFilter();
    this.table.restoreRedraw();
    this.hold(held);
    this.look();
  }

  /** Of a list that was scrolled: the row at its upper edge, and how much of that is above the edge. */
  topInSight() {
    const { scrollTop } = this.host.querySelector(".tabulator-tableholder");
    const [row] = scrollTop ? this.table.getRows("visible") : [];
    return row ? { key: row.getIndex(), above: scrollTop - row.getElement().offsetTop } : null;
  }

  /** Leave that row where it was: the table by itself draws from its first row when one comes in above, and a list that
   *  was scrolled by a little would be blank. */
  hold(held) {
    if (!held || !this.painted.has(held.key) || !this.table.getRow(held.key)) return;
    this.table.scrollToRow(held.key, "top", true).catch(() => {});
    this.host.querySelector(".tabulator-tableholder").scrollTop += held.above;
  }

  /** Bring what is in sight up to date. */
  patch({ flashes }) {
    const changed = [];
    for (const row of this.visible ?? []) {
      const told = this.painted.get(row.getIndex());
      if (told && this.patches.write(row.getElement(), told, changed)) this.wear(row.getElement(), told);
    }
    if (flashes) this.patches.light(changed);
  }

  /** Totals make the table measure itself, so they follow once a second. */
  sumUp() {
    if (!this.hasTotals || !this.totalsDue) return;
    const waitMs = this.totalsAtMs + TOTALS_MS - performance.now();
    if (waitMs > 0) {
      this.totalsTimer ??= setTimeout(() => { this.totalsTimer = undefined; painter.wants(this); }, waitMs);
      return;
    }
    this.totalsAtMs = performance.now();
    this.totalsDue = false;
    this.table.recalc();
  }

  tellCount(count) {
    if (count === this.count) return;
    this.count = count;
    this.host.dispatchEvent(new CustomEvent("painted", { detail: { count } }));
  }

  /** A group of rows must have rows: while there are none, the holder of the table is nothing by itself. */
  nameHolder() {
    const isEmpty = !this.table.getDataCount("active");
    if (isEmpty === this.isEmpty) return;
    this.isEmpty = isEmpty;
    const holder = this.host.querySelector(".tabulator-tableholder");
    holder.setAttribute("role", isEmpty ? "none" : "rowgroup");
    if (isEmpty) holder.removeAttribute("tabindex");
    else holder.tabIndex = 0;
  }

  shown(rows) {
    return this.idle ? [...rows.values()].filter((row) => !this.idle(row)).length : rows.size;
  }

  /** The table has made a row's cells. */
  dress(row) {
    const data = row.getData();
    const told = this.painted.get(data.key) ?? data;
    this.patches.made(row.getElement(), told);
    this.wear(row.getElement(), told);
  }

  /** What a row wears besides its cells: staleness, the cursor, and its detail when expanded. */
  wear(element, row) {
    if (this.aged) element.classList.toggle("stale", freshness(this.ageOf(row)) === "stale");
    element.classList.toggle("cursor", this.cursor === row.key);
    const open = this.expanded.has(row.key);
    element.classList.toggle("open", open);
    element.querySelector(":scope > .detail")?.remove();
    if (!open || !this.detail) return;
    const detail = el("div", "detail", this.detail(this.store.row(this.panel, row.key) ?? row));
    detail.setAttribute("role", "gridcell");
    element.append(detail);
  }

  growOld() {
    if (!this.built || document.hidden || !this.host.isConnected) return;
    for (const row of this.table.getRows("visible")) {
      const ms = this.ageOf(row.getData());
      row.getElement().classList.toggle("stale", freshness(ms) === "stale");
      const shown = row.getElement().querySelector(".age");
      if (shown && shown.textContent !== age(ms)) shown.textContent = age(ms);
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

/** Make `record` say what `row` says, field by field: the table holds on to the record itself. */
const overwrite = (record, row) => {
  for (const name in record) if (!(name in row)) delete record[name];
  Object.assign(record, row);
};

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

/** A long table in a box that scrolls, also from the keyboard. */
export const scrolled = (spec) => {
  const box = el("div", "form-list", detailTable(spec));
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  box.setAttribute("aria-label", spec.caption);
  return box;
};
