// What the page knows: one map of rows per panel, folded from a snapshot and numbered deltas.

// The engine speaks once a second at least, so what is younger than that is as it was told.
const SILENCE_MS_MIN = 1_500;

export class Store {
  /** `onGap(panel)` is called once when a delta does not follow the one before. */
  constructor({ onGap }) {
    this.panels = new Map();
    this.listeners = new Map();
    this.onGap = onGap;
    this.clockOffsetMs = 0;
    this.engineHeardMs = 0;
  }

  /** Milliseconds since 1970 by the server's clock. */
  now() { return Date.now() + this.clockOffsetMs; }

  learnClock(serverUs) { this.clockOffsetMs = serverUs / 1000 - Date.now(); }

  watch(panel, listener) {
    this.listeners.set(panel, [...(this.listeners.get(panel) ?? []), listener]);
  }

  rows(panel) { return this.panels.get(panel)?.rows ?? new Map(); }

  row(panel, key) { return this.rows(panel).get(key); }

  seq(panel) { return this.panels.get(panel)?.seq ?? null; }

  /** After a lost connection only a snapshot may be believed. */
  distrust() { for (const state of this.panels.values()) state.waiting = true; }

  /** An age that the engine told, grown by the time since it was last heard; NaN where there is none. */
  ageMs(told) {
    if (told === null || told === undefined) return NaN;
    const silentMs = this.now() - this.engineHeardMs;
    return Number(told) + (silentMs > SILENCE_MS_MIN ? silentMs : 0);
  }

  accept(frame) {
    this.engineHeardMs = Math.max(this.engineHeardMs, (frame.at_us ?? 0) / 1000);
    const state = this.panels.get(frame.panel);
    if (frame.snapshot) return this.replace(frame);
    if (frame.peek) return this.peek(frame, state);
    if (!state || state.waiting || frame.seq <= state.seq) return;
    if (frame.seq !== state.seq + 1) {
      state.waiting = true;
      this.onGap(frame.panel);
      return;
    }
    state.seq = frame.seq;
    for (const [key, row] of Object.entries(frame.rows)) {
      if (row === null) state.rows.delete(key);
      else state.rows.set(key, Object.assign(row, { key }));
    }
    this.tell(frame.panel, Object.keys(frame.rows), false);
  }

  /** Rows ahead of their turn: no number, for what has one brings the same or newer. */
  peek(frame, state) {
    if (!state || state.waiting) return;
    const known = Object.keys(frame.rows).filter((key) => state.rows.has(key) && frame.rows[key]);
    for (const key of known) state.rows.set(key, Object.assign(frame.rows[key], { key }));
    this.tell(frame.panel, known, false);
  }

  replace(frame) {
    const rows = new Map(Object.entries(frame.rows).filter(([, row]) => row !== null)
      .map(([key, row]) => [key, Object.assign(row, { key })]));
    this.panels.set(frame.panel, { seq: frame.seq, rows, waiting: false });
    this.tell(frame.panel, [...rows.keys()], true);
  }

  tell(panel, keys, whole) {
    for (const listener of this.listeners.get(panel) ?? []) listener(keys, whole);
  }
}
