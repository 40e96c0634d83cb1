// Where the panels are: workspaces of tiles that are dragged by their header, resized at their edges and remembered.
const COLUMNS = 12;
const ROWS = 24;
const NARROW_PX = 1100;
const SAVE_AFTER_MS = 800;
const REFOLD_MS = 250;

const tile = (x, y, w, h) => ({ x, y, w, h });

// What a workspace looks like before its dealer moves anything.
const PRESETS = {
  Dealing: {
    exposure: tile(0, 0, 7, 9), quotes: tile(7, 0, 5, 9), requests: tile(0, 9, 7, 5), orders: tile(0, 14, 7, 10), ladder: tile(7, 9, 5, 9), venues: tile(7, 18, 5, 6),
  },
  Risk: {
    spread: tile(0, 0, 7, 7), alerts: tile(7, 0, 5, 8), margin: tile(0, 7, 7, 7), hedges: tile(7, 8, 5, 9),
    books: tile(0, 14, 7, 5), marks: tile(0, 19, 7, 5), doubts: tile(7, 17, 5, 7),
  },
  Deals: { chart: tile(0, 0, 6, 11), scorecards: tile(6, 0, 6, 5), coverage: tile(6, 5, 6, 6), deals: tile(0, 11, 12, 13) },
  Control: { states: tile(0, 0, 5, 10), changes: tile(5, 0, 7, 10), journal: tile(0, 10, 12, 14) },
};

export const WORKSPACES = Object.keys(PRESETS);

const copy = (value) => JSON.parse(JSON.stringify(value));

export class Layout {
  /** `saved` is what the server remembered; `onShow(name)` is called whenever a panel comes into sight. */
  constructor({ root, saved, save, onShow, only = null }) {
    Object.assign(this, { root, save: only ? () => {} : save, onShow, timer: 0 });
    this.items = new Map([...root.querySelectorAll("[data-panel]")].map((item) => [item.dataset.panel, item]));
    this.places = { ...copy(PRESETS), ...this.known(saved.places ?? {}) };
    this.extra = saved.extra ?? {};
    this.current = WORKSPACES.includes(saved.current) ? saved.current : WORKSPACES[0];
    // A window of its own holds one panel and remembers nothing.
    if (only && this.items.has(only)) this.places[this.current] = { [only]: tile(0, 0, COLUMNS, ROWS) };
    for (const item of this.items.values()) item.remove();
    this.grid = window.GridStack.init({
      column: COLUMNS, cellHeight: this.cellPx(), margin: 3, handle: ".panel > header", animate: false,
      columnOpts: { breakpoints: [{ w: NARROW_PX, c: 1 }], breakpointForWindow: true }, resizable: { handles: "e,se,s,sw,w" },
    }, root);
    this.grid.on("change", () => this.moved());
    this.wasNarrow = this.isNarrow;
    window.addEventListener("resize", () => {
      this.grid.cellHeight(this.cellPx());
      setTimeout(() => this.refold(), REFOLD_MS);
    });
    // Who leaves at once finds it all the same as it was.
    window.addEventListener("pagehide", () => { if (this.timer) this.saveNow(); });
    // A banner above takes room away and gives it back.
    new ResizeObserver(() => this.grid.cellHeight(this.cellPx())).observe(document.getElementById("banner"));
  }

  /** Keep of what was saved only workspaces and panels that there still are. */
  known(places) {
    return Object.fromEntries(Object.entries(places).filter(([name]) => PRESETS[name]).map(([name, tiles]) => [
      name, Object.fromEntries(Object.entries(tiles).filter(([panel]) => this.items.has(panel))),
    ]));
  }

  cellPx() {
    const height = window.innerWidth < NARROW_PX ? 960 : window.innerHeight - this.root.getBoundingClientRect().top - 4;
    return Math.max(22, Math.floor(height / ROWS));
  }

  /** Show a workspace as its dealer left it. */
  show(name) {
    this.busy = true;
    this.wasNarrow = this.isNarrow;
    this.current = name;
    this.grid.batchUpdate();
    for (const item of [...this.grid.getGridItems()]) this.take(item);
    const places = Object.entries(this.places[name]).sort(([, one], [, other]) => one.y - other.y || one.x - other.x);
    // In one column the panels stand under one another in the order that they are read in.
    let below = 0;
    for (const [panel, place] of places) {
      this.put(panel, this.isNarrow ? tile(0, below, 1, place.h) : place);
      below += place.h;
    }
    this.grid.batchUpdate(false);
    this.busy = false;
    this.keep();
    this.root.dispatchEvent(new CustomEvent("workspace", { detail: { name } }));
  }

  /** Between one column and twelve every panel is put anew: the library's own scaling would lose their places. */
  refold() {
    if (this.isNarrow === this.wasNarrow) return;
    this.wasNarrow = this.isNarrow;
    this.show(this.current);
  }

  get isNarrow() { return this.grid.getColumn() !== COLUMNS; }

  put(panel, place) {
    const item = this.items.get(panel);
    if (!item || item.isConnected) return;
    this.root.append(item);
    this.grid.makeWidget(item, { ...place, minW: 2, minH: 4, id: panel });
    this.onShow(panel);
  }

  take(item) {
    this.grid.removeWidget(item, false, false);
    item.remove();
  }

  isOpen(panel) { return this.items.get(panel)?.isConnected ?? false; }

  /** Bring a panel into sight: where it is, or below everything else. */
  open(panel) {
    if (this.isOpen(panel)) return;
    const home = WORKSPACES.find((name) => this.places[name][panel]);
    if (home) return this.show(home);
    this.put(panel, tile(0, 0, 6, 8));
    this.moved();
  }

  close(panel) {
    if (!this.isOpen(panel)) return;
    this.take(this.items.get(panel));
    this.moved();
  }

  reset() {
    this.places[this.current] = copy(PRESETS[this.current]);
    this.show(this.current);
  }

  moved() {
    if (this.busy || this.isNarrow || this.wasNarrow) return;
    const nodes = this.grid.getGridItems().map((item) => [item.dataset.panel, item.gridstackNode]);
    this.places[this.current] = Object.fromEntries(nodes.map(([panel, node]) => [panel, tile(node.x, node.y, node.w, node.h)]));
    this.keep();
  }

  /** Remember one more thing for this dealer. */
  remember(name, value) {
    this.extra[name] = value;
    this.keep();
  }

  keep() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.saveNow(), SAVE_AFTER_MS);
  }

  async saveNow() {
    clearTimeout(this.timer);
    const mine = this.timer;
    await this.save({ places: this.places, current: this.current, extra: this.extra });
    // Nothing else changed meanwhile: what is shown is what is remembered.
    if (this.timer === mine) this.timer = 0;
  }
}
