// What each action asks of its dealer. `confirm(values)` gives what has to be repeated where there is no way back.
import { words } from "./format.js";
import { whatWasSaid } from "./said.js";

const choice = (name, title, options, more = {}) => ({ name, title, options, ...more });
const text = (name, title, more = {}) => ({ name, title, ...more });
const number = (name, title, more = {}) => ({ name, title, inputmode: "decimal", pattern: "-?[0-9]+([.][0-9]+)?", ...more });
const minutes = number("minutes", "Minutes until it is put back", { value: "30", pattern: "[0-9]+", whole: true });
// Lines of a list that is typed or pasted; each line has these parts, with commas between.
const lines = (name, title, parts, sample) => ({ name, title, parts, placeholder: `${parts.join(", ")}\n${sample}` });
const fixed = (name, title) => text(name, title, { readonly: true });

const SCOPES = ["symbol", "group", "account", ["venue", "LP"], ["venue_symbol", "a symbol at an LP"], "strategy", ["tenant", "this broker"], ["firm", "the firm: every broker"]];
const STATES = [["active", "active: trade again"], ["reducing", "reduce only"], ["halted", "halted: no orders"], ["killed", "killed: no orders, cancel what works"]];
// An order for a client: the kinds that the client may ask for.
const TYPES = ["market", "limit", "stop", "stop_limit", "trailing_stop", "market_if_touched"];
const FORCES = [["gtc", "till cancelled"], ["day", "for the day"], ["gtd", "till a time"], ["ioc", "at once, or cancelled"], ["fok", "all at once, or cancelled"]];
const STP = ["cancel_newest", "cancel_oldest", "cancel_both", "decrement"];
const PRICES = [["limit_price", "limit"], ["stop_price", "stop"], ["trailing_distance", "distance"], ["stop_loss", "stop loss"], ["take_profit", "take profit"]];
const MORE = { when: ["more", "yes"] };

export const forms = ({ tenant, limits }) => ({
  "set-trading-state": {
    title: "Halt, reduce, kill or reopen",
    note: "What one person halted or killed, another person reopens.",
    fields: [
      choice("scope", "Scope", SCOPES), text("key", "Its name (none for broker and firm)", { optional: true }), choice("state", "State", STATES),
      { name: "cancel_working", title: "A kill cancels working orders", check: true, value: true },
    ],
    confirm: (values) => (values.state === "killed" ? values.key || tenant : ""),
    typed: true,
    says: (values) => `${values.state.toUpperCase()} ${values.scope} ${values.key}`,
  },
  "place-order": {
    title: "Order for a client",
    note: "The gate holds it to every limit of the client's own orders.",
    quoted: true,
    fields: [
      text("account_id", "Account", { list: "accounts" }), text("symbol", "Symbol", { list: "symbols" }), choice("side", "Side", ["buy", "sell"]), number("quantity", "Lots"),
      choice("type", "Type", TYPES.map((type) => [type, words(type)])), number("limit_price", "Limit price", { optional: true, when: ["type", "limit", "stop_limit", "market_if_touched"] }),
      number("stop_price", "Stop price", { optional: true, when: ["type", "stop", "stop_limit", "market_if_touched"] }), number("trailing_distance", "Distance", { optional: true, when: ["type", "trailing_stop"] }),
      choice("time_in_force", "Good", FORCES), { name: "expires_at", title: "Until, UTC", utc: true, optional: true, when: ["time_in_force", "gtd"] },
      number("stop_loss", "Stop loss", { optional: true }), number("take_profit", "Take profit", { optional: true }),
      { name: "reduce_only", title: "Reduce only", check: true, value: false }, { name: "guaranteed_stop", title: "Guaranteed stop", check: true, value: false },
      choice("more", "Further terms", [["", "none"], ["yes", "show them"]], { optional: true }),
      text("position_id", "Position (of a hedging account)", { optional: true, ...MORE }), text("oco_group", "One cancels the other: the pair's name", { optional: true, ...MORE }),
      number("display_quantity", "Lots shown at a time", { optional: true, ...MORE }), number("minimum_quantity", "Least lots at once", { optional: true, ...MORE }),
      choice("stp", "Meeting an own order", STP.map((mode) => [mode, words(mode)]), MORE),
      { name: "post_only", title: "Never take", check: true, value: false, ...MORE }, { name: "all_or_none", title: "All or none", check: true, value: false, ...MORE },
    ],
    shape: ({ more: _, ...rest }) => rest,
    confirm: (values) => `${values.side} ${values.quantity} ${values.symbol}`,
    says: (values) => `${values.side.toUpperCase()} ${inWords(values.quantity)} lots of ${values.symbol} for ${values.account_id}, ${words(values.type)}${PRICES.filter(([name]) => values[name]).map(([name, title]) => `, ${title} ${inWords(values[name])}`).join("")}`,
  },
  "amend-order": {
    title: "Change a client's order",
    note: "What is left blank stays; the gate holds the change to the client's limits.",
    fields: [
      fixed("order_id", "Order"), number("quantity", "Lots in all", { optional: true }), number("limit_price", "Limit price", { optional: true }), number("stop_price", "Stop price", { optional: true }),
      number("trailing_distance", "Distance, from the market now", { optional: true }),
      choice("time_in_force", "Good", [["", "as it is"], ...FORCES.slice(0, 3)], { optional: true }), { name: "expires_at", title: "Until, UTC", utc: true, optional: true, when: ["time_in_force", "gtd"] },
      number("stop_loss", "Stop loss of what is not filled", { optional: true }), { name: "no_stop_loss", title: "Take the stop loss off", check: true, value: false },
      number("take_profit", "Take profit of what is not filled", { optional: true }), { name: "no_take_profit", title: "Take the take profit off", check: true, value: false },
    ],
    confirm: (values) => `amend ${values.order_id}`,
    says: (values) => `Change ${values.order_id}: ${changesOf(values).join(", ") || "nothing given"}`,
  },
  "set-exits": {
    title: "Change a position's exits",
    note: "For all of the position; what is left blank stays. Its stop is at a price or trails the market: the one takes the other's place.",
    fields: [
      text("position_id", "Position"), number("stop_loss", "Stop loss", { optional: true }), number("trailing_distance", "Trailing at a distance, from the market now", { optional: true }),
      { name: "no_stop_loss", title: "Take the stop off, of either kind", check: true, value: false },
      choice("guaranteed_stop", "Stop guaranteed, for its premium", [["", "as it is"], ["true", "yes"], ["false", "no"]], { optional: true }),
      number("take_profit", "Take profit", { optional: true }), { name: "no_take_profit", title: "Take the take profit off", check: true, value: false },
    ],
    confirm: (values) => `exits ${values.position_id}`,
    says: (values) => `Exits of ${values.position_id}: ${changesOf(values).join(", ") || "nothing given"}`,
  },
  "close-all": {
    title: "Close a client's positions",
    note: "Each after its book, held to the client's limits; what may not be closed now stays and says so.",
    fields: [
      text("account_id", "Account", { list: "accounts" }), text("symbol", "Symbol (none: all)", { list: "symbols", optional: true }),
      choice("which", "Which", [["all", "all of them"], ["profitable", "those that gain"], ["losing", "those that lose"]]),
    ],
    confirm: (values) => `close ${values.account_id}`,
    typed: true,
    says: (values) => `Close ${values.which === "all" ? "every position" : `every ${values.which} position`} of ${values.account_id}${values.symbol ? ` in ${values.symbol}` : ""}`,
  },
  "score-account": {
    title: "Score an account's flow",
    note: "Basis points against the house that its fills are worth; routing rules may look at it.",
    fields: [text("account_id", "Account", { list: "accounts" }), number("score", "Score in basis points")],
  },
  "cancel-order": { title: "Cancel an order", fields: [fixed("order_id", "Order")] },
  "claim-request": { title: "Claim a request", quick: true, fields: [fixed("order_id", "Order")] },
  "fill-request": { title: "Fill a request", quick: true, fields: [fixed("order_id", "Order"), choice("at", "At", [["requested", "what the client asked for, or better"], ["market", "the market now"]])] },
  "requote-request": { title: "Requote", note: "Firm for its time, and never worse than the market.", fields: [fixed("order_id", "Order"), number("price", "Price"), number("valid_ms", "Firm for ms", { value: "5000", whole: true })] },
  "pass-request": { title: "Pass on as its rule would", quick: true, fields: [fixed("order_id", "Order")] },
  "reject-request": { title: "Reject a request", note: "A reason that can be checked must be true.", fields: [fixed("order_id", "Order"), choice("code", "Ground", ["price_moved", "off_quotes", "risk_limit", "news", "suspected_abuse"].map((code) => [code, words(code)]))] },
  cover: {
    title: "Hedge or flatten",
    note: "Without a side and lots, all that is uncovered is dealt.",
    quoted: true,
    fields: [text("symbol", "Symbol", { list: "symbols" }), choice("side", "Side", [["", "to flat"], "buy", "sell"], { optional: true }), number("quantity", "Lots", { optional: true, unless: ["side", ""] })],
    confirm: (values) => (values.side ? `${values.side} ${values.quantity} ${values.symbol}` : `flatten ${values.symbol}`),
    says: (values) => (values.side ? `${values.side.toUpperCase()} ${inWords(values.quantity)} lots of ${values.symbol} for the house` : `Deal all that is open in ${values.symbol}`),
  },
  "approve-hedge": { title: "Approve a queued hedge", fields: [fixed("hedge_id", "Hedge")] },
  "reject-hedge": { title: "Reject a queued hedge", fields: [fixed("hedge_id", "Hedge")] },
  "change-routing": {
    title: "Route a group another way for a while",
    fields: [text("group", "Group", { list: "groups" }), choice("book_mode", "Book", [["A", "A: to the LPs"], ["B", "B: keep"], ["MIXED", "MIXED: split"]]), number("a_book_percent", "A-book percent", { value: "100" }), minutes],
  },
  "widen-spread": {
    title: "Widen a group's spread for a while",
    fields: [text("group", "Group", { list: "groups" }), number("bid_points", "Points more on the bid", { value: "5", whole: true }), number("ask_points", "Points more on the ask", { value: "5", whole: true }), minutes],
  },
  "change-limits": {
    title: "Ask for another limit for a while",
    note: "Another person approves it before it is live.",
    fields: [text("group", "Group", { list: "groups" }), choice("limit", "Limit", limits.map((name) => [name, words(name)])), number("value", "Value"), minutes],
    shape: ({ limit, value, ...rest }) => ({ ...rest, changes: { [limit]: value } }),
  },
  "bust-fill": {
    title: "Take a fill back",
    note: "Lots, money and commission go back; where two clients met, the other's too. What an LP dealt stays the house's.",
    fields: [number("seq", "Event", { readonly: true, whole: true }), fixed("fill_id", "Fill")],
    shape: ({ fill_id: _, ...rest }) => rest,
    look: ({ seq }) => `/desk/previews/bust-fill?seq=${seq}`,
    confirm: (values) => `bust ${values.fill_id}`,
    says: (values, seen) => `Take back ${values.fill_id}: ${seen.fills.length} ${seen.fills.length === 1 ? "fill" : "fills"}`,
  },
  "correct-fill": {
    title: "Correct a fill's price",
    note: "The same lots are dealt anew at this price; never worse than the client's limit.",
    fields: [number("seq", "Event", { readonly: true, whole: true }), fixed("fill_id", "Fill"), number("price", "Right price")],
    shape: ({ fill_id: _, ...rest }) => rest,
    confirm: (values) => `correct ${values.fill_id} to ${values.price}`,
    says: (values) => `Deal ${values.fill_id} anew at ${inWords(values.price)}`,
  },
  "bust-window": {
    title: "Take back every fill of a bad price window",
    note: "Look first: fills, accounts and the money that would move. Then all go in one step.",
    fields: [
      text("symbol", "Symbol", { list: "symbols" }), text("venue", "LP (none: all)", { optional: true }), number("price_from", "Price from"), number("price_to", "Price to"),
      { name: "since", title: "From, UTC", utc: true }, { name: "until", title: "Until, UTC", utc: true },
    ],
    look: ({ reason: _, ...window_ }) => `/desk/previews/bust-window?${new URLSearchParams(window_)}`,
    confirm: (values, seen) => `bust ${seen?.fills.length ?? 0} fills`,
    says: (values, seen) => `Take back ${inWords(String(seen.fills.length))} fills of ${values.symbol}`,
  },
  flatten: {
    title: "Close what a stopped scope still holds",
    note: "The scope is halted or killed, and not by you.",
    fields: [choice("scope", "Scope", ["account", "group", "symbol", ["tenant", "this broker"], ["firm", "the firm: every broker"]]), text("key", "Its name (none for broker and firm)", { optional: true })],
    confirm: (values) => `flatten ${values.key || tenant}`,
    typed: true,
    says: (values) => `Close every position of ${values.scope} ${values.key}`,
  },
  "change-phase": {
    title: "Begin or end a call, open or close a symbol",
    note: "Leaving a call is its auction.",
    fields: [text("symbol", "Symbol", { list: "symbols" }), choice("phase", "Phase", ["opening_call", "continuous", "volatility_call", "closing_call", "closed"].map((phase) => [phase, words(phase)])), number("call_s", "A call's seconds (none: until ended)", { optional: true, whole: true })],
    confirm: (values) => `${words(values.phase)} ${values.symbol}`,
    says: (values) => `${values.symbol}: ${words(values.phase)}${values.call_s ? ` for ${values.call_s} s` : ""}`,
  },
  "record-locates": {
    title: "Record locates",
    note: "What accounts may borrow to sell short; 0 lots take a locate back.",
    fields: [lines("rows", "One a line", ["account_id", "symbol", "lots", "reference", "until"], "A1001, AAPL, 500, L-77, 2030-01-31T21:00:00Z")],
  },
  "record-volumes": {
    title: "Record daily volumes",
    note: "What the whole market dealt; a share of volume is held against the mean of twenty days.",
    fields: [lines("rows", "One a line", ["symbol", "business_date", "lots"], "EURUSD, 2030-01-31, 1250000")],
  },
  "ask-override": {
    title: "Ask to let an order through",
    note: "Another person grants it within 25 minutes; then the client asks again in the same terms.",
    fields: [fixed("order_id", "Order"), text("codes", "Controls, with commas")],
    shape: ({ codes, ...rest }) => ({ ...rest, codes: codes.split(",").map((code) => code.trim()).filter(Boolean) }),
  },
  "grant-override": { title: "Let an order through", note: "What another person asked for.", fields: [number("action_id", "Asked in entry", { readonly: true, whole: true })] },
  "ask-settlement": {
    title: "Say how a leg in doubt ended",
    note: "As the venue told you; another person who heard the same settles it within 25 minutes.",
    fields: [fixed("cl_ord_id", "Leg"), number("lots", "Lots dealt beyond what is known (0: none)"), number("price", "At what price", { optional: true }), text("fill_id", "The venue's id of the execution", { optional: true })],
    look: ({ cl_ord_id }) => `/desk/previews/ask-settlement?cl_ord_id=${encodeURIComponent(cl_ord_id)}`,
    shows: whatWasSaid,
    confirm: (values) => `settle ${values.cl_ord_id}`,
    says: ended,
  },
  "settle-doubt": {
    title: "Settle a leg in doubt",
    note: "What another person said; the desk fills these lots and works the rest elsewhere.",
    fields: [number("action_id", "Said in entry", { readonly: true, whole: true }), fixed("cl_ord_id", "Leg"), fixed("lots", "Lots dealt"), { ...fixed("price", "Price"), optional: true }, { ...fixed("fill_id", "Execution"), optional: true }],
    shape: ({ cl_ord_id: _, lots: __, price: ___, fill_id: ____, ...rest }) => rest,
    look: ({ cl_ord_id }) => `/desk/previews/settle-doubt?cl_ord_id=${encodeURIComponent(cl_ord_id)}`,
    shows: whatWasSaid,
    confirm: (values) => `settle ${values.cl_ord_id}`,
    says: ended,
  },
  "release-throttle": { title: "Let an account deal again", note: "Its executions came too fast (P-15).", fields: [text("account_id", "Account", { list: "accounts" })] },
  "approve-change": { title: "Approve a change", fields: [number("change_id", "Change", { readonly: true, whole: true })] },
  "reject-change": { title: "Refuse a change", fields: [number("change_id", "Change", { readonly: true, whole: true })] },
  "end-change": { title: "Put a change back now", fields: [number("change_id", "Change", { readonly: true, whole: true })] },
});

const ended = (values) => (Number(values.lots) ? `${values.cl_ord_id} dealt ${inWords(values.lots)} lots more at ${inWords(values.price ?? "")}, then ended` : `${values.cl_ord_id} ended and dealt nothing more`);

/** What a change of an order says, in words. */
const changesOf = (values) => [
  ...[["quantity", "lots"], ...PRICES].filter(([name]) => values[name]).map(([name, title]) => `${title} ${inWords(values[name])}`),
  ...(values.time_in_force ? [`good ${new Map(FORCES).get(values.time_in_force)}${values.expires_at ? ` ${values.expires_at}` : ""}`] : []),
  ...(values.guaranteed_stop ? [values.guaranteed_stop === "true" ? "guaranteed" : "not guaranteed"] : []),
  ...["stop_loss", "take_profit"].filter((name) => values[`no_${name}`]).map((name) => `no ${words(name)}`),
];

const DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/** 2.50 as "2.50 (two point five zero)", so that a misplaced point is noticed. */
const inWords = (text_) => `${text_} (${[...text_].map((sign) => (sign === "." ? "point" : DIGITS[sign] ?? sign)).join(" ")})`;
