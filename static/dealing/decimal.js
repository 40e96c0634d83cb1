// Exact sums of decimal text. Money never passes through a binary float, not even for a footer.
const PLACES = 10;
const SCALE = 10n ** BigInt(PLACES);

const scaled = (value) => {
  const text = String(value);
  const [whole, fraction = ""] = text.replace("-", "").split(".");
  const size = BigInt(whole || "0") * SCALE + BigInt((fraction + "0".repeat(PLACES)).slice(0, PLACES));
  return text.startsWith("-") ? -size : size;
};

const isDecimal = (value) => /^-?\d+(\.\d+)?$/.test(value ?? "");

/** The sum of decimal texts as text with `places` decimals; what is no number is left out. */
export const sum = (texts, places = 2) => {
  const total = texts.filter(isDecimal).reduce((running, text) => running + scaled(text), 0n);
  const size = total < 0n ? -total : total;
  const unit = 10n ** BigInt(PLACES - places);
  const digits = ((size + unit / 2n) / unit).toString().padStart(places + 1, "0");
  const cut = digits.length - places;
  return `${total < 0n ? "-" : ""}${digits.slice(0, cut)}${places ? "." : ""}${digits.slice(cut)}`;
};

/** -1, 0 or 1; texts that are no number count as zero. */
export const sign = (text) => (isDecimal(text) && /[1-9]/.test(text) ? (String(text).startsWith("-") ? -1 : 1) : 0);

// Of so few digits two different texts are two different numbers, in the same order.
const DIGITS_MAX = 15;
const isShort = (value) => typeof value === "number" || (isDecimal(value) && value.length <= DIGITS_MAX);

/** Order of two decimal texts for a column's sorter; empty ones last. */
export const compare = (one, other) => {
  if (isShort(one) && isShort(other)) return Math.sign(Number(one) - Number(other));
  if (!isDecimal(one) || !isDecimal(other)) return Number(isDecimal(one)) - Number(isDecimal(other));
  const difference = scaled(one) - scaled(other);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
};
