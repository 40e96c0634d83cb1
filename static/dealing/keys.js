// Hot keys: off while somebody types or a dialog is open, listed in the overlay that `?` opens.
import { tinykeys } from "../vendor/tinykeys/tinykeys.module.js";

const typing = (event) => event.target.closest("input, textarea, select, [contenteditable]") || event.ctrlKey || event.metaKey || event.altKey;
const LEADER_MS = 1_000;
const busy = () => document.querySelector("dialog[open]");

/** `panels` is a Map of name: {name, host, grid, keys}; `page` has what the other keys do. Returns go(panel). */
export const bindKeys = ({ panels, titles, filter, page }) => {
  let active = null;

  const go = (panel) => {
    active = panel;
    for (const each of panels.values()) each.host.closest(".panel").classList.toggle("active", each === panel);
    panel.host.closest(".panel").scrollIntoView({ block: "nearest" });
    panel.host.closest(".panel").focus({ preventScroll: true });
  };

  // After g the next key names a panel and means nothing else.
  let leaderMs = -Infinity;
  const quiet = (action, afterLeader = false) => (event) => {
    if (typing(event) || busy() || (performance.now() - leaderMs < LEADER_MS && !afterLeader)) return;
    event.preventDefault();
    action();
  };
  const ofPanel = (key) => quiet(() => active?.keys?.[key]?.());
  tinykeys(window, {
    "/": quiet(() => filter.select()),
    j: quiet(() => active?.grid.move(1)),
    k: quiet(() => active?.grid.move(-1)),
    ArrowDown: quiet(() => active?.grid.move(1)),
    ArrowUp: quiet(() => active?.grid.move(-1)),
    t: quiet(() => document.querySelector("[data-action=theme]").click()),
    m: quiet(() => document.querySelector("[data-action=sound]").click()),
    w: quiet(() => page.why(active)),
    f: quiet(() => page.file(active)),
    ...Object.fromEntries(["h", "c", "x", "r", "b"].map((key) => [key, ofPanel(key)])),
    ...Object.fromEntries([1, 2, 3, 4].map((number) => [String(number), quiet(() => page.workspace(number - 1))])),
    Space: (event) => { if (!event.target.closest("button, a")) ofPanel("Space")(event); },
    F9: (event) => { if (!busy()) { event.preventDefault(); page.newOrder(active); } },
    "Shift+K": quiet(() => page.kill()),
    "$mod+k": (event) => { event.preventDefault(); page.palette(); },
    Enter: (event) => {
      if (typing(event) || busy() || event.target.closest("button, a") || !active || active.grid.cursor === null) return;
      page.drill(active);
    },
    "Shift+?": quiet(() => page.help()),
    Escape: () => {
      if (busy()) return;
      if (page.closeDrawer()) return;
      filter.value = "";
      filter.dispatchEvent(new Event("input"));
      filter.blur();
    },
    ...Object.fromEntries([...titles].map(([name, { key }]) => [`g ${key}`, quiet(() => page.goTo(name), true)])),
  });
  window.addEventListener("keydown", (event) => { leaderMs = event.key === "g" && !typing(event) ? performance.now() : -Infinity; });
  return go;
};
