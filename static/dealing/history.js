// What the page has seen since it was opened, a point a second and never more than the latest half hour.
const POINTS_MAX = 1_800;
const SAMPLE_MS = 1_000;

/** Times in UTC seconds beside values; a symbol that stood still costs nothing but its last point. */
class Series {
  constructor() { this.points = []; }

  add(time, value) {
    const last = this.points.at(-1);
    if (last && (last.time >= time || (last.value === value && this.points.at(-2)?.value === value))) {
      if (last.time < time) last.time = time;
      return;
    }
    this.points.push({ time, value });
    if (this.points.length > POINTS_MAX) this.points.shift();
  }
}

export class History {
  constructor({ store }) {
    Object.assign(this, { store, series: new Map(), listeners: [] });
    setInterval(() => this.sample(), SAMPLE_MS);
  }

  /** The points of `name`: price:EURUSD, exposure:EURUSD, floating or realised. */
  of(name) { return this.series.get(name)?.points ?? []; }

  watch(listener) { this.listeners.push(listener); }

  add(time, name, text) {
    if (text === null || text === undefined) return;
    if (!this.series.has(name)) this.series.set(name, new Series());
    this.series.get(name).add(time, Number(text));
  }

  sample() {
    const time = Math.floor(this.store.now() / 1000);
    for (const [symbol, row] of this.store.rows("exposure")) {
      this.add(time, `price:${symbol}`, row.mark);
      this.add(time, `exposure:${symbol}`, row.uncovered);
    }
    const desk = this.store.row("summary", "desk");
    for (const name of ["floating", "realised"]) this.add(time, name, desk?.[name]);
    for (const listener of this.listeners) listener();
  }
}
