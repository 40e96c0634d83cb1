// LP health: is the session up, is it quoting, and does it fill what it is sent.
import { age, el, freshness, lamp, number, words } from "../format.js";
import { Grid, figure, label } from "../grid.js";

const STATE_LAMPS = { ready: "live", connecting: "slow", down: "stale" };

export const venues = ({ host, store }) => {
  const quoteAge = (row) => store.ageMs(row.quote_age_ms);
  const grid = new Grid({
    host, store, panel: "venues", aged: false,
    empty: "No LP is configured for this desk.",
    sort: [{ column: "venue", dir: "asc" }],
    matches: (row) => [row.venue],
    columns: [
      label("LP", "venue", (value) => el("span", "symbol", value), { minWidth: 52, responsive: 0 }),
      label("Session", "state", (value) => el("span", "", lamp(STATE_LAMPS[value] ?? "none", ""), words(value)), { minWidth: 92, widthGrow: 1.4, responsive: 0 }),
      figure("Quote age", "quote_age_ms", (_value, row) => el("span", `quote-age ${freshness(quoteAge(row))}`, age(quoteAge(row))), { minWidth: 84, responsive: 0 }),
      figure("Quotes/s", "quotes_per_s", number, { minWidth: 72, responsive: 1 }),
      figure("Orders", "orders", number, { minWidth: 54, responsive: 3 }),
      figure("Fills", "fills", number, { minWidth: 48, responsive: 3 }),
      figure("Reject %", "reject_percent", (value) => el("span", Number(value) >= 5 ? "warn" : "", number(value)), { minWidth: 72, responsive: 1 }),
      figure("In doubt", "in_doubt", (value) => el("span", Number(value) ? "down strong" : "muted", number(value)), { minWidth: 62, responsive: 0 }),
      figure("Unread", "unread", (value) => el("span", Number(value) ? "warn strong" : "muted", number(value ?? 0)), { minWidth: 56, responsive: 2 }),
      label("Word from the session", "text", undefined, { minWidth: 130, widthGrow: 2.5, cssClass: "muted", responsive: 4 }),
    ],
  });
  setInterval(() => {
    if (!grid.built || document.hidden || !host.isConnected) return;
    for (const row of grid.table.getRows("visible")) {
      const shown = row.getElement().querySelector(".quote-age");
      const ms = quoteAge(row.getData());
      if (!shown) continue;
      shown.textContent = age(ms);
      shown.className = `quote-age ${freshness(ms)}`;
    }
  }, 1_000);
  return grid;
};
