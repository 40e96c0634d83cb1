// What a venue said of a leg, for whoever settles it by hand.
import { NONE, clock, el, number, words } from "./format.js";
import { scrolled } from "./grid.js";

/** The leg as the desk has it, and every report that was kept; fill ids stand after "F:". */
export const whatWasSaid = ({ leg, reports }) => [
  el("p", "", `${leg.venue}: ${leg.side} ${number(leg.quantity)} ${leg.symbol}, ${number(leg.filled)} known as dealt. ${leg.text}`),
  reports.length ? scrolled({
    caption: "What the venue said, and what we noted", heads: ["At UTC", "Kind", "Id", "In words", "As it came"],
    rows: reports.map((each) => [clock(each.at, false), words(each.kind), each.key, each.note || NONE, each.raw || NONE]),
  }) : el("p", "warn", "It has said nothing of this leg."),
];
