/**
 * What was typed into a long form stays in this tab until it is sent: a reload, a lost connection or a session that ended
 * loses none of it. Hidden fields and files are not kept.
 *
 * In a page: <form data-kept="a key of this account and form"> with [data-kept-notice] and [data-kept-drop] in the page;
 * data-kept-answered where the server gave back what was typed. Where it has arrived: <div data-kept-arrived>.
 */

const PREFIX = "custody.kept.";

/** @param {HTMLFormElement} form @returns {(HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement)[]} */
function fields(form) {
  return /** @type {any[]} */ ([...form.elements]).filter(
    (field) => field.name && "value" in field && !["hidden", "file", "submit", "password"].includes(field.type),
  );
}

/** @param {HTMLFormElement} form */
function typed(form) {
  return JSON.stringify(Object.fromEntries(fields(form).map((field) => [field.name, field.value])));
}

/** @param {HTMLFormElement} form */
function keep(form) {
  const key = PREFIX + form.dataset.kept;
  const asOpened = typed(form);
  const found = sessionStorage.getItem(key);
  if (found && found !== asOpened && !("keptAnswered" in form.dataset)) {
    const before = JSON.parse(found);
    for (const field of fields(form)) {
      if (typeof before[field.name] === "string") field.value = before[field.name];
    }
    document.querySelector("[data-kept-notice]")?.removeAttribute("hidden");
    document.querySelector("[data-kept-drop]")?.addEventListener("click", () => {
      sessionStorage.removeItem(key);
      location.reload();
    });
  }
  form.addEventListener("input", () => {
    try {
      sessionStorage.setItem(key, typed(form));
    } catch {
      /* more than the browser keeps: the form itself still has it */
    }
  });
}

try {
  if (document.querySelector("[data-kept-arrived]")) {
    for (const key of Object.keys(sessionStorage)) {
      if (key.startsWith(PREFIX)) sessionStorage.removeItem(key);
    }
  }
  for (const form of document.querySelectorAll("form[data-kept]")) keep(/** @type {HTMLFormElement} */ (form));
} catch {
  /* a browser that keeps nothing */
}
