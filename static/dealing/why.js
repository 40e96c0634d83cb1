// Why a number is what it is: for each figure of a row how it is worked out, and from which inputs.
import { money, net } from "./format.js";

const lots = (name, value, how, inputs) => ({ name, value: net(value), how, inputs });

const exposure = (row) => [
  lots("Client net", row.client_net, "Clients' long lots less their short lots.", [["Long", row.client_long], ["Short", row.client_short], ["Positions", row.positions]]),
  lots("A-book", row.a_net, "The part of clients' positions whose opening was passed to an LP.", [["Client net", row.client_net], ["B-book", row.b_net]]),
  lots("B-book", row.b_net, "The part that the house kept.", [["Client net", row.client_net], ["A-book", row.a_net]]),
  lots("LP net", row.venue_net, "What all LPs hold for the house: every fill of theirs, bought less sold.", []),
  lots("Uncovered", row.uncovered, "Client net less LP net: the house is short what is above zero.", [["Client net", row.client_net], ["LP net", row.venue_net]]),
  { name: "Limit use", value: row.limit_percent === null || row.limit_percent === undefined ? null : `${row.limit_percent} %`, how: "Uncovered over the threshold of the symbol's hedging policy.", inputs: [["Uncovered", row.uncovered], ["Threshold", row.limit]] },
  { name: "VWAP", value: row.vwap, how: "Cost of all positions over client net.", inputs: [["Cost (lots × price)", row.cost], ["Client net", row.client_net]] },
  { name: "Mark", value: row.mark, how: "The mid of the consolidated best bid and ask.", inputs: [["Age ms", row.age_ms]] },
  { name: "Floating P&L", value: money(row.floating), how: "Longs at the bid, shorts at the ask, less their cost, times the contract size; in the quote currency, clients' side.", inputs: [["Long", row.client_long], ["Short", row.client_short], ["Cost", row.cost], ["Contract size", row.contract_size]] },
  { name: "Notional", value: row.notional, how: "Client net times contract size times mark.", inputs: [["Client net", row.client_net], ["Contract size", row.contract_size], ["Mark", row.mark]] },
];

const quotes = (row) => [
  { name: "Bid", value: row.bid, how: "The highest live bid; its LP is beside it.", inputs: (row.venues ?? []).map((each) => [each.venue, each.bid]) },
  { name: "Ask", value: row.ask, how: "The lowest live ask.", inputs: (row.venues ?? []).map((each) => [each.venue, each.ask]) },
  { name: "Spread", value: row.spread_points, how: "Ask less bid in points, raw: groups' markup comes on top.", inputs: [["Bid", row.bid], ["Ask", row.ask]] },
];

const venues = (row) => [
  { name: "Quotes/s", value: row.quotes_per_s, how: "Quotes that came in the last whole second, over all its symbols.", inputs: [["Quote age ms", row.quote_age_ms]] },
  { name: "Fills", value: String(row.fills), how: "Executions that it reported since the engine began.", inputs: [["Orders", row.orders]] },
  { name: "Reject %", value: row.reject_percent, how: "Rejected orders over all orders sent to it.", inputs: [["Rejects", row.rejects], ["Orders", row.orders]] },
  { name: "In doubt", value: String(row.in_doubt), how: "Legs of which it has not said what became of them.", inputs: [] },
  { name: "Unread", value: String(row.unread ?? 0), how: "Market data and answers from it that nobody could read and that were dropped, since its worker began.", inputs: [["Word from the session", row.text]] },
];

const margin = (row) => [
  { name: "Margin level", value: row.level_percent, how: "Equity over used margin, in percent.", inputs: [["Equity", row.equity], ["Used margin", row.used_margin]] },
  { name: "Equity", value: row.equity, how: "Balance and floating profit at the live quotes.", inputs: [["Balance", row.balance], ["Floating", row.floating]] },
  { name: "To stop-out", value: money(row.distance), how: "Equity less the equity at which the stop-out level is reached.", inputs: [["Equity", row.equity], ["Used margin", row.used_margin], ["Stop-out %", row.stop_out_percent]] },
  { name: "Free margin", value: row.free_margin, how: "Equity less used margin and what working orders reserve.", inputs: [["Equity", row.equity], ["Used margin", row.used_margin]] },
];

const hedges = (row) => (row.kind === "policy" ? [
  { name: "Risk", value: row.risk, how: "Uncovered lots (or units of the currency) less what is pending.", inputs: [["Pending", row.pending]] },
  { name: "Used", value: row.use_percent, how: "Risk over the threshold; past it the policy hedges back to its target.", inputs: [["Risk", row.risk], ["Threshold", row.threshold], ["Target", row.target], ["Band", row.band], ["Version", row.version]] },
] : [{ name: "Lots", value: row.quantity, how: "What brings the policy's risk back to its target, at most its largest hedge.", inputs: [["Filled", row.filled]] }]);

const books = (row) => (row.kind === "open" ? [{ name: "Clients' open profit", value: money(row.floating), how: "This book's share of every position at the mid, in USD.", inputs: [] }] : [
  { name: "House", value: money(row.house), how: row.book === "B" ? "The house is the other side: what clients lost, and commission. Markup is part of what they lost." : "Markup and commission; the LP bears the rest.", inputs: [["Clients made", row.realised], ["Markup", row.markup], ["Commission", row.commission]] },
  { name: "Per million", value: money(row.per_million), how: "House over volume, times a million.", inputs: [["House", row.house], ["Volume", row.volume]] },
]);

const marks = (row) => [
  { name: "Made", value: money(row.actual), how: "Each fill in the book that it was dealt in, at the live mid, in USD.", inputs: [["Fills", row.fills], ["Volume", row.volume], ...(row.unpriced?.length ? [["Left out, no price", row.unpriced.join(", ")]] : [])] },
  { name: "Under A", value: money(row.under_a), how: "Markup and commission, less the LP's fee: the LP bears the rest.", inputs: [["Per million", row.under_a_rpm]] },
  { name: "Under B", value: money(row.under_b), how: "What clients paid less what it is worth at the mid now, and commission; filled at the price of arrival.", inputs: [["Per million", row.under_b_rpm]] },
  { name: "Under MIXED", value: money(row.under_mixed), how: "A share of each, as the group's A-book percent says.", inputs: [["A-book %", row.a_percent], ["Per million", row.under_mixed_rpm]] },
];

const coverage = (row) => [
  lots("Net lots", row.net, "What its fills left at this LP, bought less sold: clients' legs passed on, and the house's own hedges.", [["Passed on", row.passed_on], ["Hedges", row.hedged], ["Most that hedges may hold", row.limit]]),
  { name: "Floating", value: money(row.floating), how: "Hedges' lots at the mid less their cost, times the contract size, in the quote currency. What was passed on is its clients'.", inputs: [["Hedges", row.hedged], ["VWAP", row.vwap], ["Mark", row.mark], ["Contract size", row.contract_size]] },
  { name: "Realised", value: money(row.realised), how: "What closed hedges made at this LP since the position that stands now was begun, in the quote currency; all of them are in the ledger.", inputs: [["Currency", row.currency]] },
  { name: "Notional", value: row.notional, how: "Net lots times contract size times mark.", inputs: [["Net lots", row.net], ["Mark", row.mark]] },
];

const share = (value) => (value === null || value === undefined ? null : `${(Number(value) * 100).toFixed(1)} %`);

const scorecards = (row) => [
  { name: "Filled", value: share(row.fill_ratio), how: "Lots filled over lots sent, the latest counting most.", inputs: [["Orders", row.orders], ["Fills", row.fills]] },
  { name: "Rejected", value: share(row.reject_rate), how: "Rejects over orders, the latest counting most.", inputs: [["Rejects", row.rejects], ["In a row now", row.rejects_in_a_row]] },
  { name: "Acknowledged within ms", value: row.latency_ms_p50, how: "Median from the order to its first word; the second figure holds for 95 of 100.", inputs: [["p95", row.latency_ms_p95], ["Samples", row.latency_ms_samples]] },
  { name: "Held for ms", value: row.hold_ms_p50, how: "Median from the order to its fill or refusal: a last look takes this long.", inputs: [["p95", row.hold_ms_p95], ["Samples", row.hold_ms_samples]] },
  ...[["1000", "1 s"], ["10000", "10 s"], ["60000", "60 s"]].map(([after, title]) => ({ name: `Markout ${title}, bp`, value: row[`markout_${after}_mean_bps`], how: "The mid after its fills against the mid at the fill; above zero the market went against us. Grey: within two standard errors of nothing.", inputs: [["Standard error", row[`markout_${after}_error_bps`]], ["Fills", row[`markout_${after}_samples`]]] })),
  { name: "Cost, bp", value: row.cost_markout_bps, how: "The markout that the cost model of routing counts with.", inputs: [] },
  { name: "Up", value: `${row.up_percent} %`, how: "Share of the seconds since the engine began in which the session was ready.", inputs: [["Times lost", row.disconnects]] },
];

const level = (side, book) => (book ?? []).flatMap((each) => [[`${side} ${each.venue ?? ""}`.trim(), `${each.price} × ${each.size ?? each.quantity ?? ""}`]]);

const ladder = (row) => [
  { name: "Best bid", value: row.bids?.[0]?.price, how: "Every LP's live bids, the highest first; what an LP quotes beyond its best is its depth.", inputs: level("Bid", row.bids) },
  { name: "Best ask", value: row.asks?.[0]?.price, how: "Every LP's live asks, the lowest first.", inputs: level("Ask", row.asks) },
];

const alerts = (row) => [{ name: row.title, value: null, how: row.text, inputs: [["Topic", row.topic ?? row.key], ["Urgency", row.tone]] }];

const changes = (row) => [{ name: "Meanwhile", value: null, how: "What holds until the clock puts it back; what somebody changed since stays.", inputs: [...Object.entries(row.before ?? {}).map(([name, value]) => [`${name} before`, value]), ...Object.entries(row.after ?? {}).map(([name, value]) => [`${name} now`, value]), ["Minutes", row.minutes], ["Asked by", row.asked_by], ["Approved by", row.approved_by]] }];

const spread = (row) => [
  ...[["A-book", row.a, "The part passed to LPs."], ["B-book", row.b, "The part that the house kept."], ["LP net", row.venue, "What LPs hold for the house."], ["Uncovered", row.uncovered, "Client net less LP net."]].filter(([, value]) => value !== undefined).map(([name, value, how]) => ({ name, value: net(value), how, inputs: [] })),
  { name: "Size in USD", value: row.size, how: row.rate !== undefined ? "Uncovered at the live mid." : "Long and short together.", inputs: [["Uncovered", row.uncovered], ["USD per unit", row.rate], ["Gross", row.gross]].filter(([, value]) => value !== undefined) },
  { name: "Client net", value: net(row.client), how: row.rate !== undefined ? "Both legs of every symbol in units of the currency: long EURUSD is long EUR and short USD." : "Positions at the live mid, in USD.", inputs: [["Long", row.long], ["Short", row.short], ["USD per unit", row.rate]].filter(([, value]) => value !== undefined) },
  { name: "Limit use", value: row.limit_percent ?? null, how: "Gross over the account's largest exposure (P-19).", inputs: [["Gross", row.gross], ["Limit", row.limit]] },
];

const orders = (row) => [
  { name: "Average price", value: row.average_price, how: "Value of all fills over filled lots.", inputs: [["Filled", row.filled]] },
  { name: "Open lots", value: row.leaves, how: "Lots asked for less filled ones, none once the order is over.", inputs: [["Lots", row.quantity], ["Filled", row.filled]] },
];

const requests = (row) => [
  { name: "Slippage", value: row.slippage_points, how: "The market now less what the client asked for, in points against the client.", inputs: [["Now", row.current], ["Asked", row.requested]] },
  { name: "Now", value: row.current, how: "What the client would deal at now: the price that the group is shown, markup in it.", inputs: [] },
];

const deals = (row) => [
  { name: "Price", value: row.price, how: "What the client dealt at: the raw price and the markup.", inputs: [["Raw price", row.raw_price], ["Side", row.side], ["Why", row.reason]] },
  { name: "Realised", value: money(row.realised), how: "What the lots it closed had made, in the account's currency; what it opened has made nothing yet.", inputs: [["Lots", row.quantity], ["Book", row.book]] },
  { name: "Markup", value: row.markup_revenue, how: "Price less raw price, times lots and contract size, in the account's currency.", inputs: [["Price", row.price], ["Raw price", row.raw_price]] },
  { name: "Commission", value: row.commission, how: "By the group's plan, on the lots that it charges for.", inputs: [["Lots", row.quantity]] },
  { name: "Guaranteed stop", value: row.guarantee_cost, how: "What the house gave over the market's price because the stop was guaranteed; the client paid a premium for it.", inputs: [["Premium", row.premium]] },
];

const doubts = (row) => [
  { name: "Open lots", value: row.leaves, how: "Lots of the leg of which its LP has not said what became of them; they count as if they might all fill.", inputs: [["LP", row.venue], ["In words", row.text]] },
];

/** The figures of the strip, each over all symbols. */
export const OF_STRIP = {
  floating: (row) => [{ name: "Floating", value: money(row.floating), how: "Clients' open profit of every symbol, at the live mid of its currency against USD.", inputs: [["Log seq", row.seq]] }],
  realised: (row) => [{ name: "Realised today", value: money(row.realised), how: "What clients' closed lots made, every symbol at the live mid of its currency against USD.", inputs: [["Log seq", row.seq]] }],
  "margin-calls": (row) => [{ name: "Margin calls", value: String(row.margin_calls), how: "Accounts whose margin level fell to their group's call level and has not been 5 % above it since.", inputs: [] }],
  "orders-per-s": (row) => [{ name: "Orders/s", value: String(row.orders_per_s), how: "Orders that changed in the last whole second.", inputs: [] }],
};

export const WHY = { alerts, changes, coverage, ladder, scorecards, deals, doubts, requests, exposure, quotes, venues, margin, hedges, books, marks, spread, orders };
