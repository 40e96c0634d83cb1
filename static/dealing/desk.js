// The dealer's page, wired: one line, one store, a grid per panel, the strip and the keys.
import { bindKeys } from "./keys.js";
import { exposure } from "./panels/exposure.js";
import { orders } from "./panels/orders.js";
import { quotes } from "./panels/quotes.js";
import { venues } from "./panels/venues.js";
import { Line } from "./socket.js";
import { Store } from "./store.js";
import { Strip } from "./strip.js";

// A new panel is one entry here, one <section> in the template and one stream of the engine.
const PANELS = [
  { name: "exposure", key: "e", make: exposure },
  { name: "quotes", key: "q", make: quotes },
  { name: "orders", key: "o", make: orders },
  { name: "venues", key: "l", make: venues },
];

const store = new Store({ onGap: (panel) => line.send({ action: "resync", panel }) });

const hear = (message) => {
  if (message.panel) store.accept(message);
  else if (message.at_us) store.learnClock(message.at_us);
};

const line = new Line({
  url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/desk/`,
  onMessage: hear,
  onState: (state, detail) => {
    if (state === "connecting") store.distrust();
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

const strip = new Strip({ root: document.getElementById("strip"), store, line });

const panels = PANELS.map(({ name, key, make }) => {
  const host = document.getElementById(`grid-${name}`);
  const count = document.querySelector(`[data-count=${name}]`);
  host.addEventListener("painted", (event) => { count.textContent = event.detail.count; });
  return { name, key, host, grid: make({ host, store }) };
});

const filter = document.getElementById("filter");
filter.addEventListener("input", () => { for (const { grid } of panels) grid.filter(filter.value); });
filter.addEventListener("keydown", (event) => { if (event.key === "Enter") filter.blur(); });

const help = document.getElementById("help");
document.querySelector("[data-action=help]").addEventListener("click", () => help.showModal());
document.querySelector("[data-action=retry]").addEventListener("click", () => line.retryNow());

bindKeys({ panels, filter, help });
line.open();

// For those who look into the page from the console, and for the tests that hold it against the server.
window.desk = { store, line };
