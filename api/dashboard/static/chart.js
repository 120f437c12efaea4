// A chart: <tuner-chart src="/studies/x/charts/rate-loss" label="Loss by learning rate"><form>…</form></tuner-chart>
//
// The server says what is drawn (api/dashboard/charts.py); here it is drawn, in the colours of the page, with its sentence
// and its table. A chart is loaded, and Plotly with the first, when it comes into view, or at once where it is `eager`.
// While the page is live a chart takes what has changed, and a chart that cannot is fetched anew now and then.

import { number } from "./format.js";
import { plotly } from "./plot.js";

const EVERY = 15_000;
const MOMENT = 100;
const MOST_POINTS = 10_000;
const POINTWISE = ["x", "y", "customdata", "text"];

/** Custom properties of the style sheet as the colours that they are at present. */
class Palette {
  #found = new Map();
  #probe;

  constructor(element) {
    this.#probe = document.createElement("span");
    this.#probe.hidden = true;
    element.append(this.#probe);
  }

  of(property) {
    if (!this.#found.has(property)) {
      this.#probe.style.color = property;
      this.#found.set(property, getComputedStyle(this.#probe).color);
    }
    return this.#found.get(property);
  }

  /** A copy of what Plotly is to draw, with every `var(--…)` in it resolved. */
  resolved(value) {
    if (typeof value === "string") return value.startsWith("var(--") ? this.of(value) : value;
    if (Array.isArray(value)) {
      const numbers = typeof value[0] === "number" && typeof value.at(-1) !== "string";
      return numbers ? value : value.map((each) => this.resolved(each));
    }
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, this.resolved(each)]));
  }

  gone() {
    this.#probe.remove();
  }
}

const AXIS = {
  automargin: true,
  gridcolor: "var(--rule)",
  linecolor: "var(--rule)",
  zerolinecolor: "var(--rule)",
  exponentformat: "power",
  minexponent: 7,
  separatethousands: true,
  ticks: "outside",
  ticklen: 4,
  tickcolor: "var(--rule)",
};

// So few that there is one a power of ten, or a few in it, each written as a number.
const LOG = { nticks: 5, tickformat: "~g", minor: { showgrid: false } };

/**
 * Room for an axis with its title, as most need it: Plotly draws a chart a second time, points and all, where its labels
 * turn out to need more. What stands above a chart is measured before its points are drawn, and has its room then. On the
 * right, half the last tick's label.
 */
const margin = (narrow) => (narrow ? { l: 70, r: 22, t: 8, b: 50 } : { l: 76, r: 22, t: 8, b: 52 });

/** What charts have in common: fonts, margins, backgrounds, grids. What is the chart's own comes over it. */
function themed(own, narrow) {
  const layout = {
    font: { family: "system-ui, sans-serif", size: narrow ? 12 : 13, color: "var(--ink)" },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    colorway: ["var(--accent)", "var(--second)", "var(--third)", "var(--fourth)"],
    margin: margin(narrow),
    separators: ".\u202f",
    hovermode: "closest",
    hoverlabel: {
      bgcolor: "var(--panel)",
      bordercolor: "var(--rule)",
      font: { color: "var(--ink)", family: "system-ui, sans-serif", size: 13 },
      align: "left",
    },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 }, itemsizing: "constant" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: "var(--faint)", activecolor: "var(--accent)", orientation: "v" },
    ...own,
    // A finger that moves over a chart moves the page.
    dragmode: own.dragmode ?? (matchMedia("(pointer: coarse)").matches ? false : "zoom"),
  };
  for (const name of ["xaxis", "yaxis", "yaxis2"]) {
    if (own[name] || name !== "yaxis2") {
      const axis = own[name] ?? {};
      layout[name] = { ...AXIS, ...(axis.type === "log" ? LOG : {}), ...axis, title: { standoff: 8, ...axis.title } };
    }
  }
  if (layout.coloraxis) layout.coloraxis = { ...layout.coloraxis, colorbar: bar(layout.coloraxis.colorbar, narrow) };
  return layout;
}

/** Decades of a log axis within which ticks at 1, 2, 5, 10, … would be too few. */
const CLOSE = 0.7;

/** The axis, without ticks of its own where a reader has zoomed in so far that hardly any of them is in sight. */
function ticked(axis, shown) {
  const { dtick, ...rest } = axis;
  return dtick && shown && Math.abs(shown[1] - shown[0]) < CLOSE ? rest : axis;
}

/** A colour bar: narrow, without a frame; on a narrow page below the plot. */
function bar(own = {}, narrow = false) {
  const common = { thickness: 12, outlinewidth: 0, ticks: "", ...own };
  return narrow
    ? { ...common, orientation: "h", y: -0.25, yanchor: "top", title: { ...own.title, side: "top" } }
    : common;
}

const CONFIG = {
  displaylogo: false,
  responsive: true,
  modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
};

/** What the service answers. */
async function fetched(address, signal) {
  const response = await fetch(address, { signal });
  if (!response.ok) throw new Error(`the service answers ${response.status} ${response.statusText}`.trim());
  return response.json();
}

/** Take the points of these trials out of a trace. */
function without(trace, numbers) {
  const kept = trace.customdata.map((each) => !numbers.has(each[0]));
  if (kept.every(Boolean)) return trace;
  const of = (column) => (Array.isArray(column) ? column.filter((_, place) => kept[place]) : column);
  const less = { ...trace };
  for (const name of POINTWISE) less[name] = of(trace[name]);
  less.marker = Object.fromEntries(Object.entries(trace.marker).map(([name, value]) => [name, of(value)]));
  return less;
}

/** One trace's points after another's. */
function joined(trace, more) {
  const of = (one, other) => (Array.isArray(one) && Array.isArray(other) ? one.concat(other) : other);
  const both = { ...trace, ...more };
  for (const name of POINTWISE) if (more[name]) both[name] = of(trace[name], more[name]);
  both.marker = Object.fromEntries(
    Object.entries(more.marker).map(([name, value]) => [name, of(trace.marker[name], value)]),
  );
  return both;
}

/**
 * A figure with what has changed of it: points by their trial's number, other traces whole. Null where something is
 * missing, so that all of it has to be fetched.
 */
export function merged(figure, change) {
  const numbers = new Set();
  for (const trace of change.figure.data) {
    if (trace.meta?.merge) for (const each of trace.customdata) numbers.add(each[0]);
  }
  const known = new Map(figure.data.map((trace) => [trace.uid, trace.meta?.merge ? without(trace, numbers) : trace]));
  for (const trace of change.figure.data) {
    const before = known.get(trace.uid);
    known.set(trace.uid, before && trace.meta?.merge ? joined(before, trace) : trace);
  }
  const data = change.traces.map((uid) => known.get(uid));
  if (data.some((trace) => !trace)) return null;
  const points = data.reduce((sum, trace) => sum + (trace.meta?.merge ? trace.x.length : 0), 0);
  return points > MOST_POINTS ? null : { data, layout: change.figure.layout };
}

/** The chart at the top of the page is drawn first, where it is there as soon as the others, or a moment later. */
let top = Promise.resolve();

class TunerChart extends HTMLElement {
  #plot;
  #status;
  #summary;
  #details;
  #palette;
  #figure = null;
  #answer = null;
  #request = null;
  #inView = false;
  #stale = true;
  #fetchedAt = -Infinity;
  #timer = 0;
  #leaving = null;
  #listens = false;
  #zoomed = null;

  connectedCallback() {
    if (!this.#plot) this.#build();
    this.#leaving = new AbortController();
    const { signal } = this.#leaving;
    this.#palette = new Palette(this);
    const seen = new IntersectionObserver((entries) => {
      this.#inView = entries.at(-1).isIntersecting;
      if (this.#inView && this.#stale) this.#load();
    }, { rootMargin: "200px" });
    seen.observe(this);
    signal.addEventListener("abort", () => seen.disconnect());
    if (this.hasAttribute("eager")) top = this.#load();
    this.querySelector("form")?.addEventListener("change", () => this.#anew(), { signal });
    this.querySelector("form")?.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#anew();
    }, { signal });
    document.addEventListener("tuner:change", (event) => this.#changed(event.detail), { signal });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#recolor(), { signal });
  }

  disconnectedCallback() {
    this.#leaving.abort();
    this.#request?.abort();
    clearTimeout(this.#timer);
    this.#palette.gone();
    this.#clear();
    this.#stale = true;
  }

  #clear() {
    if (this.#figure) window.Plotly.purge(this.#plot);
    this.#figure = null;
    this.#listens = false;
    this.#zoomed = null;
  }

  #build() {
    const made = (name, className) => {
      const element = document.createElement(name);
      element.className = className;
      return element;
    };
    this.#plot = made("div", "plot");
    // Not an image: the buttons above a plot are to be reached. The drawing itself is said by the sentence below it.
    this.#plot.setAttribute("role", "group");
    this.#plot.setAttribute("aria-label", this.getAttribute("label"));
    this.#status = made("p", "chart-status");
    this.#status.setAttribute("role", "status");
    const frame = made("div", "chart-frame");
    frame.append(this.#plot, this.#status);
    this.#summary = made("p", "chart-summary");
    this.#details = made("details", "chart-table");
    const opener = document.createElement("summary");
    opener.textContent = "As a table";
    this.#details.append(opener, made("div", "scroll"));
    this.#details.hidden = true;
    this.#details.addEventListener("toggle", () => this.#tabulate());
    this.append(frame, this.#summary, this.#details);
    this.#say("Loading …");
  }

  /** What a reader is told in the chart's place; nothing, where it is drawn. */
  #say(text, again = false) {
    this.#status.textContent = text;
    this.#status.hidden = !text;
    if (again) {
      const button = document.createElement("button");
      button.className = "button quiet";
      button.type = "button";
      button.textContent = "Try again";
      button.addEventListener("click", () => this.#anew());
      this.#status.append(" ", button);
    }
  }

  #anew() {
    this.#stale = true;
    this.#answer = null;
    this.#zoomed = null;
    this.#load();
  }

  /** Something of the study has changed. */
  #changed(study) {
    if (!this.#answer) return;
    if (study.sequence !== undefined && study.sequence <= this.#answer.sequence) return;
    const over = study.state !== undefined && study.state !== "active";
    if (this.#answer.deltas || over) {
      this.#stale = true;
      if (this.#inView) this.#load();
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#stale = true;
      if (this.#inView) this.#load();
    }, Math.max(0, this.#fetchedAt + EVERY - performance.now()));
  }

  #address(since) {
    const url = new URL(this.getAttribute("src"), location.href);
    const form = this.querySelector("form");
    if (form) {
      for (const [name, value] of new FormData(form)) if (value !== "") url.searchParams.set(name, value);
    }
    if (since !== undefined) url.searchParams.set("since", since);
    return url;
  }

  async #load() {
    clearTimeout(this.#timer);
    this.#request?.abort();
    const request = (this.#request = new AbortController());
    this.#stale = false;
    const before = this.#answer;
    const since = before?.deltas && this.#figure ? before.sequence : undefined;
    if (!before) this.setAttribute("aria-busy", "true");
    try {
      const [answer] = await Promise.all([fetched(this.#address(since), request.signal), plotly()]);
      if (!this.hasAttribute("eager")) await Promise.race([top, new Promise((resolve) => setTimeout(resolve, MOMENT))]);
      if (request.signal.aborted) return;
      this.#fetchedAt = performance.now();
      await this.#take(answer);
    } catch (error) {
      if (request.signal.aborted) return;
      this.#stale = true;
      // What is drawn already stays; the page says that the connection is lost.
      if (!before) this.#say(`This chart could not be loaded: ${error.message}.`, true);
    } finally {
      if (request === this.#request) this.removeAttribute("aria-busy");
    }
  }

  async #take(answer) {
    // What is empty takes no room.
    if (this.hasAttribute("data-empty") !== (answer.empty !== undefined)) {
      this.toggleAttribute("data-empty");
      window.dispatchEvent(new Event("resize"));
    }
    if (answer.empty !== undefined) {
      this.#answer = answer;
      this.#clear();
      this.#say(answer.empty);
      this.#summary.textContent = "";
      this.#details.hidden = true;
      return;
    }
    const figure = answer.traces && this.#figure ? merged(this.#figure, answer) : answer.figure;
    if (figure === null) {
      this.#anew();
      return;
    }
    this.#answer = answer;
    this.#figure = figure;
    this.#say("");
    await this.#draw();
    this.#summary.textContent = answer.summary;
    this.#details.hidden = !answer.table;
    this.#tabulate();
  }

  async #draw() {
    const narrow = this.#plot.clientWidth < 520;
    const layout = themed(this.#figure.layout, narrow);
    layout.xaxis = ticked(layout.xaxis, this.#zoomed);
    const drawn = this.#palette.resolved({
      data: this.#figure.data.map((trace) =>
        trace.colorbar ? { ...trace, colorbar: bar(trace.colorbar, narrow) } : trace,
      ),
      // Where a reader has zoomed to holds while what is shown is of the same options.
      layout: { ...layout, uirevision: this.#address().search },
    });
    await window.Plotly.react(this.#plot, drawn.data, drawn.layout, CONFIG);
    performance.mark("drawn", { detail: this.getAttribute("src") });
    for (const drawing of this.#plot.querySelectorAll(".main-svg")) drawing.setAttribute("aria-hidden", "true");
    if (!this.#listens) {
      this.#listens = true;
      this.#plot.on("plotly_click", (event) => this.#follow(event.points[0].customdata?.[0]));
      this.#plot.on("plotly_relayout", () => {
        const { autorange, range } = this.#plot.layout.xaxis;
        this.#zoomed = autorange ? null : range;
        if (this.#figure?.layout.xaxis?.dtick) this.#draw();
      });
    }
  }

  #recolor() {
    this.#palette.gone();
    this.#palette = new Palette(this);
    if (this.#figure) this.#draw();
  }

  #trial(trial) {
    return `${this.getAttribute("src").split("/charts/")[0]}/trials/${trial}`;
  }

  #follow(trial) {
    if (Number.isInteger(trial)) location.assign(this.#trial(trial));
  }

  /** The table, made when it is opened and kept up to date while it is. */
  #tabulate() {
    const { table } = this.#answer ?? {};
    if (!this.#details.open || !table) return;
    const cell = (name, value) => {
      const element = document.createElement(name);
      element.textContent = value;
      return element;
    };
    const head = document.createElement("tr");
    for (const column of table.columns) {
      const th = cell("th", column);
      th.scope = "col";
      head.append(th);
    }
    const rows = table.rows.map((values) => {
      const row = document.createElement("tr");
      values.forEach((value, place) => {
        const td = cell("td", "");
        if (table.columns[place] === "trial") {
          const link = cell("a", String(value));
          link.href = this.#trial(value);
          td.append(link);
        } else {
          td.textContent = number(value);
        }
        if (typeof value === "number") td.className = "figure";
        row.append(td);
      });
      return row;
    });
    table.columns.forEach((_, place) => {
      if (table.rows.some((values) => typeof values[place] === "number")) head.children[place].className = "figure";
    });
    const element = document.createElement("table");
    const body = document.createElement("tbody");
    const top = document.createElement("thead");
    top.append(head);
    body.append(...rows);
    element.append(top, body);
    this.#details.querySelector(".scroll").replaceChildren(element);
  }
}

customElements.define("tuner-chart", TunerChart);
