// Every fill as its client has it, and whether it still stands.
import { clock, el, money, number, padded } from "../format.js";
import { Grid, figure, label } from "../grid.js";

const side = (value) => el("span", value, value === "buy" ? "▲ Buy" : "▼ Sell");
const standing = (value, row) => (row.quantity.startsWith("-") ? el("span", "down", "✕ taken back") : value ? el("span", "up", "✓ stands") : el("span", "muted", "· superseded"));

const fixed = (value) => number(padded(value));
// As many places as the symbol is quoted with.
const priced = (store) => (value, row) => number(padded(value, store.row("quotes", row.symbol)?.bid?.split(".")[1]?.length ?? 0));

export const deals = ({ host, store }) => new Grid({
  host, store, panel: "deals", aged: false,
  empty: "No fill yet. Every fill will show here.",
  sort: [{ column: "seq", dir: "desc" }],
  matches: (row) => [row.symbol, row.account_id, row.order_id, row.fill_id, row.book, row.counterparty],
  columns: [
    figure("Time UTC", "at", (value) => clock(value), { minWidth: 104, responsive: 0, hozAlign: "left", headerHozAlign: "left", phone: { minWidth: 100 } }),
    figure("Seq", "seq", (value) => number(value), { minWidth: 58, responsive: 7 }),
    label("Fill", "fill_id", undefined, { minWidth: 152, responsive: 3, cssClass: "symbol" }),
    label("Account", "account_id", undefined, { minWidth: 70, responsive: 0, phone: { responsive: 1 } }),
    label("Symbol", "symbol", undefined, { minWidth: 88, responsive: 0, cssClass: "symbol", phone: { minWidth: 70 } }),
    label("Side", "side", side, { minWidth: 58, responsive: 0, phone: { minWidth: 50 } }),
    figure("Lots", "quantity", fixed, { minWidth: 56, responsive: 0, phone: { minWidth: 48 } }),
    figure("Price", "price", priced(store), { minWidth: 84, responsive: 0, phone: { minWidth: 78 } }),
    figure("Raw", "raw_price", priced(store), { minWidth: 84, responsive: 4 }),
    label("Book", "book", (value) => el("span", "tag", value), { minWidth: 56, responsive: 1 }),
    label("With", "counterparty", (value) => el("span", "venue", value || "house"), { minWidth: 66, responsive: 2 }),
    figure("Realised", "realised", (value) => money(padded(value)), { minWidth: 84, responsive: 1 }),
    figure("Markup", "markup_revenue", fixed, { minWidth: 66, responsive: 5 }),
    figure("Commission", "commission", fixed, { minWidth: 90, responsive: 5 }),
    label("", "stands", standing, { minWidth: 92, responsive: 0, headerSort: false, phone: { responsive: 1 } }),
    label("Why", "reason", undefined, { minWidth: 130, widthGrow: 4, responsive: 6, cssClass: "reason" }),
  ],
});
