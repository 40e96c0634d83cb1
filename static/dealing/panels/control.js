// What is stopped, what ends by itself, and what dealers did.
import { NONE, age, clock, el, words } from "../format.js";
import { Grid, figure, label } from "../grid.js";

const STATES = { killed: "down", halted: "down", reducing: "warn", live: "up", asked: "warn" };
const state = (value) => el("span", `strong ${STATES[value] ?? "muted"}`, value ? `${STATES[value] === "down" ? "✕ " : STATES[value] ? "▲ " : "· "}${words(value)}` : NONE);
const values = (given) => Object.entries(given ?? {}).map(([name, value]) => `${words(name)} ${value}`).join(", ") || NONE;

export const states = ({ host, store }) => new Grid({
  host, store, panel: "states", aged: false,
  empty: "Everything trades: nothing is halted, reduced or killed.",
  sort: [{ column: "scope", dir: "asc" }],
  matches: (row) => [row.key, row.by, row.state],
  columns: [
    label("Scope", "scope", undefined, { minWidth: 72, responsive: 0 }),
    label("Name", "key", (value) => el("span", "symbol", String(value).split(":").slice(1).join(":") || "all"), { minWidth: 90, responsive: 0 }),
    label("State", "state", state, { minWidth: 92, responsive: 0 }),
    label("Stopped by", "by", undefined, { minWidth: 90, responsive: 1 }),
  ],
});

export const changes = ({ host, store }) => new Grid({
  host, store, panel: "changes", aged: false,
  empty: "No change for a while is asked or live.",
  matches: (row) => [row.kind, row.group, row.state, row.asked_by],
  columns: [
    label("Change", "kind", (value, row) => el("span", "symbol", `#${row.id} ${words(value).replaceAll("-", " ")}`), { minWidth: 130, responsive: 0, phone: { minWidth: 124 } }),
    label("Group", "group", undefined, { minWidth: 70, responsive: 0 }),
    label("State", "state", state, { minWidth: 74, responsive: 0 }),
    label("Before", "before", values, { minWidth: 110, widthGrow: 2, responsive: 3, cssClass: "reason" }),
    label("Meanwhile", "after", values, { minWidth: 110, widthGrow: 2, responsive: 0, phone: { responsive: 1 } }),
    figure("Ends in", "reverts_at", (value, row) => (row.state === "live" && value ? age(Math.max(0, value / 1000 - store.now())) : row.state === "asked" ? `${row.minutes} min` : NONE), { minWidth: 64, responsive: 0 }),
    label("Asked by", "asked_by", undefined, { minWidth: 74, responsive: 2 }),
    label("Approved by", "approved_by", (value) => value || NONE, { minWidth: 92, responsive: 4 }),
  ],
});

export const journal = ({ host, store }) => new Grid({
  host, store, panel: "journal", aged: false,
  empty: "Nobody has done anything yet.",
  sort: [{ column: "at", dir: "desc" }],
  matches: (row) => [row.by, row.kind, row.subject, row.reason],
  columns: [
    figure("Time UTC", "at", (value) => clock(value, false), { minWidth: 86, responsive: 0, hozAlign: "left", headerHozAlign: "left", phone: { minWidth: 70 } }),
    label("Who", "by", undefined, { minWidth: 84, responsive: 0, cssClass: "symbol" }),
    label("What", "kind", (value) => words(value).replaceAll("-", " "), { minWidth: 110, responsive: 0 }),
    label("Of", "subject", undefined, { minWidth: 110, responsive: 0, phone: { responsive: 1 } }),
    label("Why", "reason", (value) => value || NONE, { minWidth: 150, widthGrow: 4, responsive: 0, cssClass: "reason", phone: { responsive: 2 } }),
    label("Outcome", "outcome", (value) => el("span", value === "done" ? "up" : value === "refused" ? "down" : "warn", `${{ done: "✓", refused: "✕" }[value] ?? "?"} ${value}`), { minWidth: 82, responsive: 0 }),
  ],
});
