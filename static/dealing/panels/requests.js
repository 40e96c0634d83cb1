// Orders that wait for a dealer: what was asked, where the market is, and how long until time answers.
import { NONE, el, number, words } from "../format.js";
import { Grid, figure, label } from "../grid.js";

const TICK_MS = 250;
const side = (value) => el("span", value, value === "buy" ? "▲ Buy" : "▼ Sell");

const against = (value) => {
  if (value === null || value === undefined) return el("span", "muted", NONE);
  const size = Number(value);
  return el("span", size > 0 ? "down" : size < 0 ? "up" : "muted", size > 0 ? `▲ ${number(value)}` : number(value));
};

const countdown = (row, nowMs) => {
  const left = Math.max(0, row.expires_at / 1000 - nowMs);
  const whole = Math.max(1, (row.expires_at - row.held_at) / 1000);
  return { text: `${Math.ceil(left / 1000)} s`, share: `${Math.round((left / whole) * 100)}%`, late: left < 5_000 };
};

const bar = (node, { text, share, late }) => {
  node.textContent = text;
  node.style.setProperty("--use", share);
  node.classList.toggle("use-high", late);
  return node;
};

export const requests = ({ host, store }) => {
  const grid = new Grid({
    host, store, panel: "requests", aged: false,
    empty: "No order waits for a dealer.",
    flash: ["current"],
    sort: [{ column: "expires_at", dir: "asc" }],
    matches: (row) => [row.order_id, row.account_id, row.symbol, row.group, row.claimed_by],
    columns: [
      figure("Left", "expires_at", (_value, row) => { const node = bar(el("span", "use countdown"), countdown(row, store.now())); node.dataset.key = row.key; return node; }, { minWidth: 66, responsive: 0, hozAlign: "left", headerHozAlign: "left", phone: { minWidth: 58 } }),
      label("Order", "order_id", undefined, { minWidth: 92, responsive: 3 }),
      label("Account", "account_id", undefined, { minWidth: 70, responsive: 1 }),
      label("Group", "group", undefined, { minWidth: 64, responsive: 5 }),
      label("Symbol", "symbol", undefined, { minWidth: 74, responsive: 0, cssClass: "symbol", phone: { minWidth: 70 } }),
      label("Side", "side", side, { minWidth: 56, responsive: 0, phone: { minWidth: 50 } }),
      figure("Lots", "quantity", number, { minWidth: 52, responsive: 0, phone: { minWidth: 46 } }),
      figure("Asked", "requested", number, { minWidth: 82, responsive: 0, phone: { responsive: 1 } }),
      figure("Now", "current", number, { minWidth: 82, responsive: 0, phone: { minWidth: 74 } }),
      figure("Slip pts", "slippage_points", against, { minWidth: 78, responsive: 1 }),
      label("In hand", "claimed_by", (value) => (value ? el("span", "warn strong", `● ${value}`) : el("span", "muted", "free")), { minWidth: 90, responsive: 0, widthGrow: 1.4, phone: { minWidth: 72 } }),
      figure("Requote", "requote", (value, row) => (value ? `${number(value)} (${row.requotes})` : NONE), { minWidth: 78, responsive: 2 }),
      label("Then", "passes_on", (value) => (value ? "passed on" : "refused"), { minWidth: 66, responsive: 4, cssClass: "muted" }),
      label("Type", "type", words, { minWidth: 56, responsive: 6 }),
    ],
  });
  setInterval(() => {
    if (document.hidden) return;
    for (const node of host.querySelectorAll(".countdown")) {
      const row = store.row("requests", node.dataset.key);
      if (row) bar(node, countdown(row, store.now()));
    }
  }, TICK_MS);
  return grid;
};
