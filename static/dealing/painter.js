// When the page draws: all panels in one go, at a human rate, and never more than a share of the browser's time.

const PAUSE_MS_MIN = 250;
const PAUSE_MS_MAX = 1_000;
// A flush, its layout and its paint take at most one part of so many.
const SHARE = 5;

export class Painter {
  constructor() {
    Object.assign(this, { due: new Set(), waiting: false, lastMs: -Infinity, pauseMs: PAUSE_MS_MIN });
    // A message is heard after the frame was drawn, so it tells what the frame took.
    this.drawn = new MessageChannel();
    this.drawn.port1.onmessage = () => this.learn(performance.now() - this.lastMs);
  }

  /** Draw `part` ({host, look(), paint()}) with the next flush; what is not in the page waits until it is. */
  wants(part) {
    this.due.add(part);
    this.wake();
  }

  /** Something came into sight. */
  wake() {
    if (this.waiting || ![...this.due].some((part) => part.host.isConnected)) return;
    this.waiting = true;
    const pause = Math.max(0, this.lastMs + this.pauseMs - performance.now());
    setTimeout(() => requestAnimationFrame(() => this.flush()), pause);
  }

  flush() {
    this.waiting = false;
    this.lastMs = performance.now();
    const parts = [...this.due].filter((part) => part.host.isConnected);
    for (const part of parts) this.due.delete(part);
    // Who measures does so before anybody writes: otherwise each panel costs a layout of its own.
    for (const part of parts) part.look?.();
    for (const part of parts) part.paint();
    this.drawn.port2.postMessage(null);
    this.wake();
  }

  learn(tookMs) { this.pauseMs = Math.min(PAUSE_MS_MAX, Math.max(PAUSE_MS_MIN, tookMs * SHARE)); }
}

/** The page has one screen. */
export const painter = new Painter();
