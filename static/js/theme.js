/*
 * Sets light or dark before the first paint, and keeps the reader's own choice.
 * A classic script in <head>, not a module: a module would run after the paint and flash.
 */
(() => {
  "use strict";
  const KEY = "custody.theme";
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  const remembered = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null; // storage refused (private window): follow the system
    }
  };
  const remember = (theme) => {
    try {
      if (theme === null) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, theme);
    } catch {
      /* the choice then lasts for this page */
    }
  };
  const ofSystem = () => (system.matches ? "dark" : "light");
  const show = (theme) => {
    root.dataset.bsTheme = theme;
    document
      .querySelectorAll("[data-theme-toggle]")
      .forEach((button) => button.setAttribute("aria-pressed", String(theme === "dark")));
  };

  const choice = remembered();
  show(choice === "dark" || choice === "light" ? choice : ofSystem());
  system.addEventListener("change", () => {
    if (remembered() === null) show(ofSystem());
  });
  document.addEventListener("DOMContentLoaded", () => show(root.dataset.bsTheme));
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element) || !event.target.closest("[data-theme-toggle]")) return;
    const next = root.dataset.bsTheme === "dark" ? "light" : "dark";
    remember(next === ofSystem() ? null : next); // back to what the system says: follow it again
    show(next);
  });
})();
