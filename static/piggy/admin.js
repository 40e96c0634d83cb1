// What the theme's pages leave unnamed for who does not see them: the main part, chosen values, cells that are written
// in, boxes that scroll. And heads stand over figures where the figures do.
const said = (element) => element?.textContent.replace("*", "").trim();

/** What stands over a cell of a table. */
const headOf = (cell) => said(cell.closest("table")?.querySelector("thead tr")?.children[cell.cellIndex]);

/** What a box that scrolls is called: its caption, the field that it stands in, else the page. */
const nameOf = (box) => said(box.querySelector("caption")) || said(box.closest(".field-line")?.querySelector("label"))
  || document.title.split(" | ")[0] || "Table";

const name = () => {
  document.getElementById("main")?.setAttribute("role", "main");
  for (const shown of document.querySelectorAll(".select2-selection__rendered:not([aria-label])")) {
    const select = shown.closest(".select2-container")?.previousElementSibling;
    const label = select?.labels?.[0] ?? document.querySelector(`label[for="${select?.id}"]`);
    shown.setAttribute("aria-label", said(label) || select?.name || "Choice");
  }
  for (const input of document.querySelectorAll("td input:not([type=hidden]), td select, td textarea")) {
    if (!input.labels?.length && !input.ariaLabel) input.ariaLabel = headOf(input.closest("td")) || input.name;
  }
  for (const input of document.querySelectorAll("#content-main input[type=text]")) {
    if (!input.labels?.length && !input.ariaLabel) input.ariaLabel = input.name.replaceAll("_", " ");
  }
  for (const tip of document.querySelectorAll("span.help-tooltip[aria-label]:not([role])")) tip.setAttribute("role", "img");
  for (const cell of document.querySelectorAll(".result-list tbody:first-of-type tr:first-child > :has(> .figure)")) {
    cell.closest("table").querySelector("thead tr").children[cell.cellIndex]?.classList.add("figure-head");
  }
  // Icons are letters of a font, and read aloud as "chevron_right"; one that is all that a button has stays its name.
  for (const icon of document.querySelectorAll(".material-symbols-outlined:not([aria-hidden])")) {
    const control = icon.closest("a, button");
    if (!control || control.ariaLabel || said(control) !== said(icon)) icon.ariaHidden = "true";
  }
  for (const box of document.querySelectorAll(".scrolls:not([tabindex])")) {
    Object.assign(box, { tabIndex: 0, role: box.role || "region", ariaLabel: nameOf(box) });
  }
  document.querySelectorAll(".simplebar-content-wrapper").forEach((box, at) => box.setAttribute("aria-label", `Part ${at + 1} that scrolls`));
};

let isDue = false;
const later = () => {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => { isDue = false; name(); });
};

addEventListener("DOMContentLoaded", () => {
  name();
  new MutationObserver(later).observe(document.body, { childList: true, subtree: true });
});
