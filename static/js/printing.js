/** Buttons with data-print print the page: the only way for a page that is shown once and must not be reloaded. */
document.addEventListener("click", (event) => {
  if (event.target instanceof Element && event.target.closest("[data-print]")) window.print();
});
