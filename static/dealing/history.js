// What the page has seen since it was opened, a point a second and never more than the latest half hour.
const POINTS_MAX = 1_800;
const SAMPLE_MS = 1_000;

/** Rings of numbers beside one ring of times: the memory of half an hour is taken at once and never grows. */
export class History {
  constructor({ store }) {
    Object.assign(this, { store, rings: new Map(), times: new Float64Array(POINTS_MAX), count: 0, listeners: [] });
    setInterval(() => this.sample(), SAMPLE_MS);
  }

  /** The points ({time: UTC s, value}) of price:EURUSD, exposure:EURUSD, floating or realised that came after `time`. */
  of(name, time = -Infinity) {
    const ring = this.rings.get(name);
    const points = [];
    for (let at = this.count - 1; ring && at >= Math.max(0, this.count - POINTS_MAX); at -= 1) {
      const then = this.times[at % POINTS_MAX];
      if (then <= time) break;
      const value = ring[at % POINTS_MAX];
      if (!Number.isNaN(value)) points.push({ time: then, value });
    }
    return points.reverse();
  }

  /** The latest value, null where there is none. */
  last(name) {
    const value = this.count ? this.rings.get(name)?.[(this.count - 1) % POINTS_MAX] : NaN;
    return value === undefined || Number.isNaN(value) ? null : value;
  }

  watch(listener) { this.listeners.push(listener); }

  add(at, name, text) {
    if (!this.rings.has(name)) {
      if (text === null || text === undefined) return;
      this.rings.set(name, new Float64Array(POINTS_MAX).fill(NaN));
    }
    this.rings.get(name)[at] = text === null || text === undefined ? NaN : Number(text);
  }

  sample() {
    const time = Math.floor(this.store.now() / 1000);
    // The browser's timer and the server's clock differ: a second that was had, or that went back, is written over.
    if (!this.count || time > this.times[(this.count - 1) % POINTS_MAX]) this.count += 1;
    const at = (this.count - 1) % POINTS_MAX;
    this.times[at] = Math.max(time, this.count > 1 ? this.times[(this.count - 2) % POINTS_MAX] + 1 : time);
    for (const ring of this.rings.values()) ring[at] = NaN;
    for (const [symbol, row] of this.store.rows("exposure")) {
      this.add(at, `price:${symbol}`, row.mark);
      this.add(at, `exposure:${symbol}`, row.uncovered);
    }
    const desk = this.store.row("summary", "desk");
    for (const name of ["floating", "realised"]) this.add(at, name, desk?.[name]);
    for (const listener of this.listeners) listener();
  }
}
