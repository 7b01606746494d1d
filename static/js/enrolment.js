/**
 * The enrolment's form: a refusal speaks of the photos as they were sent, so it goes when they change; what never
 * reached the server (no connection, too much at once) is said in place of the answer. The photos stay in the page.
 */
const form = /** @type {HTMLFormElement | null} */ (document.querySelector("[data-enrolment]"));
const answer = document.getElementById("enrol-answer");

function count() {
  const input = /** @type {HTMLInputElement | null} */ (form?.querySelector("[data-camera-file]"));
  return input?.files?.length ?? 0;
}

/** @param {string} name */
function say(name) {
  const words = /** @type {HTMLTemplateElement | null} */ (form?.querySelector(`template[data-say="${name}"]`));
  if (words) answer?.replaceChildren(words.content.cloneNode(true));
  answer?.scrollIntoView({ block: "nearest" });
}

form?.addEventListener("camera:taken", (event) => {
  const { files } = /** @type {CustomEvent} */ (event).detail;
  answer?.replaceChildren();
  if (files.length > Number(form.dataset.most)) say("most");
});
form?.addEventListener("click", (event) => {
  // The last photo removed is told by no event of the camera's.
  if (event.target instanceof Element && event.target.closest(".camera-drop") && !count()) answer?.replaceChildren();
});
form?.addEventListener("htmx:confirm", (event) => {
  if (count() > 0 && count() <= Number(form.dataset.most)) return;
  event.preventDefault();
  say(count() ? "most" : "none");
});
for (const trouble of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  form?.addEventListener(trouble, () => say("failed"));
}
form?.addEventListener("htmx:afterSwap", () => answer?.scrollIntoView({ block: "nearest" }));
