// The dealer's page, wired: one line, one store, a grid per panel, the strip, the actions and the keys.
import { ActionDialog } from "./dialog.js";
import { Drawer } from "./drawer.js";
import { el } from "./format.js";
import { forms } from "./forms.js";
import { bindKeys } from "./keys.js";
import { Layout, WORKSPACES } from "./layout.js";
import { Palette } from "./palette.js";
import { History } from "./history.js";
import { painter } from "./painter.js";
import { chart } from "./panels/chart.js";
import { changes, journal, states } from "./panels/control.js";
import { coverage, scorecards } from "./panels/coverage.js";
import { deals } from "./panels/deals.js";
import { exposure } from "./panels/exposure.js";
import { ladder } from "./panels/ladder.js";
import { marks } from "./panels/marks.js";
import { orders } from "./panels/orders.js";
import { quotes } from "./panels/quotes.js";
import { requests } from "./panels/requests.js";
import { alerts, books, doubts, hedges, margin, spread } from "./panels/risk.js";
import { venues } from "./panels/venues.js";
import { Facts, saveLayout } from "./server.js";
import { Line } from "./socket.js";
import { Sounds } from "./sounds.js";
import { Store } from "./store.js";
import { Strip } from "./strip.js";
import { furnish } from "./tools.js";
import { OF_STRIP, WHY } from "./why.js";

// A new panel is one entry here, one in selectors.PANELS, and one stream of the engine or one of the facts.
const MAKERS = { chart, coverage, deals, exposure, quotes, requests, orders, venues, ladder, hedges, margin, doubts, alerts, spread, books, marks, scorecards, states, changes, journal };
const FACTS = { deals: () => "deals", scorecards: () => "scorecards", books: () => "books", marks: () => "marks", changes: () => "changes", journal: () => "journal", spread: () => `exposure-${spreadOf.value}` };
const FOCUS_MS = 5_000;
const MESSAGE_MS = 8_000;
const SIGHT_MS = 1_000;
const SIGHT_MAX = 100;

const given = JSON.parse(document.getElementById("remembered").textContent);
const at = (id) => document.getElementById(id);
const button = (name) => document.querySelector(`[data-action=${name}]`);
const spreadOf = at("spread-of");

// Before the layout takes out of the page what is not open.
const titles = new Map([...document.querySelectorAll("[data-panel]")].map((item) => [item.dataset.panel, { key: item.dataset.key, title: item.dataset.title }]));

const store = new Store({ onGap: (panel) => line.send({ action: "resync", panel }) });
const panels = new Map();

const line = new Line({
  url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/desk/`,
  onMessage: (message) => {
    if (message.panel) store.accept(message);
    else if (message.at_us) store.learnClock(message.at_us);
  },
  onState: (state, detail) => {
    if (state === "connecting") store.distrust();
    if (state === "live") {
      told = "";
      lookClosely();
    }
    strip.connection(state, detail);
  },
  stillAllowed: async () => {
    try {
      const answer = await fetch("/desk/snapshot/summary", { redirect: "manual" });
      return answer.type !== "opaqueredirect" && ![401, 403].includes(answer.status);
    } catch {
      return true;
    }
  },
});

const say = (tone, text) => {
  const message = el("div", `message message-${tone}`, text);
  at("messages").append(message);
  setTimeout(() => message.remove(), MESSAGE_MS);
};

const names = (panel, field) => [...new Set([...store.rows(panel).values()].map((row) => row[field]).filter(Boolean))].sort();
const lists = () => ({ symbols: names("quotes", "symbol"), groups: [...new Set([...names("orders", "group"), ...names("margin", "group")])], accounts: [...new Set([...names("margin", "account_id"), ...names("orders", "account_id")])] });
const quoted = (symbol) => {
  const row = store.row("quotes", symbol);
  return row ? { ...row, ageMs: store.ageMs(row.age_ms) } : null;
};

const history = new History({ store });
const strip = new Strip({ root: at("strip"), store, line });
const drawer = new Drawer({ element: at("drawer"), store });
const dialog = new ActionDialog({ element: at("action"), forms: forms(given), may: given.may, say, lists, quoted });
const facts = new Facts({ store, isWanted: (name) => layout.isOpen(name) || (name === "deals" && layout.isOpen("chart")) });

const lookClosely = () => {
  const wanted = [...(layout.isOpen("ladder") ? panels.get("ladder").grid.wanted : []), ...drawer.wanted];
  if (wanted.length) line.send({ action: "watch", names: wanted });
};

// Of a large market the server hurries with what is in sight.
let told = "";
const lookAround = () => {
  const open = ["exposure", "quotes"].filter((name) => layout.isOpen(name) && !document.hidden);
  const message = { action: "look", panels: Object.fromEntries(open.map((name) => [name, panels.get(name).grid.sight.slice(0, SIGHT_MAX)])) };
  if (JSON.stringify(message) === told) return;
  if (line.send(message)) told = JSON.stringify(message);
};

/** Make a panel when it is first seen: what nobody opens costs nothing. */
const furnished = (name) => {
  if (panels.has(name)) return painter.wake();
  const host = at(`grid-${name}`);
  const count = document.querySelector(`[data-count=${name}]`);
  host.addEventListener("painted", (event) => { count.textContent = event.detail.count; });
  host.addEventListener("held", (event) => count.classList.toggle("held", event.detail));
  const panel = { name, host, grid: MAKERS[name]({ host, store, history }) };
  panels.set(name, panel);
  panel.keys = furnish({ panel, dialog, say });
  panel.grid.opened = () => page.file(panel);
  host.closest(".panel").addEventListener("pointerdown", () => go(panel));
  if (FACTS[name]) facts.follow(name, FACTS[name]);
  if (["exposure", "quotes", "orders", "deals"].includes(name)) host.addEventListener("cursor", (event) => { for (const each of ["ladder", "chart"]) panels.get(each)?.grid.follow(event.detail?.symbol); });
  if (name === "ladder") host.addEventListener("symbol", lookClosely);
  if (name === "chart") facts.follow("deals", FACTS.deals);
  if (["ladder", "chart"].includes(name)) {
    const first = () => { if (!panel.grid.symbol) panel.grid.follow([...store.rows("quotes").values()].find((row) => row.bid)?.symbol); };
    store.watch("quotes", first);
    first();
  }
};

const only = new URLSearchParams(location.search).get("only");
if (only) document.body.classList.add("only");
const layout = new Layout({ root: at("desk"), saved: given.layout, save: saveLayout, onShow: furnished, only });

const page = {
  goTo: (name) => {
    layout.open(name);
    go(panels.get(name));
  },
  why: (panel) => {
    const row = panel?.grid.chosen;
    if (!row || !WHY[panel.name]) return say("warn", "Choose a row with figures first.");
    drawer.why(row.symbol ?? row.account_id ?? row.venue ?? row.name ?? row.key, WHY[panel.name](row));
  },
  file: (panel) => {
    const row = panel?.grid.chosen;
    if (panel?.name === "margin" && row) return drawer.stopOut(row.account_id);
    if (row?.order_id) return drawer.order(row.order_id);
    return page.why(panel);
  },
  drill: (panel) => {
    if (panel.name === "margin") {
      drawer.stopOut(panel.grid.chosen?.account_id);
      lookClosely();
    } else if (panel.name === "doubts") page.file(panel);
    else panel.grid.activate(panel.grid.cursor);
  },
  workspace: (number) => layout.show(WORKSPACES[number]),
  newOrder: (panel) => dialog.open("place-order", { symbol: panel?.grid.chosen?.symbol ?? panel?.grid.symbol }),
  kill: () => dialog.open("set-trading-state", { scope: "tenant", key: "", state: "killed" }),
  palette: () => palette.open(),
  help: () => at("help").showModal(),
  closeDrawer: () => {
    if (!drawer.isOpen) return false;
    drawer.close();
    return true;
  },
};

const palette = new Palette({
  element: at("palette"),
  entries: () => [
    ...[...titles].map(([name, { title }]) => ({ title: `Go to ${title}`, run: () => page.goTo(name) })),
    ...given.reports.flatMap((name) => ["html", "csv", "xlsx", "pdf"].map((kind) => ({ title: kind === "html" ? `Look at the report ${name}` : `Report ${name} as ${kind.toUpperCase()}`, run: () => location.assign(`/desk/reports/${name}.${kind}`) }))),
    ...WORKSPACES.map((name) => ({ title: `Workspace ${name}`, run: () => layout.show(name) })),
    ...Object.entries(dialog.forms).filter(([kind]) => dialog.can(kind) && !["cancel-order", "claim-request", "fill-request", "requote-request", "pass-request", "reject-request", "approve-hedge", "reject-hedge", "approve-change", "reject-change", "end-change", "bust-fill", "correct-fill", "ask-override", "grant-override"].includes(kind)).map(([kind, { title }]) => ({ title, run: () => dialog.open(kind) })),
  ],
});

const tabs = WORKSPACES.map((name, number) => {
  const tab = el("button", "workspace", name);
  tab.type = "button";
  tab.title = `${name} (${number + 1})`;
  tab.addEventListener("click", () => layout.show(name));
  at("workspaces").append(tab);
  return tab;
});
at("desk").addEventListener("workspace", (event) => {
  for (const tab of tabs) tab.setAttribute("aria-pressed", String(tab.textContent === event.detail.name));
  const open = [...panels.values()].find((panel) => layout.isOpen(panel.name));
  if (open) go(open);
});

const filter = at("filter");
filter.addEventListener("input", () => { for (const { grid } of panels.values()) grid.filter(filter.value); });
filter.addEventListener("keydown", (event) => { if (event.key === "Enter") filter.blur(); });

spreadOf.addEventListener("change", () => facts.readOne("spread"));
button("help").addEventListener("click", page.help);
button("palette").addEventListener("click", page.palette);
button("reset").addEventListener("click", () => layout.reset());
button("kill")?.addEventListener("click", page.kill);
button("retry").addEventListener("click", () => line.retryNow());
document.addEventListener("click", (event) => {
  const file = event.target.closest("[data-file]");
  if (file) drawer.order(file.dataset.file);
  const closing = event.target.closest("[data-action=close-panel]");
  if (closing) layout.close(closing.closest("[data-panel]").dataset.panel);
  const leaving = event.target.closest("[data-action=pop-out]")?.closest("[data-panel]").dataset.panel;
  if (leaving) window.open(`/desk/?only=${leaving}`, `desk-${leaving}`, "popup,width=1000,height=640");
});

for (const [name, why] of Object.entries(OF_STRIP)) {
  const figure = document.querySelector(`[data-strip=${name}]`);
  figure.title = "Why? (click)";
  figure.addEventListener("click", () => { const row = store.row("summary", "desk"); if (row) drawer.why(figure.previousElementSibling.textContent, why(row)); });
}

const sounds = new Sounds({ button: button("sound"), store, isOn: Boolean(layout.extra.sound), onSwitch: (isOn) => layout.remember("sound", isOn) });
const go = bindKeys({ panels, titles, filter, page });
layout.show(layout.current);
setInterval(lookClosely, FOCUS_MS);
setInterval(lookAround, SIGHT_MS);
line.open();

// For those who look into the page from the console, and for the tests that hold it against the server.
window.desk = { store, line, layout, sounds, page, dialog, history };
