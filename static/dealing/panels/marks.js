// What today's flow of each group made, and would have made passed on, kept, or shared.
import { el, money, number } from "../format.js";
import { Grid, figure, label } from "../grid.js";

/** An amount of one way, with a sign beside it where it would have been the best of the three. */
const way = (name) => (value, row) => {
  const node = money(value);
  if (row.best !== name) return node;
  const best = el("span", "strong", "★ ");
  best.title = `The best of A, B and MIXED: ${name}`;
  best.append(node);
  return best;
};

export const marks = ({ host, store }) => new Grid({
  host, store, panel: "marks", aged: false,
  empty: "No fill yet today.",
  sort: [{ column: "key", dir: "asc" }],
  matches: (row) => [row.group, row.mode],
  columns: [
    label("Group", "key", undefined, { minWidth: 78, responsive: 0, cssClass: "symbol", phone: { minWidth: 60 } }),
    label("Is", "mode", (value, row) => (value === "MIXED" ? `MIXED ${row.a_percent} % A` : value), { minWidth: 104, responsive: 1 }),
    figure("Fills", "fills", (value) => number(value), { minWidth: 50, responsive: 3 }),
    figure("Volume", "volume", (value) => number(value?.split(".")[0]), { minWidth: 96, responsive: 2 }),
    figure("Made", "actual", (value) => money(value), { minWidth: 92, responsive: 0, cssClass: "figure strong", phone: { minWidth: 62 } }),
    figure("Under A", "under_a", way("A"), { minWidth: 92, responsive: 0, phone: { title: "A", minWidth: 82 } }),
    figure("Under B", "under_b", way("B"), { minWidth: 92, responsive: 0, phone: { title: "B", minWidth: 82 } }),
    figure("Under MIXED", "under_mixed", way("MIXED"), { minWidth: 96, responsive: 0, phone: { title: "MIXED", minWidth: 82 } }),
    figure("RPM", "actual_rpm", (value) => money(value), { minWidth: 72, responsive: 1 }),
    figure("RPM A", "under_a_rpm", (value) => money(value), { minWidth: 72, responsive: 3 }),
    figure("RPM B", "under_b_rpm", (value) => money(value), { minWidth: 72, responsive: 3 }),
  ],
});
