/**
 * The enrolment's form: a refusal speaks of the photos as they were sent, so it goes when they change; what never
 * reached the server (no connection, too much at once) is said in place of the answer. The photos stay in the page.
 */
const form = /** @type {HTMLFormElement | null} */ (document.querySelector("[data-enrolment]"));
const answer = document.getElementById("enrol-answer");

/** @param {"photos" | "document"} name */
function count(name) {
  const input = /** @type {HTMLInputElement | null} */ (form?.querySelector(`input[type="file"][name="${name}"]`));
  return input?.files?.length ?? 0;
}

/** @param {string} name */
function say(name) {
  const words = /** @type {HTMLTemplateElement | null} */ (form?.querySelector(`template[data-say="${name}"]`));
  if (words) answer?.replaceChildren(words.content.cloneNode(true));
  answer?.scrollIntoView({ block: "nearest" });
}

/** What the form lacks, by the name of the sentence that says so; nothing where it may be sent. */
function lacking() {
  if (!count("document")) return "document";
  if (count("photos") < Number(form?.dataset.least)) return "least";
  if (count("photos") > Number(form?.dataset.most)) return "most";
  return "";
}

form?.addEventListener("camera:taken", () => {
  answer?.replaceChildren();
  if (count("photos") > Number(form.dataset.most)) say("most");
});
form?.addEventListener("click", (event) => {
  // The last photo removed is told by no event of the camera's.
  if (event.target instanceof Element && event.target.closest(".camera-drop") && !count("photos")) {
    answer?.replaceChildren();
  }
});
form?.addEventListener("htmx:confirm", (event) => {
  const lacks = lacking();
  if (!lacks) return;
  event.preventDefault();
  say(lacks);
});
for (const trouble of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  form?.addEventListener(trouble, () => say("failed"));
}
form?.addEventListener("htmx:afterSwap", () => answer?.scrollIntoView({ block: "nearest" }));
