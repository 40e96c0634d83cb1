// The order blotter: every decision with its reason, and behind each row the venues that were weighed.
import { NONE, age, clock, el, number, words } from "../format.js";
import { Grid, detailTable, figure, label } from "../grid.js";

const GOOD = new Set(["filled"]);
const BAD = new Set(["denied", "rejected", "in_doubt"]);
const MODES = { a: "A", b: "B", mixed: "A+B", cross: "Cross", dealer: "Dealer" };

const side = (value) => el("span", value, value === "buy" ? "▲ Buy" : "▼ Sell");
const state = (value) => el("span", `state ${GOOD.has(value) ? "up" : BAD.has(value) ? "down" : ""}`,
  GOOD.has(value) ? "✓ " : BAD.has(value) ? "✕ " : "· ", words(value));
const mode = (value) => (value ? el("span", "tag", MODES[String(value).toLowerCase()] ?? words(value)) : el("span", "muted", NONE));
const shortId = (value) => {
  const node = el("span", "muted", String(value ?? "").slice(-8));
  node.title = value ?? "";
  return node;
};

export const orders = ({ host, store }) => new Grid({
  host, store, panel: "orders", addTop: true, aged: false,
  empty: "No order yet today. Every order will show here with the reason of its routing.",
  flash: ["filled"],
  sort: [{ column: "at", dir: "desc" }],
  matches: (row) => [row.symbol, row.order_id, row.account_id, row.group, row.state, row.source],
  detail: decision,
  columns: [
    figure("Time UTC", "at", (value) => clock(value), { minWidth: 112, responsive: 0, hozAlign: "left", headerHozAlign: "left", cssClass: "figure expands", phone: { minWidth: 108, widthGrow: 0 } }),
    label("Order", "order_id", shortId, { minWidth: 84, responsive: 7 }),
    label("Account", "account_id", undefined, { minWidth: 70, responsive: 1 }),
    label("Symbol", "symbol", undefined, { minWidth: 92, cssClass: "symbol", responsive: 0, phone: { minWidth: 80 } }),
    label("Side", "side", side, { minWidth: 58, responsive: 0, phone: { minWidth: 50 } }),
    label("Type", "type", words, { minWidth: 62, responsive: 8 }),
    figure("Lots", "quantity", number, { minWidth: 54, responsive: 0, phone: { minWidth: 46 } }),
    figure("Filled", "filled", number, { minWidth: 54, responsive: 2 }),
    figure("Price", "price", number, { minWidth: 78, responsive: 9 }),
    figure("Avg price", "average_price", (value) => (/[1-9]/.test(value ?? "") ? number(value) : el("span", "muted", NONE)), { minWidth: 80, responsive: 2 }),
    label("State", "state", state, { minWidth: 104, responsive: 0, widthGrow: 1.2, phone: { minWidth: 80 } }),
    label("Group", "group", undefined, { minWidth: 64, responsive: 4 }),
    label("Book", "mode", mode, { minWidth: 60, responsive: 1 }),
    label("Reason", "reason", undefined, { minWidth: 190, widthGrow: 6, responsive: 0, cssClass: "reason", phone: { responsive: 1 } }),
    label("Source", "source", words, { minWidth: 64, responsive: 6 }),
  ],
});

const fact = (name, value) => el("div", "fact", el("dt", "", name), el("dd", "", value));

const decision = (row) => {
  const routing = row.routing;
  const facts = [fact("Order", row.order_id), fact("Account", `${row.account_id ?? NONE} (${row.group ?? NONE})`), fact("Why", row.reason || row.text || NONE)];
  if (row.guaranteed) facts.splice(2, 0, fact("Stop", "guaranteed"));
  if (routing) {
    facts.push(fact("Rule", `${routing.rule} v${routing.version}`));
    facts.push(fact("Split in lots", `A ${number(routing.a_quantity)} · B ${number(routing.b_quantity)} · crossed ${number(routing.cross_quantity)}`));
  }
  const open = el("button", "button small", "Order file (f)");
  open.type = "button";
  open.dataset.file = row.order_id;
  const parts = [el("dl", "facts", ...facts), open];
  if (row.checks?.length) parts.push(checks(row.checks));
  parts.push(routing?.considered?.length ? considered(routing.considered) : el("p", "muted", "No venue was weighed for this order."));
  return el("div", "decision", ...parts);
};

const checks = (failed) => detailTable({
  caption: "Checks that refused the order",
  heads: ["Check", "Value", "Limit", "In words"],
  rows: failed.map((check) => [check.code, check.value || NONE, check.limit || NONE, check.text]),
});

const considered = (list) => detailTable({
  caption: "Venues considered",
  heads: ["Rank", "Venue", "Price", "Size", "Quote age", "Rejects", "Priority", "Cost", "In words"],
  figures: [0, 2, 3, 4, 5, 6, 7],
  lit: (at) => list[at].rank === 1,
  rows: list.map((each) => [
    each.rank ? String(each.rank) : "passed over",
    each.venue,
    number(each.price),
    number(each.size),
    each.quote_age_ms === null ? NONE : age(Number(each.quote_age_ms)),
    number(each.reject_rate),
    number(each.priority),
    number(each.cost),
    each.text || NONE,
  ]),
});
