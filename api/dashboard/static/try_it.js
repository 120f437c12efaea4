// "Try it": a learning rate and a number of steps to slide, and what becomes of the loss, at once.
//
// The rate's slider is logarithmic and is laid around the stability limit, which is marked on it. An answer that comes
// after a later question is dropped.

import { valueOf } from "./definition.js";
import { number } from "./format.js";
import { CONFIG, onTheme, plotly, themed } from "./plot.js";

const EVERY = 150;
const MOST_STEPS = 2000;
const BELOW_LIMIT = 1000;
const ABOVE_LIMIT = 10;
const UNLIMITED = [1e-5, 10];
const FIRST = 0.5;

const form = document.querySelector("form.try");
const plot = form.querySelector(".try-curve");
const rate = form.querySelector("#rate");
const steps = form.querySelector("#steps");
const rule = form.querySelector("#update_rule");
const momentum = form.querySelector("#momentum");
const picture = document.querySelector("tuner-descent");
const said = Object.fromEntries([...form.querySelectorAll("[data-said]")].map((each) => [each.dataset.said, each]));

let span = UNLIMITED;
let limit = null;
let chosen = false;
let shown = null;
let seen = null;
let request = null;
let timer = 0;
let last = -Infinity;

/** A slider's value on a logarithmic scale, to three digits. */
const logarithmic = (slider, [low, high]) =>
  Number((low * (high / low) ** (Number(slider.value) / Number(slider.max))).toPrecision(3));

const placed = (value, [low, high]) => Math.log(value / low) / Math.log(high / low);

const rateNow = () => logarithmic(rate, span);
const stepsNow = () => Math.round(logarithmic(steps, [1, MOST_STEPS]));

/** The settings that differ from their defaults. */
function settings() {
  const found = {};
  for (const control of form.querySelectorAll("[data-settings] [data-kind]")) {
    let value;
    try {
      value = valueOf(control);
    } catch {
      // What is no JSON yet is for the server to judge.
      value = control.value.trim();
    }
    if (value !== undefined) found[control.name] = value;
  }
  return JSON.stringify(found);
}

function address(question) {
  const url = new URL(`/objectives/${encodeURIComponent(form.dataset.objective)}/descents`, location.href);
  const start = form.querySelector("[data-start]").value;
  const all = { settings: settings(), initial_seed: start || "0", ...question };
  for (const [name, value] of Object.entries(all)) url.searchParams.set(name, value);
  return url;
}

/** The words and marks that follow the sliders at once, before any answer. */
function label() {
  const now = rateNow();
  said.rate.textContent = number(now);
  said.steps.textContent = number(stepsNow());
  rate.setAttribute("aria-valuetext", `learning rate ${said.rate.textContent}`);
  steps.setAttribute("aria-valuetext", `${said.steps.textContent} steps`);
  const mark = form.querySelector(".limit");
  const place = limit === null ? -1 : placed(limit, span);
  mark.hidden = !(place >= 0 && place <= 1);
  if (!mark.hidden) mark.style.setProperty("--place", String(place));
  said.limit.textContent =
    limit === null
      ? "Nothing is known that bounds the rate of this rule here."
      : `▲ the stability limit at the start, ${number(Number(limit.toPrecision(4)))}; this rate is ${number(Number((now / limit).toPrecision(2)))} × that.`;
}

/** Ask as soon as a while has passed since the last question. */
function ask() {
  label();
  clearTimeout(timer);
  timer = setTimeout(load, Math.max(0, last + EVERY - performance.now()));
}

/** Whether the browser itself sees what is wrong, which is then said and not asked. */
function invalid() {
  const control = form.querySelector("input:invalid, select:invalid");
  if (!control) return false;
  const name = control.name || control.id;
  refuse({ detail: `${name.replaceAll("_", " ")}: ${control.validationMessage}`, errors: [{ field: name }] });
  return true;
}

async function load() {
  last = performance.now();
  request?.abort();
  if (invalid()) return;
  const mine = (request = new AbortController());
  const question = { rate: rateNow(), steps: stepsNow(), update_rule: rule.value, picture: "false" };
  if (!momentum.disabled && momentum.value) question.momentum = momentum.value;
  try {
    const [response, Plotly] = await Promise.all([
      fetch(address(question), { signal: mine.signal, headers: { Accept: "application/json" } }),
      plotly(),
    ]);
    const answer = await response.json();
    if (mine.signal.aborted) return;
    if (response.ok) await take(answer, Plotly);
    else refuse(answer);
  } catch (error) {
    if (!mine.signal.aborted) refuse({ detail: `The service did not answer: ${error.message}.`, errors: [] });
  }
}

async function take(answer, Plotly) {
  refuse(null);
  if (answer.limit !== limit) {
    const now = rateNow();
    limit = answer.limit;
    span = limit === null ? UNLIMITED : [limit / BELOW_LIMIT, limit * ABOVE_LIMIT];
    const wanted = chosen || limit === null ? now : limit * FIRST;
    rate.value = String(Math.round(Number(rate.max) * Math.min(Math.max(placed(wanted, span), 0), 1)));
    seen = null;
    if (rateNow() !== now) {
      ask();
      return;
    }
  }
  label();
  shown = answer;
  const [panel] = answer.panels;
  const glyph = document.createElement("span");
  glyph.setAttribute("aria-hidden", "true");
  glyph.textContent = panel.glyph;
  said.verdict.className = `verdict ${panel.name}`;
  said.verdict.replaceChildren(glyph, ` ${panel.words}`);
  said.advice.textContent = panel.advice;
  plot.setAttribute("aria-label", answer.summary);
  await draw(Plotly);
}

/** The curve, on an axis that only ever widens: so that a rate is seen to be better than another. */
async function draw(Plotly) {
  const [{ curve, color }] = shown.panels;
  const { xaxis, yaxis, ...layout } = shown.curve;
  seen = seen ? [Math.min(seen[0], yaxis.range[0]), Math.max(seen[1], yaxis.range[1])] : yaxis.range;
  const ticks = shown.logarithmic
    ? { type: "log", tickvals: undefined, ticktext: undefined, exponentformat: "power", dtick: seen[1] - seen[0] > 2 ? Math.ceil((seen[1] - seen[0]) / 6) : undefined }
    : {};
  const drawn = themed({
    data: [
      {
        type: "scatter",
        mode: curve.x.length < 60 ? "lines+markers" : "lines",
        x: curve.x,
        y: shown.logarithmic ? curve.y.map((height) => (height === null ? null : 10 ** height)) : curve.y,
        text: curve.text,
        line: { color, width: 2 },
        marker: { color, size: 4 },
        hovertemplate: "step %{x}<br>loss %{text}<extra></extra>",
      },
    ],
    layout: {
      ...layout,
      shapes: (layout.shapes ?? []).map((shape) => (shown.logarithmic ? { ...shape, y0: 10 ** shape.y0, y1: 10 ** shape.y1 } : shape)),
      margin: { l: 8, r: 12, t: 8, b: 8 },
      xaxis,
      yaxis: { ...yaxis, ...ticks, range: seen },
      uirevision: undefined,
    },
  });
  await Plotly.react(plot, drawn.data, drawn.layout, { ...CONFIG, displayModeBar: false });
}

/** Say what is wrong, at its field where there is one; null: nothing is. */
function refuse(problem) {
  for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
  said.refusal.hidden = !problem;
  if (!problem) return;
  said.refusal.textContent = problem.detail;
  for (const { field } of problem.errors ?? []) {
    const name = field.replace(/^settings\./, "");
    const control = form.elements.namedItem(name) ?? form.querySelector(`#${CSS.escape(name)}`);
    control?.setAttribute("aria-invalid", "true");
  }
}

/** Whether the rule has momentum, and how much where nobody says. */
function ruled() {
  const usual = rule.selectedOptions[0].dataset.momentum;
  momentum.closest("label").hidden = usual === undefined;
  momentum.disabled = usual === undefined;
}

rate.addEventListener("input", () => {
  chosen = true;
  ask();
});
steps.addEventListener("input", ask);
momentum.addEventListener("input", ask);
rule.addEventListener("change", () => {
  ruled();
  ask();
});
form.querySelector("[data-settings]").addEventListener("change", () => {
  seen = null;
  ask();
  if (form.querySelector(":invalid")) return;
  const url = address({});
  picture.setAttribute("src", url.pathname + url.search);
});
form.addEventListener("submit", (event) => event.preventDefault());
onTheme(async () => shown && draw(await plotly()));

ruled();
label();
// What is not looked at costs nothing.
const watch = new IntersectionObserver((entries) => {
  if (!entries.at(-1).isIntersecting) return;
  watch.disconnect();
  ask();
}, { rootMargin: "200px" });
watch.observe(form);
