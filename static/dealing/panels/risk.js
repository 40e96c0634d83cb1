// The risk manager's panels: hedging, margin watch, legs in doubt, alerts, exposure by owner, books.
import { NONE, age, brief, clock, el, money, net, number, words } from "../format.js";
import { Grid, figure, label } from "../grid.js";
import { Ranking } from "../ranking.js";

const MARKS = { serious: "✕", warning: "▲", info: "·" };
const side = (value) => (value ? el("span", value, value === "buy" ? "▲ Buy" : "▼ Sell") : NONE);
const percent = (value) => (value === null || value === undefined ? NONE : `${number(value)} %`);

/** How much of a limit is used: the figure, a bar behind it and a sign once it is past. */
export const use = (value) => {
  if (value === null || value === undefined) return el("span", "muted", NONE);
  const size = Number(value);
  const node = el("span", `use ${size >= 100 ? "use-full" : size >= 80 ? "use-high" : ""}`, `${size >= 100 ? "✕ " : size >= 80 ? "▲ " : ""}${number(value)} %`);
  node.style.setProperty("--use", `${Math.min(100, size)}%`);
  return node;
};

export const hedges = ({ host, store }) => new Grid({
  host, store, panel: "hedges", aged: false,
  empty: "No hedging policy. Set one in the back office under Hedging.",
  sort: [{ column: "at", dir: "desc" }],
  matches: (row) => [row.key, row.symbol, row.hedge_id, row.state],
  columns: [
    label("What", "hedge_id", (value, row) => (row.kind === "policy" ? el("b", "", `Policy ${row.key.replace("policy:", "")}`) : value), { minWidth: 108, responsive: 0, cssClass: "symbol", phone: { minWidth: 92 } }),
    label("Symbol", "symbol", undefined, { minWidth: 74, responsive: 0, phone: { minWidth: 66 } }),
    label("Side", "side", side, { minWidth: 56, responsive: 1 }),
    figure("Lots", "quantity", number, { minWidth: 54, responsive: 0, phone: { minWidth: 46 } }),
    figure("Filled", "filled", number, { minWidth: 54, responsive: 2 }),
    figure("Risk", "risk", (value) => (value === undefined ? "" : net(value)), { minWidth: 60, responsive: 0, phone: { minWidth: 56 } }),
    figure("Threshold", "threshold", (value) => (value === undefined ? "" : number(value)), { minWidth: 70, responsive: 3 }),
    figure("Used", "use_percent", (value, row) => (row.kind === "policy" ? use(value) : ""), { minWidth: 74, responsive: 0, phone: { responsive: 1 } }),
    label("State", "state", (value, row) => (row.kind === "policy" ? `${row.enabled ? "on" : "off"}, ${row.automatic ? "automatic" : "asks"}` : el("span", row.queued ? "warn strong" : "", row.queued ? "▲ queued" : words(value))), { minWidth: 92, responsive: 0, widthGrow: 1.4, phone: { minWidth: 84 } }),
    figure("At UTC", "at", (value) => clock(value, false), { minWidth: 72, responsive: 4 }),
  ],
});

const byLevel = new Ranking("level_percent");

export const margin = ({ host, store }) => new Grid({
  host, store, panel: "margin", aged: false, ranking: byLevel,
  empty: "No account holds a position.",
  flash: ["level_percent"],
  sort: [{ column: "level_percent", dir: "asc" }],
  matches: (row) => [row.account_id, row.group],
  columns: [
    label("Account", "account_id", undefined, { minWidth: 76, responsive: 0, cssClass: "symbol" }),
    label("Group", "group", undefined, { minWidth: 64, responsive: 3 }),
    figure("Level", "level_percent", (value, row) => el("span", `band band-${band(row)}`, `${MARKS_OF_BAND[band(row)]}${percent(value)}`), { minWidth: 94, responsive: 0, sorter: byLevel.sorter }),
    figure("To stop-out", "distance", money, { minWidth: 92, responsive: 0 }),
    figure("Equity", "equity", number, { minWidth: 98, responsive: 1 }),
    figure("Used", "used_margin", number, { minWidth: 78, responsive: 2 }),
    figure("Free", "free_margin", number, { minWidth: 84, responsive: 4 }),
    figure("Floating", "floating", money, { minWidth: 84, responsive: 2 }),
    figure("Call at", "call_percent", percent, { minWidth: 62, responsive: 5 }),
    figure("Out at", "stop_out_percent", percent, { minWidth: 62, responsive: 5 }),
    label("", "called", (value) => (value ? el("span", "down strong", "called") : ""), { minWidth: 52, responsive: 1, headerSort: false }),
  ],
});

const MARKS_OF_BAND = { out: "✕ ", near: "▼ ", low: "▲ ", calm: "" };
const band = (row) => {
  const level = Number(row.level_percent ?? Infinity);
  if (level <= Number(row.stop_out_percent)) return "out";
  return level < 100 ? "near" : level < 150 ? "low" : "calm";
};

export const doubts = ({ host, store }) => new Grid({
  host, store, panel: "doubts", aged: false,
  empty: "Nothing is in doubt: every venue has said what became of every leg.",
  sort: [{ column: "at", dir: "asc" }],
  matches: (row) => [row.cl_ord_id, row.venue, row.symbol, row.whose],
  columns: [
    label("Leg", "cl_ord_id", undefined, { minWidth: 120, responsive: 0, cssClass: "symbol" }),
    label("LP", "venue", (value) => el("span", "venue", value), { minWidth: 46, responsive: 0 }),
    label("Whose", "whose", undefined, { minWidth: 62, responsive: 2 }),
    label("Symbol", "symbol", undefined, { minWidth: 70, responsive: 0 }),
    label("Side", "side", side, { minWidth: 56, responsive: 1 }),
    figure("Open lots", "leaves", number, { minWidth: 76, responsive: 0 }),
    figure("Since", "at", (value) => (value ? age(store.now() - value / 1000) : NONE), { minWidth: 58, responsive: 0 }),
    label("In words", "text", undefined, { minWidth: 150, widthGrow: 4, responsive: 3, cssClass: "reason" }),
  ],
});

export const alerts = ({ host, store }) => new Grid({
  host, store, panel: "alerts", aged: false,
  empty: "Nothing calls for anybody.",
  sort: [{ column: "since", dir: "desc" }],
  matches: (row) => [row.title, row.text, row.topic],
  columns: [
    label("", "tone", (value) => { const node = el("span", `tone tone-${value}`, MARKS[value] ?? "·"); node.setAttribute("role", "img"); node.setAttribute("aria-label", value); return node; }, { width: 34, minWidth: 34, responsive: 0, headerSort: false }),
    label("Alert", "title", undefined, { minWidth: 128, widthGrow: 1.4, responsive: 0, cssClass: "symbol" }),
    label("In words", "text", undefined, { minWidth: 150, widthGrow: 4, responsive: 0, cssClass: "reason" }),
    figure("Since", "since", (value) => (value ? age(store.now() - value / 1000) : NONE), { minWidth: 62, responsive: 0 }),
  ],
});

const amount = (value) => (value === undefined ? el("span", "muted", NONE) : net(brief(value)));

// What currencies have and owners do not, and the other way round.
const OF_CURRENCIES = ["venue", "uncovered"];
const OF_OWNERS = ["positions", "limit_percent"];

const SPREAD = [
  label("Name", "name", undefined, { minWidth: 82, responsive: 0, cssClass: "symbol", phone: { minWidth: 58 } }),
  figure("Long", "long", (value) => number(brief(value)), { minWidth: 86, responsive: 4 }),
  figure("Short", "short", (value) => number(brief(value)), { minWidth: 86, responsive: 4 }),
  figure("Client net", "client", amount, { minWidth: 106, responsive: 0 }),
  figure("A-book", "a", amount, { minWidth: 106, responsive: 1 }),
  figure("B-book", "b", amount, { minWidth: 106, responsive: 1 }),
  figure("LP net", "venue", amount, { minWidth: 106, responsive: 2 }),
  figure("Uncovered", "uncovered", amount, { minWidth: 106, responsive: 0, cssClass: "figure strong" }),
  figure("Size in USD", "size", (value) => number(brief(value)), { minWidth: 92, responsive: 1 }),
  figure("Limit used", "limit_percent", (value) => use(value), { minWidth: 80, responsive: 2 }),
  figure("Pos", "positions", (value) => number(value), { minWidth: 44, responsive: 5 }),
];

/** The columns of what is looked at now: those that it does not have are not there at all. */
const spreadColumns = () => {
  const without = document.getElementById("spread-of").value === "currency" ? OF_OWNERS : OF_CURRENCIES;
  return SPREAD.filter(({ field }) => !without.includes(field));
};

export const spread = ({ host, store }) => {
  const grid = new Grid({
    host, store, panel: "spread", aged: false,
    empty: "No open positions.",
    matches: (row) => [row.name],
    columns: spreadColumns(),
  });
  const fit = () => {
    // The library goes on counting from the columns that it hid before; of the new ones it has hidden none.
    grid.table.modules.responsiveLayout.index = 0;
    grid.table.setColumns(spreadColumns());
  };
  document.getElementById("spread-of").addEventListener("change", fit);
  return grid;
};

export const books = ({ host, store }) => new Grid({
  host, store, panel: "books", aged: false,
  empty: "No fill yet today, and nothing is open.",
  sort: [{ column: "key", dir: "asc" }],
  matches: (row) => [row.book, row.currency],
  columns: [
    label("Book", "key", (_value, row) => el("span", "symbol", row.kind === "open" ? `${row.book} open` : row.book), { minWidth: 68, responsive: 0, phone: { minWidth: 62 } }),
    label("In", "currency", undefined, { minWidth: 44, responsive: 0, phone: { minWidth: 40 } }),
    figure("Fills", "fills", (value) => (value === undefined ? "" : number(value)), { minWidth: 50, responsive: 2 }),
    figure("Volume", "volume", (value) => (value === undefined ? "" : number(value?.split(".")[0])), { minWidth: 104, responsive: 1 }),
    figure("Clients made", "realised", (value) => (value ? money(value) : ""), { minWidth: 96, responsive: 1 }),
    figure("Clients' open", "floating", (value) => (value ? money(value) : ""), { minWidth: 96, responsive: 0, phone: { minWidth: 92 } }),
    figure("Markup", "markup", (value) => (value ? number(value) : ""), { minWidth: 70, responsive: 2 }),
    figure("Commission", "commission", (value) => (value ? number(value) : ""), { minWidth: 94, responsive: 3 }),
    figure("House", "house", (value) => (value ? money(value) : ""), { minWidth: 96, responsive: 0, cssClass: "figure strong", phone: { minWidth: 82 } }),
    figure("Per million", "per_million", (value) => (value ? money(value) : ""), { minWidth: 80, responsive: 0 }),
  ],
});
