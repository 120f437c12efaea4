// The form of a new study: shows what belongs to each choice, writes the definition while it is filled in, lets the
// server judge it, and puts what is wrong beside the field that it is about.

import { call } from "./actions.js";
import "./copy.js";
import { curl, definitionOf, written } from "./definition.js";

const form = document.getElementById("study");
const { elements } = form;
const judged = document.getElementById("judged");
const refusal = document.getElementById("refusal");
const submit = form.querySelector("[type=submit]");
const PAUSE = 350;

/** Controls that were filled in: only of these it is said before the form is sent that something is wrong. */
const touched = new Set();

/** Names that nobody has chosen: they go with the objective. */
const suggested = new Set(["", ...[...elements["objective.name"].options].map((option) => option.dataset.name ?? "")]);

let sent = false;
let asked = 0;
let timer = 0;

/** Show what belongs to the choices made, and keep the rest out of the definition. */
function arrange() {
  const objective = elements["objective.name"];
  const registered = objective.value !== "";
  show("[data-objective]", (part) => part.dataset.objective === objective.value);
  show("[data-registered]", () => registered);
  const test = [...elements.rate].find(({ value }) => value === "test");
  test.disabled = !registered;
  if (test.disabled && test.checked) elements.rate[0].checked = true;
  show("[data-rate]", (part) => part.dataset.rate === elements.rate.value);
  show("[data-goals]", (part) => part.dataset.goals.split(" ").includes(elements.goal.value));
  const metrics = (objective.selectedOptions[0].dataset.metrics ?? "loss accuracy").split(" ");
  document.getElementById("metrics").replaceChildren(...metrics.map((metric) => new Option(metric, metric)));
  for (const part of ["sampler", "pruner"]) {
    const choice = elements[`${part}.name`];
    show(`[data-${part}]`, (settings) => settings.dataset[part] === choice.value);
    document.getElementById(`about-${part}`).textContent = choice.selectedOptions[0].dataset.about;
  }
  if (suggested.has(elements.name.value)) elements.name.value = objective.selectedOptions[0].dataset.name ?? "";
}

/** A part that is hidden says nothing: its controls are disabled. */
function show(selector, wanted) {
  for (const part of form.querySelectorAll(selector)) {
    part.hidden = !wanted(part);
    const controls = part.matches("fieldset") ? [part] : part.querySelectorAll("input, select, textarea");
    for (const control of controls) control.disabled = part.hidden;
  }
}

/** The definition as it is written; null where a field that is JSON is none, which is then said beside it. */
function current() {
  for (const control of form.querySelectorAll("[data-kind=json]")) {
    control.setCustomValidity(isJson(control.value) ? "" : "This is no JSON.");
  }
  const broken = form.querySelector("[data-kind=json]:enabled:invalid");
  return broken ? null : definitionOf(form);
}

function isJson(text) {
  if (!text.trim()) return true;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function preview(definition) {
  document.getElementById("curl").textContent = curl(definition, form.dataset.service, { token: "token" in form.dataset });
  document.getElementById("json").textContent = written(definition);
}

/** Ask the server what it thinks of the definition; of answers that cross only the last one counts. */
async function judge(definition) {
  const number = ++asked;
  try {
    const { document: valid } = await call("POST", "/v1/studies:validate", definition);
    if (number !== asked) return;
    place([]);
    refusal.textContent = "";
    judged.textContent = words(valid);
  } catch (problem) {
    if (number !== asked) return;
    judged.textContent = "";
    refuse(problem);
  }
}

function words({ definition, range_test: test, exists }) {
  if (exists) return "This very study exists: Start goes to it.";
  const limits = Object.entries({ trials: "trials", gradient_evaluations: "gradient evaluations", seconds: "seconds" })
    .filter(([name]) => definition.budget[name] !== null)
    .map(([name, unit]) => `${definition.budget[name]} ${unit}`);
  const end = limits.length ? `up to ${limits.join(" or ")}` : "without an end";
  const first = test ? `a range test of ${test.steps} steps, then ` : "";
  return `Ready: ${first}${definition.sampler.name}, ${end}.`;
}

/** Show why the definition is refused: what is about a field beside it, the rest above the button. */
function refuse({ code, detail, errors }) {
  const found = code === "study_exists" ? [{ field: "name", message: detail }] : errors;
  const left = place(found);
  refusal.textContent = found.length ? left.map(({ field, message }) => `${field}: ${message}`).join(" ") : detail;
}

/** Put each error beside its field; those that have none are answered. */
function place(errors) {
  for (const said of form.querySelectorAll(".error[data-error]")) said.remove();
  for (const control of form.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
    control.removeAttribute("aria-describedby");
  }
  const left = [];
  errors.forEach(({ field, message }, index) => {
    const at = fieldOf(field);
    if (!at) left.push({ field, message });
    else if (sent || at.matches("fieldset") || begun(at)) beside(at, message, `error-${index}`);
  });
  return sent ? left : [];
}

/** Whether a control was filled in, or what it is a setting of was chosen. */
function begun(control) {
  return touched.has(control) || touched.has(elements[control.name.replace(/[.]settings[.].*/, ".name")]);
}

/** The control, or else the group of controls, that a path of the definition belongs to. */
function fieldOf(path) {
  const names = path.split(".");
  for (let length = names.length; length > 0; length -= 1) {
    const name = CSS.escape(names.slice(0, length).join("."));
    const at =
      form.querySelector(`[name="${name}"]:enabled:not([type=hidden])`) ??
      form.querySelector(`fieldset[data-field="${name}"]:enabled:not([hidden])`);
    if (at) return at;
  }
  return null;
}

function beside(at, message, id) {
  const said = document.createElement("small");
  said.className = "error";
  said.id = id;
  said.dataset.error = "";
  said.textContent = message;
  if (at.matches("fieldset")) {
    said.classList.add("whole");
    at.append(said);
  } else {
    at.setAttribute("aria-invalid", "true");
    at.setAttribute("aria-describedby", id);
    (at.closest(".field") ?? at.parentElement).append(said);
    disclose(at);
  }
}

/** Show a control that is folded away. */
function disclose(control) {
  for (let folded = control.closest("details"); folded; folded = folded.parentElement.closest("details")) {
    folded.open = true;
  }
}

// What has to be filled in, or is wrong, is not hidden: a browser could not even say what is the matter.
form.addEventListener("invalid", ({ target }) => disclose(target), true);

function changed() {
  arrange();
  const definition = current();
  clearTimeout(timer);
  if (!definition) {
    judged.textContent = "";
    return;
  }
  preview(definition);
  // What the browser sees to be wrong, the server need not be asked about.
  const whole = form.checkValidity();
  judged.textContent = whole ? "Checking …" : "";
  if (whole) timer = setTimeout(judge, PAUSE, definition);
}

form.addEventListener("input", (event) => {
  touched.add(event.target);
  changed();
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const definition = current();
  if (!form.reportValidity() || !definition) return;
  clearTimeout(timer);
  asked += 1;
  sent = true;
  submit.disabled = true;
  refusal.textContent = "";
  try {
    const { document: study } = await call("POST", "/v1/studies", definition);
    location.assign(`/studies/${study.address}`);
  } catch (problem) {
    refuse(problem);
    submit.disabled = false;
    (form.querySelector("[aria-invalid]") ?? submit).focus();
  }
});

// Whoever comes back by the browser's button finds the form as it was left.
addEventListener("pageshow", () => {
  submit.disabled = false;
  changed();
});
