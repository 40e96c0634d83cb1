// Exposure by symbol: what clients hold, where it went, and what nobody covers.
import { money, net, number } from "../format.js";
import { Grid, figure, label, total } from "../grid.js";

export const exposure = ({ host, store }) => {
  const grid = new Grid({
    host, store, panel: "exposure",
    empty: "No open positions. The first fill will show here.",
    flash: ["client_net", "uncovered"],
    sort: [{ column: "symbol", dir: "asc" }],
    matches: (row) => [row.symbol],
    columns: [
      label("Symbol", "symbol", undefined, { minWidth: 84, widthGrow: 1.4, cssClass: "symbol", bottomCalc: () => "All symbols", responsive: 0 }),
      figure("Cl. long", "client_long", number, { ...total(), minWidth: 66, responsive: 6 }),
      figure("Cl. short", "client_short", number, { ...total(), minWidth: 66, responsive: 6 }),
      figure("Client net", "client_net", net, { ...total(net), minWidth: 78, responsive: 0 }),
      figure("A-book", "a_net", net, { ...total(net), minWidth: 72, responsive: 2 }),
      figure("B-book", "b_net", net, { ...total(net), minWidth: 72, responsive: 2 }),
      figure("LP net", "venue_net", net, { ...total(net), minWidth: 72, responsive: 3 }),
      figure("Uncovered", "uncovered", net, { ...total(net), minWidth: 80, responsive: 0, cssClass: "figure strong" }),
      figure("VWAP", "vwap", number, { minWidth: 80, responsive: 3 }),
      figure("Mark", "mark", number, { minWidth: 80, responsive: 4 }),
      figure("Floating P&L", "floating", money, { ...total(money), minWidth: 94, responsive: 0, widthGrow: 1.3 }),
      figure("Realised", "realised", money, { ...total(money), minWidth: 90, responsive: 5, widthGrow: 1.2 }),
      figure("Notional", "notional", number, { ...total(number, 0), minWidth: 104, responsive: 7, widthGrow: 1.3 }),
      figure("Pos", "positions", number, { ...total(number, 0), minWidth: 44, width: 52, responsive: 8 }),
      Grid.ageColumn(() => grid),
    ],
  });
  return grid;
};
