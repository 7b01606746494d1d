/** A success clears itself; a refusal or a warning stays until the page is left. */
const SHOWN_MS = 8000;

/** @param {Document | Element} part */
export function fadeSuccesses(part) {
  for (const notice of part.querySelectorAll(".notice.is-success:not([data-fading])")) {
    notice.setAttribute("data-fading", "");
    const clear = () => {
      if (notice.matches(":hover") || notice.contains(document.activeElement)) setTimeout(clear, SHOWN_MS);
      else notice.remove();
    };
    setTimeout(clear, SHOWN_MS);
  }
}
