// The drawer on the right: the file of an order, why a number is what it is, what a stop-out would close.
import { sum } from "./decimal.js";
import { NONE, clock, el, money, number, words } from "./format.js";
import { detailTable } from "./grid.js";
import { read } from "./server.js";

const fact = (name, value) => el("div", "fact", el("dt", "", name), el("dd", "", value ?? NONE));
const section = (title, ...content) => el("section", "", el("h3", "", title), ...content);
// Of a long fraction nobody reads more; what is exact stays so in the receipt and in the tables.
const PLACES = 5;
const short = (value) => (/^-?\d+\.\d{6,}$/.test(value ?? "") ? plain(sum([value], PLACES)) : plain(value));
const plain = (value) => (value === null || value === undefined || value === "" ? NONE : number(String(value).replace(/(\.\d*?)0+$/, "$1").replace(/\.$/, "")));

export class Drawer {
  constructor({ element, store }) {
    Object.assign(this, { element, store });
    this.title = element.querySelector("h2");
    this.body = element.querySelector("[data-drawer=body]");
    element.querySelector("[data-action=close-drawer]").addEventListener("click", () => this.close());
    store.watch("focus", () => this.showStopOut());
  }

  get isOpen() { return !this.element.hidden; }

  open(title, ...content) {
    this.returnTo ??= document.activeElement;
    this.account = null;
    this.title.textContent = title;
    this.body.replaceChildren(...content);
    this.element.hidden = false;
    this.element.focus();
  }

  close() {
    this.element.hidden = true;
    this.account = null;
    this.returnTo?.focus?.();
    this.returnTo = null;
  }

  /** `answers` are {name, value, how, inputs: [[name, value]]}. */
  why(title, answers) {
    this.open(`Why: ${title}`, ...answers.map(({ name, value, how, inputs = [] }) => {
      const facts = inputs.map(([key, each]) => fact(key, each instanceof Node ? each : plain(each)));
      return section(name, el("p", "why-value figure", value instanceof Node ? value : plain(value)), el("p", "muted", how), el("dl", "facts", ...facts));
    }));
  }

  async order(orderId) {
    this.open(`Order ${orderId}`, el("p", "muted", "Reading…"));
    const file = await read(`/desk/orders/${encodeURIComponent(orderId)}`);
    if (!file) return this.open(`Order ${orderId}`, el("p", "muted", "Not in the tables yet; they follow the desk within a second."));
    const told = el("section", "", el("h3", "", "Execution receipt"), el("p", "muted", "Reading…"));
    this.open(`Order ${orderId}`, ...orderFile(file), told);
    const receipt = await read(`/desk/orders/${encodeURIComponent(orderId)}/receipt`);
    told.replaceChildren(...receiptOf(orderId, receipt));
  }

  stopOut(account) {
    this.open(`Stop-out of ${account}`, el("p", "muted", "Asking the desk…"));
    this.account = account;
    this.showStopOut();
  }

  /** What the desk should look at closely for this drawer. */
  get wanted() { return this.account ? [`stopout:${this.account}`] : []; }

  showStopOut() {
    const row = this.account && this.store.row("focus", `stopout:${this.account}`);
    if (!row) return;
    const now = this.store.row("margin", this.account);
    const facts = el("dl", "facts", fact("Margin level now", now ? `${plain(now.level_percent)} %` : NONE), fact("Stopped out at", now ? `${plain(now.stop_out_percent)} %` : NONE), fact("To lose until then", now ? money(now.distance) : NONE));
    if (row.text) return this.body.replaceChildren(facts, el("p", "warn", row.text));
    if (!row.rungs.length) return this.body.replaceChildren(facts, el("p", "muted", "Above its stop-out: nothing would be closed now."));
    const table = detailTable({
      caption: "Closes in their order", heads: ["Position", "Symbol", "Side", "Lots", "Price", "Realised", "Level after"], figures: [3, 4, 5, 6],
      rows: row.rungs.map((rung) => [rung.position_id, rung.symbol, rung.side, plain(rung.quantity), plain(rung.price), money(sum([rung.realised])), rung.level_after ? `${number(sum([rung.level_after], 1))} %` : NONE]),
    });
    const waiting = row.queued.length ? [el("p", "warn", `Waiting for a good price: ${row.queued.join(", ")}`)] : [];
    this.body.replaceChildren(facts, table, ...waiting);
  }
}

const orderFile = ({ order, legs, fills, actions, controls }) => {
  const routing = order.routing;
  const facts = el("dl", "facts",
    fact("Account", `${order.account_id} (${order.group})`), fact("State", words(order.state)), fact("Side", `${order.side} ${plain(order.quantity)} ${order.symbol}`),
    fact("Type", `${words(order.type)} ${order.time_in_force}`), fact("Limit", plain(order.limit_price)), fact("Stop", order.guaranteed_stop ? `${order.stop_price === null ? "stop loss" : plain(order.stop_price)}, guaranteed` : plain(order.stop_price)),
    fact("Filled", plain(order.filled)), fact("Average", plain(order.average_price)), fact("Source", `${order.source} · ${order.principal}`), fact("At", order.created_at));
  const parts = [facts, section("Why it went where it went", el("p", "", routing?.text || order.text || "It was not routed."), ...(routing ? [routed(routing)] : []))];
  parts.push(section("Checks", checks(order.verdict?.checks ?? [], controls)));
  if (legs.length) parts.push(section("Legs at venues", detailTable({ caption: "Legs", heads: ["Leg", "Venue", "Lots", "Limit", "State", "Filled", "In words"], figures: [2, 3, 5], rows: legs.map((leg) => [leg.cl_ord_id, leg.venue, plain(leg.quantity), plain(leg.limit_price), words(leg.state), plain(leg.filled), leg.text || NONE]) })));
  if (fills.length) parts.push(section("Fills", detailTable({ caption: "Fills", heads: ["Book", "Lots", "Price", "Raw price", "Markup", "Commission", "Realised"], figures: [1, 2, 3, 4, 5, 6], rows: fills.map((fill) => [fill.book, plain(fill.quantity), plain(fill.price), plain(fill.raw_price), plain(fill.markup_revenue), plain(fill.commission), plain(fill.realised)]) })));
  if (actions.length) parts.push(section("Dealers' actions", detailTable({ caption: "Actions", heads: ["At UTC", "Who", "What", "Why"], rows: actions.map((each) => [clock(each.at, false), each.by, words(each.kind), each.reason]) })));
  return parts;
};

/** The whole receipt, which opens its client's: what each fill cost against the price at arrival, in its parts, and its hash. */
const receiptOf = (orderId, receipt) => {
  const title = el("h3", "", "Execution receipt");
  if (!receipt) return [title, el("p", "muted", "There is none: the order is not in the tables yet.")];
  const { legs, fills } = receipt.execution;
  const link = el("a", "", "Save it (JSON, checked offline by piggy/messaging/receipts.py)");
  link.href = `/desk/orders/${encodeURIComponent(orderId)}/receipt?save`;
  const tables = [];
  if (fills.length) tables.push(detailTable({ caption: "Slippage of each fill, above zero worse for the client", heads: ["Fill", "Lots", "Price", "Market", "Latency", "Markup", "In all"], figures: [1, 2, 3, 4, 5, 6], rows: fills.map((fill) => [fill.fill_id, plain(fill.quantity), plain(fill.price), ...["market", "latency", "markup", "total"].map((part) => plain(fill.slippage?.[part]))]) }));
  if (legs.length) tables.push(detailTable({ caption: "Every attempt at an LP", heads: ["Leg", "LP", "Try", "Lots", "Filled", "Answered ms", "Outcome"], figures: [2, 3, 4, 5], rows: legs.map((leg) => [leg.cl_ord_id, leg.venue, String(leg.attempt), plain(leg.quantity), plain(leg.filled), leg.answered_after_us === null ? NONE : number(String(Math.round(leg.answered_after_us / 1000))), words(leg.outcome)]) }));
  return [title, ...tables, el("p", "muted receipt-hash", `${receipt.entries.length} events, hash ${receipt.receipt_hash}`), el("p", "", link)];
};

const routed = (routing) => {
  const split = `A ${plain(routing.a_quantity)} · B ${plain(routing.b_quantity)} · crossed ${plain(routing.cross_quantity)}`;
  const facts = el("dl", "facts", fact("Rule", `${routing.rule} v${routing.version}`), fact("Mode", routing.mode), fact("Lots", split));
  if (!routing.considered?.length) return facts;
  return el("div", "", facts, detailTable({
    caption: "Every venue considered", heads: ["Rank", "Venue", "Price", "Size", "Age ms", "Rejects", "Priority", "Cost", "In words"], figures: [0, 2, 3, 4, 5, 6, 7], lit: (at) => routing.considered[at].rank === 1,
    rows: routing.considered.map((each) => [each.rank ? String(each.rank) : "out", each.venue, plain(each.price), plain(each.size), plain(each.quote_age_ms), plain(each.reject_rate), plain(each.priority), plain(each.cost), each.text || NONE]),
  }));
};

const checks = (list, controls) => detailTable({
  caption: "Every check of the gate", heads: ["", "Check", "Value", "Limit", "In words"], figures: [2, 3], lit: (at) => !list[at].passed,
  rows: list.map((check) => [check.passed ? "✓" : "✕", check.code, short(check.value), short(check.limit), check.text || controls[check.code] || NONE]),
});
