// The buttons of each panel: what may be done with the row under the cursor. Who may not do a thing has no button.

const symbolOf = (row) => (row ? { symbol: row.symbol } : {});
const stop = (scope, key, state) => ({ scope, key, state });

// A minute around a fill and its own price: the dealer widens it.
const windowAround = (row) => {
  const at = (us) => new Date(us / 1000).toISOString().slice(0, 19);
  return { symbol: row.symbol, price_from: row.price, price_to: row.price, since: at(row.at - 3e7), until: at(row.at + 3e7) };
};

// In words what is decided: nobody knows an order by its number.
const deal = (row) => `${row.side.toUpperCase()} ${row.quantity} ${row.symbol}`;
const ofRequest = (row) => ({ order_id: row.order_id, says: `${deal(row)} for ${row.account_id}: asked ${row.requested ?? "the market"}, now ${row.current ?? "no price"}.` });
const ofHedge = (row) => ({ hedge_id: row.hedge_id, says: `${deal(row)} for the house.` });

// Which of an order's prices its row shows; of the other kinds the row does not say.
const OWN_PRICE = { limit: "limit_price", stop_limit: "limit_price", stop: "stop_price" };

// `values(row)` fills the form in, null where the row is not one for this. Keys are listed in the overlay.
const TOOLS = {
  exposure: [
    { title: "Flatten", key: "h", kind: "cover", values: (row) => ({ ...symbolOf(row), side: "" }) },
    { title: "Hedge", kind: "cover", values: (row) => ({ ...symbolOf(row), side: Number(row?.uncovered) < 0 ? "sell" : "buy", quantity: row?.uncovered?.replace("-", "") }) },
    { title: "Halt", kind: "set-trading-state", values: (row) => stop("symbol", row?.symbol ?? "", "halted") },
  ],
  quotes: [
    { title: "New order", key: "F9", kind: "place-order", values: symbolOf },
    { title: "Halt", kind: "set-trading-state", values: (row) => stop("symbol", row?.symbol ?? "", "halted") },
  ],
  orders: [
    { title: "Cancel", key: "x", kind: "cancel-order", needsRow: true, values: (row) => ({ order_id: row.order_id, says: `${deal(row)} for ${row.account_id}, ${row.filled} filled.` }) },
    { title: "Change", kind: "amend-order", needsRow: true, fits: (row) => row.leaves > 0, values: (row) => ({ order_id: row.order_id, quantity: row.quantity, ...(OWN_PRICE[row.type] && { [OWN_PRICE[row.type]]: row.price ?? "" }) }) },
    { title: "Override", kind: "ask-override", needsRow: true, fits: (row) => row.state === "denied" || row.leaves > 0, values: (row) => ({ order_id: row.order_id, codes: (row.checks ?? []).map((check) => check.code).join(", ") }) },
    { title: "Halt account", kind: "set-trading-state", needsRow: true, values: (row) => stop("account", row.account_id, "halted") },
  ],
  requests: [
    { title: "Claim", key: "c", kind: "claim-request", needsRow: true, fits: (row) => !row.claimed_by, values: ofRequest },
    { title: "Fill", key: "Space", kind: "fill-request", needsRow: true, values: (row) => ({ ...ofRequest(row), at: "market" }) },
    { title: "Requote", key: "r", kind: "requote-request", needsRow: true, values: (row) => ({ ...ofRequest(row), price: row.current }) },
    { title: "Pass on", key: "b", kind: "pass-request", needsRow: true, values: ofRequest },
    { title: "Reject", key: "x", kind: "reject-request", needsRow: true, values: ofRequest },
  ],
  deals: [
    { title: "Bust", key: "x", kind: "bust-fill", needsRow: true, fits: (row) => row.stands, values: (row) => ({ seq: row.seq, fill_id: row.fill_id }) },
    { title: "Correct", key: "c", kind: "correct-fill", needsRow: true, fits: (row) => row.stands, values: (row) => ({ seq: row.seq, fill_id: row.fill_id, price: row.price }) },
    { title: "Exits", kind: "set-exits", needsRow: true, fits: (row) => row.stands, values: (row) => ({ position_id: row.position_id }) },
    { title: "Bad prices", key: "b", kind: "bust-window", values: (row) => (row ? windowAround(row) : {}) },
  ],
  venues: [
    { title: "Halt LP", kind: "set-trading-state", needsRow: true, values: (row) => stop("venue", row.venue, "halted") },
    { title: "Reopen LP", kind: "set-trading-state", needsRow: true, values: (row) => stop("venue", row.venue, "active") },
  ],
  coverage: [
    { title: "Hedge", key: "h", kind: "cover", needsRow: true, values: (row) => ({ symbol: row.symbol, side: Number(row.net) > 0 ? "sell" : "buy", quantity: row.net.replace("-", "") }) },
    { title: "Halt LP", kind: "set-trading-state", needsRow: true, values: (row) => stop("venue", row.venue, "halted") },
  ],
  scorecards: [
    { title: "Halt LP", kind: "set-trading-state", needsRow: true, values: (row) => stop("venue", row.venue, "halted") },
    { title: "Kill LP", kind: "set-trading-state", needsRow: true, values: (row) => stop("venue", row.venue, "killed") },
    { title: "Reopen LP", kind: "set-trading-state", needsRow: true, values: (row) => stop("venue", row.venue, "active") },
  ],
  journal: [
    { title: "Grant", key: "c", kind: "grant-override", needsRow: true, fits: (row) => row.kind === "ask-override", values: (row) => ({ action_id: Number(row.key) }) },
    { title: "Settle", kind: "settle-doubt", needsRow: true, fits: (row) => row.kind === "ask-settlement", values: (row) => ({ ...row.body, reason: undefined, action_id: Number(row.key) }) },
  ],
  doubts: [
    { title: "Settle", key: "c", kind: "ask-settlement", needsRow: true, fits: (row) => row.kind === "leg", values: (row) => ({ cl_ord_id: row.cl_ord_id, lots: "0" }) },
  ],
  ladder: [
    { title: "Phase", kind: "change-phase", values: (row, panel) => ({ symbol: panel.grid.symbol, phase: "volatility_call" }) },
    { title: "Order", kind: "place-order", values: (row, panel) => ({ symbol: panel.grid.symbol }) },
    { title: "Hedge", kind: "cover", values: (row, panel) => ({ symbol: panel.grid.symbol, side: "buy" }) },
  ],
  hedges: [
    { title: "Approve", key: "c", kind: "approve-hedge", needsRow: true, fits: (row) => row.queued, values: ofHedge },
    { title: "Reject", key: "x", kind: "reject-hedge", needsRow: true, fits: (row) => row.queued, values: ofHedge },
  ],
  margin: [
    { title: "Reduce only", kind: "set-trading-state", needsRow: true, values: (row) => stop("account", row.account_id, "reducing") },
    { title: "Order", kind: "place-order", needsRow: true, values: (row) => ({ account_id: row.account_id, reduce_only: true }) },
    { title: "Close all", kind: "close-all", needsRow: true, values: (row) => ({ account_id: row.account_id }) },
    { title: "Score", kind: "score-account", needsRow: true, values: (row) => ({ account_id: row.account_id }) },
    { title: "Unthrottle", kind: "release-throttle", needsRow: true, values: (row) => ({ account_id: row.account_id }) },
  ],
  spread: [
    { title: "Routing", kind: "change-routing", values: (row) => ({ group: row?.name }) },
    { title: "Spread", kind: "widen-spread", values: (row) => ({ group: row?.name }) },
  ],
  states: [
    { title: "Stop", kind: "set-trading-state", values: () => stop("tenant", "", "halted") },
    { title: "Flatten", kind: "flatten", needsRow: true, fits: (row) => ["halted", "killed"].includes(row.state), values: (row) => ({ scope: row.scope, key: row.key.split(":").slice(1).join(":") }) },
    { title: "Reopen", key: "r", kind: "set-trading-state", needsRow: true, values: (row) => stop(row.scope, row.key.split(":").slice(1).join(":"), "active") },
  ],
  changes: [
    { title: "Routing", kind: "change-routing", values: () => ({}) },
    { title: "Spread", kind: "widen-spread", values: () => ({}) },
    { title: "Limits", kind: "change-limits", values: () => ({}) },
    { title: "Approve", key: "c", kind: "approve-change", needsRow: true, fits: (row) => row.state === "asked", values: (row) => ({ change_id: row.id }) },
    { title: "Refuse", key: "x", kind: "reject-change", needsRow: true, fits: (row) => row.state === "asked", values: (row) => ({ change_id: row.id }) },
    { title: "Put back", kind: "end-change", needsRow: true, fits: (row) => ["live", "asked"].includes(row.state), values: (row) => ({ change_id: row.id }) },
  ],
};

/** Put a panel's buttons into its header and return what its keys do: {key: run}. */
export const furnish = ({ panel, dialog, say }) => {
  const header = panel.host.closest(".panel").querySelector("[data-tools]");
  const keys = {};
  for (const tool of TOOLS[panel.name] ?? []) {
    if (!dialog.can(tool.kind)) continue;
    const run = () => {
      const row = panel.grid.chosen;
      if (tool.needsRow && !row) return say("warn", `${tool.title}: choose a row first.`);
      if (tool.fits && !tool.fits(row)) return say("warn", `${tool.title}: not for this row.`);
      dialog.open(tool.kind, tool.values(row, panel));
    };
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "button small", textContent: tool.title, title: tool.key ? `${tool.title} (${tool.key})` : tool.title });
    button.dataset.kind = tool.kind;
    button.addEventListener("click", run);
    header.append(button);
    if (tool.key) keys[tool.key] = run;
  }
  return keys;
};
