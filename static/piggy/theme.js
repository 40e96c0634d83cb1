// Runs before the first paint, so that a page chosen light never flashes dark. Not a module: modules wait.
(() => {
  const root = document.documentElement;
  root.dataset.theme = localStorage.getItem("theme") || "dark";
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-action=theme]")) return;
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  });
})();
