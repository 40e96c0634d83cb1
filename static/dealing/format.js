// How figures look: thin-space thousands, a true minus, an arrow beside every colour, age in seconds.
import { sign } from "./decimal.js";

export const NONE = "–";
const THIN = "\u2009";
const MINUS = "\u2212";

/** A new element; `content` is text or nodes, never markup. */
export const el = (tag, className = "", ...content) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...content.filter((part) => part !== null && part !== undefined));
  return node;
};

/** Decimal text with grouped thousands and a true minus. */
export const number = (text) => {
  if (text === null || text === undefined || text === "") return NONE;
  const [whole, fraction] = String(text).replace("-", "").split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, THIN);
  return `${String(text).startsWith("-") ? MINUS : ""}${grouped}${fraction === undefined ? "" : `.${fraction}`}`;
};

/** Decimal text with at least so many places: figures under one another are read by their points. */
export const padded = (text, places = 2) => {
  if (text === null || text === undefined || text === "") return text;
  const [whole, fraction = ""] = String(text).split(".");
  return places ? `${whole}.${fraction.padEnd(places, "0")}` : String(text);
};

/** Large amounts without their cents: there is no room, and nobody deals in them. */
export const brief = (text) => (/^-?\d{4,}\./.test(text ?? "") ? text.split(".")[0] : text);

/** Profit or loss: coloured, and signed so that the colour is not needed. */
export const money = (text) => {
  const direction = sign(text);
  const shown = direction > 0 ? `+${number(text)}` : number(text);
  return el("span", direction > 0 ? "up" : direction < 0 ? "down" : "muted", shown);
};

/** A net position in lots with an arrow for long or short. */
export const net = (text) => {
  const direction = sign(text);
  if (!direction) return el("span", "muted", number(text));
  const arrow = el("span", "arrow", direction > 0 ? "▲" : "▼");
  arrow.setAttribute("aria-label", direction > 0 ? "long" : "short");
  arrow.setAttribute("role", "img");
  return el("span", direction > 0 ? "buy" : "sell", arrow, number(text));
};

/** A price with its big figure large and its last fraction raised: 1.08 43 5. */
export const bigFigure = (text) => {
  if (!text) return el("span", "muted", NONE);
  const decimals = text.split(".")[1]?.length ?? 0;
  if (decimals < 2) return el("span", "price", el("b", "", number(text)));
  const tail = decimals % 2;
  const cut = text.length - tail - 2;
  const raised = tail ? el("sup", "", text.slice(-1)) : null;
  return el("span", "price", text.slice(0, cut), el("b", "", text.slice(cut, cut + 2)), raised);
};

/** An age in milliseconds as people read it. */
export const age = (ms) => {
  if (!Number.isFinite(ms) || ms < 0) return NONE;
  if (ms < 1_000) return "<1 s";
  if (ms < 600_000) return `${Math.round(ms / 1000)} s`;
  return ms < 36_000_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
};

/** live, slow or stale, as the lamps say: under 1 s, 1 to 5 s, older. */
export const freshness = (ms) => (!Number.isFinite(ms) ? "none" : ms < 1_000 ? "live" : ms < 5_000 ? "slow" : "stale");

/** UTC time of day of microseconds since 1970. */
export const clock = (us, withMillis = true) =>
  us ? new Date(Number(us) / 1000).toISOString().slice(11, withMillis ? 23 : 19) : NONE;

/** `partially_filled` as "partially filled". */
export const words = (code) => (code ? String(code).replaceAll("_", " ") : NONE);

/** A coloured lamp with the state in words for those who do not see the colour. */
export const lamp = (state, label) => {
  const node = el("span", `lamp lamp-${state}`);
  if (label) {
    node.setAttribute("role", "img");
    node.setAttribute("aria-label", label);
  } else node.setAttribute("aria-hidden", "true");
  return node;
};
