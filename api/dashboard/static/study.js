// What can be done on a study's page: steer and delete it, copy its answer, enqueue a point, write its notes.

import { Refusal, act, allowed, call, confirmDelete, studyPath } from "./actions.js";
import { hold, renewed } from "./live.js";

const { study, name } = document.body.dataset;
const find = (selector) => document.querySelector(selector);

/** Where a refusal is said, and where an empty text takes it away. */
function say(place, text = "") {
  find(`[data-said="${place}"]`).textContent = text;
}

/** What a call came to: null, and said, where it was refused. */
async function tried(place, work) {
  say(place);
  try {
    return await work();
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    say(place, refusal.message);
    return null;
  }
}

// Steering. The buttons are outside the live regions, so that one that has the focus keeps it.

let trials = null;

function showState(state) {
  const held = document.activeElement?.dataset.act;
  for (const button of document.querySelectorAll("[data-act]:not([data-act=delete])")) {
    button.hidden = !(allowed[state] ?? []).includes(button.dataset.act);
  }
  if (held && find(`[data-act="${held}"]`)?.hidden) find("[data-act]:not([hidden])").focus();
}

async function steer(button) {
  const verb = button.dataset.act;
  if (verb === "delete") {
    trials ??= Object.values((await call("GET", studyPath(study))).document.trials).reduce((sum, each) => sum + each, 0);
    hold(true);
    if (await confirmDelete({ address: study, name, trials })) location.assign("/");
    else hold(false);
    return;
  }
  const changed = await tried("act", () => act(study, verb));
  if (changed) {
    showState(changed.state);
    await renewed();
  }
}

// Copying. Without a secure context there is no clipboard: then the text is selected, for the reader's own keys.

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  getSelection().selectAllChildren(source);
  if (!navigator.clipboard) {
    button.textContent = "Selected";
    return;
  }
  await navigator.clipboard.writeText(source.textContent);
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

// Enqueueing a point.

const values = {
  json: (text) => JSON.parse(text),
  int: (text) => Number(text),
  float: (text) => Number(text),
};

async function enqueue(form) {
  for (const place of form.querySelectorAll("[data-field]")) place.textContent = "";
  const parameters = {};
  for (const field of form.querySelectorAll("[data-type]")) {
    parameters[field.name] = values[field.dataset.type](field.value);
  }
  say("enqueue");
  try {
    await call("POST", `${studyPath(study)}/trials`, { parameters });
    form.closest("dialog").close();
    document.dispatchEvent(new CustomEvent("tuner:trials"));
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    const placed = refusal.errors.filter(({ field, message }) => {
      const place = form.querySelector(`[data-field="${CSS.escape(field.replace(/^parameters\./, ""))}"]`);
      if (place) place.textContent = message;
      return place;
    });
    if (placed.length < Math.max(1, refusal.errors.length)) say("enqueue", refusal.message);
  }
}

// Notes and tags. What is edited is what the server has when the editor opens; who saves over somebody else's words is told.

let editing = null;

const editor = find('[data-editor="notes"]');

async function read() {
  const { document: found, headers } = await call("GET", studyPath(study));
  const { notes, tags } = found.definition;
  return { notes, tags, version: headers.get("ETag") };
}

async function edit() {
  editing = await tried("notes", read);
  editor.hidden = false;
  if (!editing) return;
  editor.elements.notes.value = editing.notes;
  editor.elements.tags.value = editing.tags.join(", ");
  editor.elements.notes.focus();
}

const same = (one, other) => one.notes === other.notes && String(one.tags) === String(other.tags);

async function save() {
  const written = {
    notes: editor.elements.notes.value,
    tags: editor.elements.tags.value.split(",").map((tag) => tag.trim()).filter(Boolean),
  };
  const saved = await tried("notes", async () => {
    // The version also counts what has nothing to do with notes, a pause or an excluded trial: those do not matter here.
    const now = await read();
    const untouched = same(now, editing);
    editing = now;
    if (untouched) return call("PATCH", studyPath(study), written, { "If-Match": now.version });
    await renewed();
    throw new Refusal({
      detail:
        "Somebody else has changed the notes or the tags meanwhile: theirs are shown above, yours are here. " +
        "Save again to put yours in their place.",
    });
  });
  if (!saved) return;
  close();
  await renewed();
}

function close() {
  editor.hidden = true;
  say("notes");
  find('[data-edit="notes"]').focus();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.act) steer(button);
  if (button.dataset.copy) copy(button);
  if (button.dataset.edit) edit();
  if (button.dataset.open) find(`[data-dialog="${button.dataset.open}"]`).showModal();
  if ("cancel" in button.dataset) {
    if (editor?.contains(button)) close();
    else button.closest("dialog").close();
  }
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form === editor) {
    event.preventDefault();
    save();
  } else if (form.closest('[data-dialog="enqueue"]')) {
    event.preventDefault();
    enqueue(form);
  }
});

// The page while it lives: buttons follow the state, and what shows trials appears with the first of them.

document.addEventListener("tuner:change", ({ detail }) => {
  showState(detail.state);
  trials = null;
  if (Object.values(detail.trials ?? {}).some(Boolean)) {
    for (const part of document.querySelectorAll('[data-begun="only"]')) part.hidden = false;
  }
});

// The page of a very long study is shown before all that it says is known.
if ("renew" in document.body.dataset) renewed().catch(() => {});
