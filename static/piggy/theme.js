// Runs before the first paint, so that a light page never flashes dark. Not a module: modules wait.
(() => {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  root.dataset.theme = localStorage.getItem("theme") || system;
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-action=theme]")) return;
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  });
})();
