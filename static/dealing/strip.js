// The strip on top: clock, P&L, margin calls and the lamps. It never scrolls and never shows old numbers as new.
import { sign } from "./decimal.js";
import { age, brief, clock, freshness, lamp, money, number } from "./format.js";
import { painter } from "./painter.js";

const FRESHNESS_WORDS = { live: "live", slow: "slow", stale: "stale", none: "no data" };
const SESSION_LAMPS = { ready: "live", connecting: "slow", down: "stale" };

/** Millions without their cents, which the panels have. */
const roomy = (text) => (/^-?\d{7,}\./.test(text ?? "") ? brief(text) : text);

export class Strip {
  constructor({ root, store, line }) {
    Object.assign(this, { root, store, line, state: "connecting", summaryAt: 0, lostAt: 0, retryAt: 0 });
    this.host = root;
    store.watch("summary", () => { this.summaryAt = performance.now(); painter.wants(this); });
    setInterval(() => this.tick(), 500);
  }

  part(name) { return this.root.querySelector(`[data-strip=${name}]`); }

  paint() {
    const row = this.store.row("summary", "desk");
    if (!row) return;
    for (const name of ["floating", "realised"]) this.part(name).replaceChildren(money(roomy(row[name])));
    this.part("orders-per-s").textContent = number(row.orders_per_s);
    const calls = this.part("margin-calls");
    calls.textContent = number(row.margin_calls);
    calls.classList.toggle("warn", sign(String(row.margin_calls)) > 0);
    this.part("seq").textContent = number(row.seq);
  }

  tick() {
    this.part("clock").textContent = clock(this.store.now() * 1000, false);
    this.showFeed();
    this.showVenues();
    this.showConnection();
  }

  showFeed() {
    let newest = Infinity;
    for (const row of this.store.rows("quotes").values()) if (row.age_ms !== null && row.age_ms < newest) newest = row.age_ms;
    const ms = Number.isFinite(newest) ? this.store.ageMs(newest) : NaN;
    this.light("feed", freshness(ms), `Feed ${FRESHNESS_WORDS[freshness(ms)]}`, Number.isFinite(ms) ? age(Math.max(0, ms)) : "no quotes");
  }

  showVenues() {
    const rows = [...this.store.rows("venues").values()];
    const up = rows.filter((row) => row.state === "ready");
    const worst = rows.some((row) => SESSION_LAMPS[row.state] === "stale") ? "stale" : up.length < rows.length ? "slow" : rows.length ? "live" : "none";
    this.light("fix", worst, `FIX sessions: ${up.length} of ${rows.length} ready`, `${up.length}/${rows.length}`);
    const quoting = rows.filter((row) => this.store.ageMs(row.quote_age_ms) < 5_000);
    const lp = !rows.length ? "none" : quoting.length === rows.length ? "live" : quoting.length ? "slow" : "stale";
    this.light("lp", lp, `LPs quoting: ${quoting.length} of ${rows.length}`, `${quoting.length}/${rows.length}`);
  }

  light(name, state, words, text) {
    const part = this.part(name);
    if (part.dataset.shown === state + text) return;
    part.dataset.shown = state + text;
    part.replaceChildren(lamp(state, words), text);
    part.title = words;
  }

  connection(state, detail) {
    if (state === "live") this.lostAt = 0;
    else if (!this.lostAt) this.lostAt = this.store.now();
    this.state = state;
    this.retryAt = state === "waiting" ? performance.now() + detail : 0;
    this.detail = detail;
    this.showConnection();
  }

  showConnection() {
    const silentMs = this.summaryAt ? performance.now() - this.summaryAt : 0;
    const silent = this.state === "live" && silentMs > 5_000;
    const name = silent ? "silent" : this.state;
    const words = { live: "Live", connecting: "Connecting", waiting: "Reconnecting", ended: "Ended", silent: `Engine silent ${age(silentMs)}` }[name];
    this.light("connection", { live: "live", ended: "stale" }[name] ?? "slow", words, words);
    document.body.dataset.line = name;
    this.banner(name, silentMs);
  }

  banner(name, silentMs) {
    const banner = document.getElementById("banner");
    const lost = this.lostAt ? `Numbers are as of ${clock(this.lostAt * 1000, false)} UTC.` : "";
    const wait = Math.max(0, Math.ceil((this.retryAt - performance.now()) / 1000));
    const text = {
      live: "", connecting: this.summaryAt ? `Connecting again. ${lost}` : "",
      waiting: `Connection lost. ${lost} Next try in ${wait} s.`,
      ended: `${this.detail} ${lost}`,
      silent: `Nothing heard from the engine for ${Math.round(silentMs / 1000)} s. The numbers below may be old.`,
    }[name];
    banner.hidden = !text;
    const shown = banner.querySelector("[data-banner=text]");
    if (shown.textContent !== text) shown.textContent = text;
    banner.querySelector("[data-action=retry]").hidden = name !== "waiting";
    banner.querySelector("[data-banner=login]").hidden = name !== "ended";
  }
}
