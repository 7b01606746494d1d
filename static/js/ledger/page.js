/**
 * The page around the verifier: what the auditor pins, what is to be verified, progress, and the verdict. Every sentence
 * stands in the template; nothing leaves the browser but requests for the live log.
 */

/** @typedef {import("./verify.js").Verdict & Partial<import("./bundle.js").BundleVerdict>} AnyVerdict */

for (const part of document.querySelectorAll("[data-browser-verifier]")) attach(/** @type {HTMLElement} */ (part));

/** @param {HTMLElement} part */
function attach(part) {
  const find = (/** @type {string} */ name) => /** @type {any} */ (part.querySelector(`[data-part="${name}"]`));
  const [form, start, progress, result] = ["form", "start", "progress", "result"].map(find);
  const words = JSON.parse(document.getElementById("verifier-words")?.textContent ?? "{}");
  const own = JSON.parse(document.getElementById("verifier-own")?.textContent ?? "{}");
  /** @type {Worker | null} */
  let worker = null;

  attachDrop(find("bundle"), form.elements.bundle);
  const showSource = () => {
    const live = form.elements.source.value === "live";
    find("bundle").hidden = live;
    find("live").hidden = !live;
  };
  form.addEventListener("change", showSource);
  showSource();
  find("fill")?.addEventListener("click", () => {
    form.elements.origin.value = own.origin;
    form.elements.vkeys.value = own.vkeys.join("\n");
    find("filled").hidden = false;
  });

  form.addEventListener("submit", (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const job = readJob(form, part.dataset.log ?? "");
    result.replaceChildren();
    if (typeof job === "string") return show(notice(part, words.troubles[job]), find(job));
    run(job);
  });
  find("cancel").addEventListener("click", () => {
    end();
    show(notice(part, words.stopped), start);
  });

  /** @param {import("./worker.js").Job} job */
  function run(job) {
    worker = new Worker(part.dataset.worker ?? "", { type: "module" });
    worker.addEventListener("message", ({ data }) => {
      if (data.type === "progress") return tell(data.entries, data.of);
      end();
      if (data.type === "verdict") show(showVerdict(part, words, data, !job.blob), result);
      else show(notice(part, words.troubles[data.code], data.expected, data.found), start);
    });
    worker.addEventListener("error", () => {
      end();
      show(notice(part, words.troubles.failed), start);
    });
    worker.postMessage(job);
    start.disabled = true;
    progress.hidden = false;
    tell(0, 0);
    find("cancel").focus();
  }

  function end() {
    worker?.terminate();
    worker = null;
    start.disabled = false;
    progress.hidden = true;
  }

  /** @param {number} entries @param {number} of */
  function tell(entries, of) {
    find("count").textContent = entries.toLocaleString();
    const bar = find("bar");
    if (of) bar.value = entries / of;
    else bar.removeAttribute("value");
  }

  /** @param {Node} made @param {HTMLElement} focused */
  function show(made, focused) {
    result.replaceChildren(made);
    focused?.focus();
  }
}

/** Let a file be dropped on the field that it can also be chosen with. @param {HTMLElement} zone @param {HTMLInputElement} input */
function attachDrop(zone, input) {
  const hover = (/** @type {boolean} */ on) => zone.classList.toggle("is-over", on);
  for (const name of ["dragenter", "dragover"]) {
    zone.addEventListener(name, (event) => {
      event.preventDefault();
      hover(true);
    });
  }
  zone.addEventListener("dragleave", () => hover(false));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    hover(false);
    if (event.dataTransfer?.files.length) input.files = event.dataTransfer.files;
  });
}

/**
 * Read the form, or name the part of it that is still to be filled in.
 * @param {HTMLFormElement} form @param {string} base @returns {import("./worker.js").Job | "origin" | "bundle" | "known"}
 */
function readJob(form, base) {
  const value = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name)).value.trim();
  const file = (/** @type {string} */ name) =>
    /** @type {HTMLInputElement} */ (form.elements.namedItem(name)).files?.[0] ?? null;
  const live = /** @type {RadioNodeList} */ (form.elements.namedItem("source")).value === "live";
  const [origin, vkeys, policy, blob] = [value("origin"), value("vkeys").split(/\s+/).filter(Boolean), file("policy"), file("bundle")];
  if (!policy && !(origin && vkeys.length)) return "origin";
  if (!live && !blob) return "bundle";
  const [size, root] = [value("known_size"), value("known_root")];
  if (live && (size || root) && !(/^[0-9]{1,15}$/.test(size) && /^[0-9a-f]{64}$/.test(root))) return "known";
  const known = live && size ? { size: Number(size), root } : null;
  return { blob: live ? null : blob, base: new URL(base, location.href).href, origin, vkeys, policy, deep: true, known };
}

/** @param {HTMLElement} part @param {string} name */
function stamp(part, name) {
  const template = /** @type {HTMLTemplateElement} */ (part.querySelector(`template[data-template="${name}"]`));
  return /** @type {HTMLElement} */ (template.content.cloneNode(true));
}

/** Put values into a sentence. @param {string} sentence @param {Record<string, string | number>} values */
const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));

/** @param {HTMLElement} made @param {string} name @param {string} text */
function put(made, name, text) {
  const place = made.querySelector(`[data-text="${name}"]`);
  if (!place) return;
  if (text) place.textContent = text;
  else place.remove();
}

/** @param {HTMLElement} part @param {string} sentence */
function notice(part, sentence, expected = "", found = "") {
  const made = stamp(part, "notice");
  put(made, "sentence", sentence);
  put(made, "expected", expected);
  put(made, "found", found);
  if (!expected) made.querySelector("[data-compare]")?.remove();
  return made;
}

/**
 * @param {HTMLElement} part @param {any} words @param {{verdict: AnyVerdict, seconds: number, quorum: boolean}} told
 * @param {boolean} live
 */
function showVerdict(part, words, { verdict, seconds, quorum }, live) {
  const intact = verdict.status.startsWith("intact");
  const alarming = quorum && verdict.status === "intact_unwitnessed";
  const look = intact ? (alarming ? "warn" : "ok") : verdict.check === "empty" ? "waiting" : "broken";
  const made = stamp(part, look);
  put(made, "sentence", sentenceOf(words, verdict, intact));
  put(made, "detail", intact ? detailOf(words, verdict, quorum) : verdict.entries ? fill(words.sound_before, { n: verdict.entries }) : "");
  put(made, "expected", verdict.expected);
  put(made, "found", verdict.found);
  const facts = made.querySelector("dl[data-facts]");
  for (const [label, text] of factsOf(words, verdict, seconds, live)) {
    const [term, value] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = label;
    value.textContent = text;
    value.translate = false;
    facts?.append(term, value);
  }
  return made;
}

/** @param {any} words @param {AnyVerdict} verdict @param {boolean} intact */
function sentenceOf(words, verdict, intact) {
  const { scope = "log", first, stop, entries, check, broken_at: at } = verdict;
  if (intact) {
    const values = { n: entries, first: first ?? 0, last: (stop ?? 1) - 1 };
    return [fill(words.intact[scope], values), verdict.uncovered ? fill(words.uncovered, { n: verdict.uncovered }) : ""]
      .filter(Boolean).join(" ");
  }
  if (check === "empty" || check === "policy") return words[check];
  const fault = words.faults[check] ?? check;
  const word = verdict.status === "incomplete" ? "incomplete" : "broken";
  if (at === null) return fill(words[word], { fault });
  const missing = ["checkpoint_size", "known_size", "timestamp_size"].includes(check);
  return fill(missing ? words.cut_off : words[`${word}_at`], { fault, at });
}

/** @param {any} words @param {AnyVerdict} verdict @param {boolean} quorum whether the auditor pinned one */
function detailOf(words, verdict, quorum) {
  const witnessed = verdict.status === "intact_and_witnessed";
  const names = verdict.witnesses.join(", ");
  const lines = [witnessed ? fill(words.witnessed, { names }) : quorum ? words.unwitnessed : words.no_quorum];
  if (verdict.scope === "subject") {
    const upTo = verdict.complete_up_to ?? null;
    lines.unshift(upTo === null ? words.not_complete : fill(words.complete, { n: upTo }));
  }
  return lines.join(" ");
}

/** @param {any} words @param {AnyVerdict} verdict @param {number} seconds @param {boolean} live @returns {[string, string][]} */
function factsOf(words, verdict, seconds, live) {
  const { facts } = words;
  /** @type {[string, string][]} */
  const rows = [];
  if (verdict.scope === "subject") rows.push([facts.subject, verdict.subject ?? ""]);
  if (verdict.size) rows.push([facts.tree, `${verdict.size.toLocaleString()} · ${verdict.root}`]);
  if (verdict.witnesses.length) rows.push([facts.witnesses, verdict.witnesses.join(", ")]);
  if (verdict.timestamps_unchecked) {
    rows.push([facts.timestamps, fill(words.timestamps_unchecked, { n: verdict.timestamps_unchecked })]);
  }
  rows.push([facts.attachments, live ? words.attachments_live : String(verdict.attachments ?? 0)]);
  for (const one of verdict.disclosures ?? []) {
    rows.push([fill(facts.disclosed, { n: one.entry }), `${one.label}: ${one.text || one.sha256}`]);
  }
  // Of a few entries a rate says nothing.
  const rate = verdict.entries < 1000 ? "" : Math.round(verdict.entries / seconds).toLocaleString();
  rows.push([facts.seconds, fill(rate ? words.seconds_and_rate : words.seconds, { s: seconds.toFixed(1), rate })]);
  return rows;
}
