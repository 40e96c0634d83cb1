// The consolidated quote of every symbol, whose each side is, and behind it the quote of each LP.
import { NONE, age, bigFigure, el, number, words } from "../format.js";
import { Grid, detailTable, figure, label } from "../grid.js";

const venue = (name) => (name ? el("span", "venue", name) : el("span", "muted", NONE));

export const quotes = ({ host, store }) => {
  const grid = new Grid({
    host, store, panel: "quotes",
    empty: "No LP is quoting. Look at LP health for the reason.",
    flash: ["bid", "ask"],
    sort: [{ column: "symbol", dir: "asc" }],
    matches: (row) => [row.symbol],
    idle: (row) => !row.bid && !row.ask && !row.venues?.length,
    detail: (row) => venues(row, store),
    columns: [
      label("Symbol", "symbol", undefined, { minWidth: 152, widthGrow: 1.1, cssClass: "symbol expands", responsive: 0, phone: { minWidth: 108 } }),
      label("LP", "bid_venue", venue, { minWidth: 44, hozAlign: "right", headerHozAlign: "right", responsive: 1 }),
      figure("Size", "bid_size", number, { minWidth: 50, responsive: 3 }),
      figure("Bid", "bid", bigFigure, { minWidth: 84, widthGrow: 1.5, cssClass: "figure bid", responsive: 0 }),
      figure("Ask", "ask", bigFigure, { minWidth: 84, widthGrow: 1.5, cssClass: "figure ask", responsive: 0 }),
      figure("Size", "ask_size", number, { minWidth: 50, responsive: 3 }),
      label("LP", "ask_venue", venue, { minWidth: 44, responsive: 1 }),
      figure("Spread", "spread_points", number, { minWidth: 54, responsive: 2 }),
      Grid.ageColumn(() => grid),
    ],
  });
  return grid;
};

const venues = (row, store) => detailTable({
  caption: `Quotes of ${row.symbol} by LP`,
  heads: ["LP", "Bid size", "Bid", "Ask", "Ask size", "State", "Age"],
  figures: [1, 2, 3, 4, 6],
  rows: (row.venues ?? []).map((each) => [
    each.venue,
    number(each.bid_size),
    best(each.bid, each.venue === row.bid_venue),
    best(each.ask, each.venue === row.ask_venue),
    number(each.ask_size),
    words(each.state),
    age(store.ageMs(each.age_ms)),
  ]),
});

const best = (price, isBest) => {
  if (!isBest) return number(price);
  const star = el("span", "star", "★ ");
  star.setAttribute("role", "img");
  star.setAttribute("aria-label", "best");
  return el("b", "best", star, number(price));
};
