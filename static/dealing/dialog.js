// The dialog of an action: fill in, give the reason, repeat what cannot be undone, hear what became of it.
import { NONE, age, clock, el, freshness, money, number, padded } from "./format.js";
import { scrolled } from "./grid.js";
import { act, read } from "./server.js";

const REASON_MIN = 3;
const QUOTE_MS = 500;

const valueOf = (spec, input) => {
  const given = input.value.trim();
  if (spec.check) return input.checked;
  if (spec.utc) return `${given}Z`;
  if (spec.parts) return given.split("\n").filter((line) => line.trim()).map((line) => Object.fromEntries(spec.parts.map((name, at) => [name, (line.split(/[,;\t]/)[at] ?? "").trim()])));
  return spec.whole ? Number(given) : given;
};

/** The fills that would go and the accounts whose money would move. */
const whatMoves = ({ fills, accounts }) => [
  scrolled({
    caption: "Money that would move", heads: ["Account", "Fills", "Lots net", "Commission", "Cash"], figures: [1, 2, 3, 4],
    rows: accounts.map((each) => [each.account_id, String(each.fills), ...[each.lots, each.commission].map((value) => number(padded(value))), money(padded(each.cash))]),
  }),
  scrolled({
    caption: "Fills that would be taken back", heads: ["At UTC", "Fill", "Account", "Side", "Lots", "Price", "With"], figures: [4, 5],
    rows: fills.map((fill) => [clock(fill.at), fill.fill_id, fill.account_id, fill.side, number(padded(fill.quantity)), number(fill.price), fill.counterparty || fill.book || NONE]),
  }),
  el("p", "muted", "Cash at the recorded rates, before the nights that go back too; what stays open moves with the market."),
];

export class ActionDialog {
  /** `say(tone, text)` shows a message; `lists()` gives {symbols, groups, accounts} to choose from; `quoted(symbol)`
   *  what is quoted now, with its age in milliseconds. */
  constructor({ element, forms, may, say, lists, quoted }) {
    Object.assign(this, { element, forms, may: new Set(may), say, lists, quoted });
    element.addEventListener("close", () => { this.form = null; clearInterval(this.ticker); });
  }

  can(kind) { return this.may.has(kind); }

  get isOpen() { return this.element.open; }

  open(kind, values = {}) {
    if (!this.can(kind) || this.element.open) return;
    const spec = this.forms[kind];
    Object.assign(this, { kind, spec, key: crypto.randomUUID(), confirming: false });
    this.form = el("form", "action-form");
    this.form.noValidate = true;
    this.fields = new Map(spec.fields.map((field) => [field.name, this.field(field, values[field.name])]));
    this.fields.set("reason", this.field({ name: "reason", title: spec.quick ? "Note" : "Reason", optional: spec.quick }, values.reason));
    this.note = el("p", "form-note", spec.note ?? "");
    if (values.says) this.note.prepend(el("strong", "form-of", values.says), " ");
    this.fault = el("p", "form-fault");
    this.fault.setAttribute("role", "alert");
    this.step = el("div", "form-confirm");
    this.done = el("button", "button primary", "Go on");
    this.done.type = "submit";
    // Not "Cancel": half of these dialogs are about cancelling something.
    const back = el("button", "button", "Back");
    back.type = "button";
    back.addEventListener("click", () => this.element.close());
    const title = el("h2", "", spec.title);
    title.id = "action-title";
    const inputs = el("div", "form-fields", ...[...this.fields.values()].map((each) => each.label));
    this.quote = el("p", "form-quote");
    this.form.append(title, this.note, inputs, this.quote, this.step, this.fault, el("div", "form-buttons", back, this.done));
    // The press that fills in is not the press that confirms: the second one of a double click, or of a key that is held
    // down, falls on the button that has just become the other.
    this.done.addEventListener("click", (event) => { if (event.detail > 1) event.preventDefault(); });
    this.form.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.repeat) event.preventDefault(); });
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.submit(); });
    this.form.addEventListener("input", () => { this.forget(); this.confirming = false; this.step.replaceChildren(); this.refresh(); });
    this.element.replaceChildren(this.form, ...this.datalists());
    this.refresh();
    clearInterval(this.ticker);
    if (spec.quoted) this.ticker = setInterval(() => this.tellQuote(), QUOTE_MS);
    this.element.showModal();
    const first = [...this.fields.values()].find((each) => !each.input.readOnly && !each.input.value);
    if (spec.quick) this.done.focus();
    else (first ?? this.fields.get("reason")).input.focus();
  }

  field(spec, given) {
    const input = el(spec.options ? "select" : spec.parts ? "textarea" : "input");
    input.name = spec.name;
    if (spec.options) {
      for (const option of spec.options) {
        const [value, title] = Array.isArray(option) ? option : [option, option];
        const item = el("option", "", title);
        item.value = value;
        input.append(item);
      }
    } else if (spec.parts) Object.assign(input, { rows: 6, placeholder: spec.placeholder });
    else input.type = spec.check ? "checkbox" : spec.utc ? "datetime-local" : "text";
    if (spec.utc) input.step = "1";
    if (spec.inputmode) input.inputMode = spec.inputmode;
    if (spec.list) input.setAttribute("list", `list-${spec.list}`);
    input.autocomplete = "off";
    input.readOnly = Boolean(spec.readonly);
    const value = given ?? spec.value;
    if (spec.check) input.checked = Boolean(value);
    else if (value !== undefined && value !== null) input.value = String(value);
    const wrong = el("small", "field-fault");
    wrong.id = `fault-${spec.name}`;
    const label = el("label", spec.check ? "check" : spec.parts || spec.utc ? "wide" : "", el("span", "", spec.title), input, wrong);
    return { spec, input, label, wrong };
  }

  datalists() {
    return Object.entries(this.lists()).map(([name, values]) => {
      const list = el("datalist", "", ...values.map((value) => { const item = el("option"); item.value = value; return item; }));
      list.id = `list-${name}`;
      return list;
    });
  }

  /** Hide what does not belong to the choices made; the last step's word says whether there is a way back. */
  refresh() {
    for (const { spec, label } of this.fields.values()) {
      const at = ([name, ...values]) => values.includes(this.fields.get(name).input.value);
      label.hidden = Boolean((spec.when && !at(spec.when)) || (spec.unless && at(spec.unless)));
    }
    this.tellQuote();
    this.done.textContent = this.confirming ? "Yes, do it" : this.spec.confirm?.(this.values()) ? "Go on" : "Do it";
    this.done.classList.toggle("danger", this.confirming);
  }

  /** What is quoted now in the symbol that is typed, and how old it is once that matters. */
  tellQuote() {
    if (!this.spec.quoted) return;
    const symbol = this.fields.get("symbol").input.value.trim();
    const row = symbol ? this.quoted(symbol) : null;
    const old = row && freshness(row.ageMs) === "stale" ? `, ${age(row.ageMs)} old` : "";
    const text = row && (row.bid || row.ask) ? `${symbol}: bid ${number(row.bid)}, ask ${number(row.ask)}${old}` : symbol ? `${symbol}: no quote` : "";
    if (this.quote.textContent !== text) this.quote.textContent = text;
    this.quote.classList.toggle("warn", Boolean(symbol) && (!row || Boolean(old)));
  }

  values() {
    const shown = [...this.fields.values()].filter(({ label }) => !label.hidden);
    const filled = shown.filter(({ spec, input }) => spec.check || input.value.trim() !== "" || spec.name === "key");
    return Object.fromEntries(filled.map(({ spec, input }) => [spec.name, valueOf(spec, input)]));
  }

  faultOf() {
    for (const { spec, input, label } of this.fields.values()) {
      const given = input.value.trim();
      if (label.hidden || spec.check) continue;
      if (!given && !spec.optional) return [input, `${spec.title} is missing.`];
      if (given && spec.pattern && !new RegExp(`^(?:${spec.pattern})$`).test(given)) return [input, `${spec.title}: write a number, with a point.`];
      if (spec.name === "reason" && !spec.optional && given.length < REASON_MIN) return [input, "Give the reason in words."];
    }
    return null;
  }

  async submit() {
    const fault = this.faultOf();
    if (fault) return this.refuse(fault[1], fault[0]);
    const values = this.values();
    if (this.spec.look && !this.confirming && !(await this.lookFirst(values))) return;
    const expected = this.spec.confirm?.(values, this.seen) ?? "";
    if (expected && !this.confirming) return this.askAgain(values, expected);
    if (this.spec.look && this.kind !== "bust-fill") values.digest = this.seen.digest;
    if (expected) values.confirm = this.spec.typed ? this.step.querySelector("input").value : expected;
    const { form } = this;
    this.done.disabled = true;
    const outcome = await act(this.kind, this.spec.shape ? this.spec.shape(values) : values, this.key);
    // Closed meanwhile, or open for something else: what became of it is said all the same.
    if (this.form !== form) return this.say(outcome.ok ? "good" : "warn", outcome.text || "Done.");
    this.done.disabled = false;
    if (!outcome.ok) {
      // Another try of what was refused is another wish; of what was lost it is the same.
      if (outcome.state === "refused") this.key = crypto.randomUUID();
      const field = this.fields.get(outcome.field);
      return this.refuse(field ? outcome.said : outcome.text, field && !field.label.hidden ? field.input : null);
    }
    this.element.close();
    const text = outcome.state === "unheard" ? "Asked; the desk has not answered yet. See the journal." : outcome.text || "Done.";
    this.say(outcome.state === "unheard" ? "warn" : "good", `${this.spec.title}: ${text}`);
  }

  /** Show what would happen; tell whether there is anything to go on with. */
  async lookFirst(values) {
    this.seen = await read(this.spec.look(values));
    if (!this.seen) this.refuse("Nothing came back: see prices and times.");
    else if (this.seen.leg && !this.seen.leg.venue) this.refuse("This leg is not in doubt any more.");
    else if (this.seen.fills && !this.seen.fills.length) this.refuse("No fill stands there.");
    else if (this.seen.too_many) this.refuse("Too many fills: take a smaller window.");
    else return true;
    return false;
  }

  askAgain(values, expected) {
    this.confirming = true;
    this.forget();
    const sentence = el("div", "", el("p", "", el("strong", "", this.spec.says(values, this.seen))), ...(this.spec.look ? (this.spec.shows ?? whatMoves)(this.seen) : []));
    if (this.spec.typed) {
      const typed = el("input");
      typed.name = "confirm";
      typed.autocomplete = "off";
      typed.addEventListener("input", (event) => event.stopPropagation());
      this.step.replaceChildren(sentence, el("label", "", el("span", "", `Type ${expected} to confirm`), typed));
      this.refresh();
      typed.focus();
      return;
    }
    this.step.replaceChildren(sentence, el("p", "muted", "This cannot be undone."));
    this.refresh();
    this.done.focus();
  }

  /** Say what is wrong: beside the field that it is about, else at the foot. */
  refuse(message, input) {
    this.forget();
    const field = [...this.fields.values()].find((each) => each.input === input);
    (field?.wrong ?? this.fault).textContent = message;
    if (!field) return;
    input.setAttribute("aria-invalid", "true");
    input.setAttribute("aria-describedby", field.wrong.id);
    this.fault.textContent = message;
    this.fault.classList.add("visually-hidden");
    input.focus();
  }

  forget() {
    this.fault.textContent = "";
    this.fault.classList.remove("visually-hidden");
    for (const { input, wrong } of this.fields.values()) {
      wrong.textContent = "";
      input.removeAttribute("aria-invalid");
      input.removeAttribute("aria-describedby");
    }
  }
}
