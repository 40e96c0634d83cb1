// What the house holds at each LP, and how well each LP serves it.
import { NONE, brief, el, money, net, number, words } from "../format.js";
import { Grid, figure, label } from "../grid.js";

const inQuoteCurrency = (value, row) => (value === null ? el("span", "muted", NONE) : el("span", "", money(value), row.currency === "USD" ? null : el("span", "currency", row.currency)));

export const coverage = ({ host, store }) => new Grid({
  host, store, panel: "coverage", aged: false,
  empty: "The house holds nothing at any LP.",
  sort: [{ column: "venue", dir: "asc" }, { column: "symbol", dir: "asc" }],
  matches: (row) => [row.venue, row.symbol],
  columns: [
    label("LP", "venue", (value) => el("span", "venue", value), { minWidth: 46, responsive: 0 }),
    label("Symbol", "symbol", undefined, { minWidth: 78, responsive: 0, cssClass: "symbol" }),
    figure("Net lots", "net", net, { minWidth: 74, responsive: 0, cssClass: "figure strong" }),
    figure("Passed on", "passed_on", net, { minWidth: 74, responsive: 1 }),
    figure("Hedges", "hedged", net, { minWidth: 70, responsive: 1 }),
    figure("Hedge VWAP", "vwap", number, { minWidth: 98, responsive: 3 }),
    figure("Mark", "mark", number, { minWidth: 92, responsive: 4 }),
    figure("Floating", "floating", inQuoteCurrency, { minWidth: 92, responsive: 0 }),
    figure("Realised", "realised", inQuoteCurrency, { minWidth: 92, responsive: 2 }),
    figure("Notional", "notional", (value) => number(brief(value)), { minWidth: 96, responsive: 5 }),
  ],
});

const part = (value) => (value === null || value === undefined ? NONE : `${number((Number(value) * 100).toFixed(1))} %`);
const ms = (value) => (value === null || value === undefined ? NONE : number(String(Math.round(Number(value)))));

/** A mean loss with its standard error: above zero the market went against what had just been dealt. */
const markout = (field) => (value, row) => {
  if (value === null || value === undefined) return el("span", "muted", NONE);
  const error = row[`${field}_error_bps`];
  const doubtful = error === null || Math.abs(Number(value)) <= 2 * Number(error);
  const shown = el("span", doubtful ? "muted" : Number(value) > 0 ? "down" : "up", `${!doubtful && Number(value) > 0 ? "▲ " : ""}${number(value)}`);
  shown.title = `± ${error ?? NONE} of ${row[`${field}_samples`]} fills`;
  return shown;
};

export const scorecards = ({ host, store }) => new Grid({
  host, store, panel: "scorecards", aged: false,
  empty: "The engine has measured no LP yet.",
  sort: [{ column: "venue", dir: "asc" }],
  matches: (row) => [row.venue],
  columns: [
    label("LP", "venue", undefined, { minWidth: 46, responsive: 0, cssClass: "symbol" }),
    label("Trading", "trading_state", (value) => el("span", value === "active" ? "up" : "down strong", `${value === "active" ? "✓" : "✕"} ${words(value)}`), { minWidth: 82, responsive: 1 }),
    figure("Filled", "fill_ratio", part, { minWidth: 72, responsive: 0 }),
    figure("Rejected", "reject_rate", part, { minWidth: 66, responsive: 0 }),
    figure("In a row", "rejects_in_a_row", number, { minWidth: 60, responsive: 5 }),
    figure("Ack ms", "latency_ms_p50", ms, { minWidth: 64, responsive: 2 }),
    figure("p95", "latency_ms_p95", ms, { minWidth: 52, responsive: 3 }),
    figure("Hold ms", "hold_ms_p50", ms, { minWidth: 66, responsive: 2 }),
    figure("Bp 1 s", "markout_1000_mean_bps", markout("markout_1000"), { minWidth: 66, responsive: 0 }),
    figure("Bp 10 s", "markout_10000_mean_bps", markout("markout_10000"), { minWidth: 68, responsive: 3 }),
    figure("Bp 60 s", "markout_60000_mean_bps", markout("markout_60000"), { minWidth: 68, responsive: 4 }),
    figure("Cost bp", "cost_markout_bps", number, { minWidth: 60, responsive: 4 }),
    figure("Up %", "up_percent", number, { minWidth: 62, responsive: 1 }),
    figure("Lost", "disconnects", number, { minWidth: 46, responsive: 6 }),
  ],
});
