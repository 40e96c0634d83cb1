// Exposure by symbol: what clients hold, where it went, and what nobody covers.
import { el, money, net, number } from "../format.js";
import { Grid, figure, label, total } from "../grid.js";
import { use } from "./risk.js";

const REPORTING_CURRENCY = "USD";

const currencyTag = (currency) => (currency && currency !== REPORTING_CURRENCY ? el("span", "currency", currency) : null);
const inQuoteCurrency = (value, row) => el("span", "", money(value), currencyTag(row.currency));
const whole = (value, row) => el("span", "", number(value?.split(".")[0]), currencyTag(row.currency));

// Profits of several currencies do not add up; the engine has them in one.
const summed = (store, field) => ({
  bottomCalc: () => store.row("summary", "desk")?.[field] ?? null,
  bottomCalcFormatter: (cell) => money(cell.getValue()),
});

export const exposure = ({ host, store }) => {
  const grid = new Grid({
    host, store, panel: "exposure",
    empty: "No open positions. The first fill will show here.",
    flash: ["client_net", "uncovered"],
    sort: [{ column: "symbol", dir: "asc" }],
    matches: (row) => [row.symbol],
    idle: (row) => row.mark === null && !row.positions,
    columns: [
      label("Symbol", "symbol", undefined, { minWidth: 136, widthGrow: 1.1, cssClass: "symbol", bottomCalc: () => "All symbols", responsive: 0, phone: { minWidth: 80 } }),
      figure("Cl. long", "client_long", number, { ...total(), minWidth: 66, responsive: 6 }),
      figure("Cl. short", "client_short", number, { ...total(), minWidth: 66, responsive: 6 }),
      figure("Client net", "client_net", net, { ...total(net), minWidth: 78, responsive: 0, phone: { minWidth: 74 } }),
      figure("A-book", "a_net", net, { ...total(net), minWidth: 72, responsive: 2 }),
      figure("B-book", "b_net", net, { ...total(net), minWidth: 72, responsive: 2 }),
      figure("LP net", "venue_net", net, { ...total(net), minWidth: 72, responsive: 3 }),
      figure("Uncovered", "uncovered", net, { ...total(net), minWidth: 92, responsive: 0, cssClass: "figure strong", phone: { minWidth: 76 } }),
      figure("Limit", "limit_percent", (value) => use(value), { minWidth: 66, responsive: 1 }),
      figure("VWAP", "vwap", number, { minWidth: 94, responsive: 3 }),
      figure("Mark", "mark", number, { minWidth: 94, responsive: 4 }),
      figure("Floating P&L", "floating", inQuoteCurrency, { ...summed(store, "floating"), minWidth: 118, responsive: 0, widthGrow: 1.2, phone: { minWidth: 94 } }),
      figure("Realised", "realised", inQuoteCurrency, { ...summed(store, "realised"), minWidth: 112, responsive: 5, widthGrow: 1.2 }),
      figure("Notional", "notional", whole, { minWidth: 116, responsive: 7, widthGrow: 1.3 }),
      figure("Pos", "positions", number, { ...total(number, 0), minWidth: 44, width: 52, responsive: 8 }),
      Grid.ageColumn(() => grid),
    ],
  });
  return grid;
};
