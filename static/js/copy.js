/** Buttons with data-copy="text" put that text on the clipboard and say so in data-copied's words. */
export function attachCopy() {
  document.addEventListener("click", async (event) => {
    const button = event.target instanceof Element ? event.target.closest("[data-copy]") : null;
    if (!(button instanceof HTMLElement)) return;
    const label = button.querySelector("[data-copy-label]") ?? button;
    const before = label.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy ?? "");
    } catch {
      return; // no clipboard over plain HTTP: the text stands beside the button and can be selected
    }
    label.textContent = button.dataset.copied ?? before;
    button.classList.add("is-copied");
    setTimeout(() => {
      label.textContent = before;
      button.classList.remove("is-copied");
    }, 2000);
  });
}
