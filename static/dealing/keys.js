// Hot keys: off while somebody types, listed in the overlay that `?` opens.
import { tinykeys } from "../vendor/tinykeys/tinykeys.module.js";

const typing = (event) => event.target.closest("input, textarea, select, [contenteditable]") || event.ctrlKey || event.metaKey || event.altKey;

/** `panels` are {key, name, host, grid}; the first is the active one until another is chosen. */
export const bindKeys = ({ panels, filter, help }) => {
  let active = panels[0];

  const go = (panel) => {
    active = panel;
    for (const each of panels) each.host.closest(".panel").classList.toggle("active", each === panel);
    panel.host.closest(".panel").scrollIntoView({ block: "nearest" });
    panel.host.closest(".panel").focus({ preventScroll: true });
  };
  for (const panel of panels) panel.host.closest(".panel").addEventListener("pointerdown", () => go(panel));

  const quiet = (action) => (event) => {
    if (typing(event) || help.open) return;
    event.preventDefault();
    action();
  };
  tinykeys(window, {
    "/": quiet(() => filter.select()),
    j: quiet(() => active.grid.move(1)),
    k: quiet(() => active.grid.move(-1)),
    ArrowDown: quiet(() => active.grid.move(1)),
    ArrowUp: quiet(() => active.grid.move(-1)),
    t: quiet(() => document.querySelector("[data-action=theme]").click()),
    Enter: (event) => {
      if (typing(event) || event.target.closest("button, a") || active.grid.cursor === null) return;
      active.grid.activate(active.grid.cursor);
    },
    "Shift+?": quiet(() => help.showModal()),
    Escape: () => {
      if (help.open) return;
      filter.value = "";
      filter.dispatchEvent(new Event("input"));
      filter.blur();
    },
    ...Object.fromEntries(panels.map((panel) => [`g ${panel.key}`, quiet(() => go(panel))])),
  });
  go(active);
};
