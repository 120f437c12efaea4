// The picture that explains what a learning rate does: descents on the landscape of their loss, side by side, step by step.
//
//   <tuner-descent src="/objectives/line_fit/descents" label="Four descents of line_fit"></tuner-descent>
//
// The server says what is drawn and when (api/dashboard/figures/landscape.py); here it is played. Space plays and pauses,
// the arrows go a step forward and back.

import { number } from "./format.js";
import { CONFIG, onTheme, plotly, themed } from "./plot.js";

const PLAYED_IN = 8000;
const FASTEST = 60;
const AGAIN = 5000;
const SPEEDS = [["0.25", "¼ ×"], ["0.5", "½ ×"], ["1", "1 ×"], ["3", "3 ×"]];

const still = matchMedia("(prefers-reduced-motion: reduce)");

function made(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function button(label, text) {
  const element = made("button", "button quiet", text);
  element.type = "button";
  if (label) element.setAttribute("aria-label", label);
  return element;
}

/** Whether this browser draws in three dimensions. */
function hasWebGL() {
  const context = document.createElement("canvas").getContext("webgl");
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return context !== null;
}

/** Room around a picture for its axes, so that what lies over it knows where it is. */
const MARGIN = { l: 62, r: 18, t: 8, b: 46 };

/**
 * What moves over a picture, in the picture's own coordinates: a line so far, a mark where it is, an arrow where it has
 * left. Moving it is no work for Plotly, which would draw the whole picture anew for each step.
 */
class Overlay {
  #line;
  #dots;
  #mark;
  #arrow;
  #ranges;

  constructor({ name, glyph }, ranges, className) {
    this.#ranges = ranges;
    this.element = made("div", `descent-overlay ${className}`);
    this.element.setAttribute("aria-hidden", "true");
    for (const [side, room] of [["left", MARGIN.l], ["right", MARGIN.r], ["top", MARGIN.t], ["bottom", MARGIN.b]]) {
      this.element.style[side] = `${room}px`;
    }
    const svg = (tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);
    const drawing = svg("svg");
    drawing.setAttribute("viewBox", "0 0 1 1");
    drawing.setAttribute("preserveAspectRatio", "none");
    this.#line = svg("path");
    this.#line.setAttribute("class", name);
    this.#dots = svg("path");
    this.#dots.setAttribute("class", "dots");
    drawing.append(this.#line, this.#dots);
    this.#arrow = made("span", `descent-arrow ${name}`, "▲");
    this.#mark = made("span", `descent-mark ${name}`, glyph);
    this.element.append(drawing, this.#arrow, this.#mark);
  }

  /** Draw the line through these points (a gap where one is null), the mark, and the arrow with its angle. */
  show(points, mark, arrow = null, angle = 0) {
    let line = "";
    let dots = "";
    let pen = "M";
    for (const point of points) {
      if (point === null) {
        pen = "M";
        continue;
      }
      const [x, y] = this.#place(point);
      const at = `${x.toFixed(4)} ${y.toFixed(4)}`;
      line += pen + at;
      dots += `M${at}h0`;
      pen = "L";
    }
    this.#line.setAttribute("d", line);
    this.#dots.setAttribute("d", dots);
    this.#put(this.#mark, mark);
    this.#put(this.#arrow, arrow);
    this.#arrow.style.rotate = `${angle}deg`;
  }

  /** Shares of the picture's width and height, from its top left. Far outside is outside: SVG has no room for 1e300. */
  #place(point) {
    const [x, y] = this.#ranges.map(([low, high], axis) => (point[axis] - low) / (high - low));
    return [x, Math.min(Math.max(1 - y, -9), 9)];
  }

  #put(element, point) {
    const [x, y] = point ? this.#place(point) : [-1, -1];
    element.hidden = !(x >= -0.001 && x <= 1.001 && y >= -0.001 && y <= 1.001);
    element.style.left = `${100 * x}%`;
    element.style.top = `${100 * y}%`;
  }
}

/** A picture that keeps its place under what lies over it. */
function held(layout) {
  const still = { automargin: false, fixedrange: true };
  return {
    ...layout,
    margin: MARGIN,
    dragmode: false,
    xaxis: { ...layout.xaxis, ...still },
    yaxis: { ...layout.yaxis, ...still },
  };
}

/** The surface seen from so far that its axes' names fit: the eye's angle is one of the height, whatever the width. */
function afar(layout, { clientWidth, clientHeight }) {
  const { camera } = layout.scene;
  const times = Math.max(1, (1.1 * clientHeight) / clientWidth);
  const eye = Object.fromEntries(Object.entries(camera.eye).map(([axis, value]) => [axis, times * value]));
  return { ...layout, scene: { ...layout.scene, camera: { ...camera, eye } } };
}

/** One descent: its heading, the landscape with its path, and its loss curve. */
class Panel {
  #panel;
  #shown;
  #solid = false;
  #over = null;
  #along;

  constructor(panel, shown) {
    this.#panel = panel;
    this.#shown = shown;
    this.element = made("section", "descent");
    const title = made(panel.href ? "a" : "span", "descent-title", panel.title[0].toUpperCase() + panel.title.slice(1));
    if (panel.href) title.href = panel.href;
    const verdict = made("span", `verdict ${panel.name}`);
    const glyph = made("span", "", panel.glyph);
    glyph.setAttribute("aria-hidden", "true");
    verdict.append(glyph, ` ${panel.words}`);
    const head = made("h3");
    head.append(title);
    this.now = made("p", "descent-now");
    this.element.append(head, verdict, made("p", "descent-note", [panel.note, panel.said].filter(Boolean).join(". ")));
    this.ground = this.#plot("descent-ground", "The way down");
    this.curve = this.#plot("descent-curve", "The loss");
    if (shown.ground) {
      const { xaxis, yaxis } = shown.ground.layout;
      this.#over = new Overlay(panel, [xaxis.range, yaxis.range], "way");
      this.ground.parentElement.append(this.#over.element);
    } else {
      this.ground.parentElement.remove();
    }
    const { xaxis, yaxis } = shown.curve;
    this.#along = new Overlay(panel, [xaxis.range, yaxis.range], "along");
    this.curve.parentElement.append(this.#along.element);
    this.element.append(this.now);
  }

  /** A place for a picture, in a frame in which something may lie over it. */
  #plot(className, what) {
    const { title, words, left } = this.#panel;
    const plot = made("div", className);
    plot.setAttribute("role", "img");
    plot.setAttribute("aria-label", `${what} at ${title}: ${words}${left ? `, ${left.words}` : ""}`);
    const frame = made("div", "descent-frame");
    frame.append(plot);
    this.element.append(frame);
    return plot;
  }

  /** Everything anew: at first, in another view, in other colours. */
  async draw(Plotly, frame, solid) {
    const { ground, surface, curve } = this.#shown;
    this.#solid = solid;
    const config = { ...CONFIG, displayModeBar: false };
    const line = { type: "scatter", mode: "lines", line: { color: "var(--rule)", width: 2 } };
    const hover = { hovertemplate: "step %{x}<br>loss %{text}<extra></extra>" };
    const below = themed({ data: [{ ...line, ...hover, ...this.#panel.curve }], layout: held(curve) });
    const jobs = [Plotly.react(this.curve, below.data, below.layout, config)];
    if (ground) {
      const drawn = themed(
        solid
          ? { data: [...surface.data, ...this.#traces(frame)], layout: afar(surface.layout, this.ground) }
          : { data: ground.data, layout: held(ground.layout) },
      );
      jobs.push(Plotly.react(this.ground, drawn.data, drawn.layout, config));
      this.#over.element.hidden = solid;
    }
    await Promise.all(jobs);
    this.#move(frame);
  }

  /** The same pictures at another frame: only what moves is drawn. */
  async show(Plotly, frame) {
    this.#move(frame);
    if (!this.#solid) return;
    const moved = this.#traces(frame);
    const first = this.#shown.surface.data.length;
    const columns = Object.fromEntries(["x", "y", "z"].map((axis) => [axis, moved.map((trace) => trace[axis])]));
    await Plotly.restyle(this.ground, columns, moved.map((_, place) => first + place));
  }

  purge(Plotly) {
    Plotly.purge(this.ground);
    Plotly.purge(this.curve);
  }

  #move(frame) {
    const { path, upto, mark, left, curve, at } = this.#panel;
    const gone = left && frame >= left.frame;
    if (!this.#solid) {
      const points = path.x.slice(0, upto[frame]).map((x, place) => (x === null ? null : [x, path.y[place]]));
      this.#over?.show(points, mark[frame], gone ? left.point : null, left?.angle);
    }
    const here = at[frame];
    const heights = curve.x.slice(0, here + 1).map((step, place) => [step, curve.y[place]]);
    this.#along.show(heights, heights.at(-1));
    const loss = here < 0 ? "" : `Loss ${curve.text[here]}`;
    this.now.textContent = gone ? `${loss}: ${left.words}` : loss;
  }

  /** In three dimensions: the path so far, and the mark where the descent is or where it has left. */
  #traces(frame) {
    const { path, upto, mark, left, color } = this.#panel;
    const axes = ["x", "y", "z"];
    const here = left && frame >= left.frame ? left.point : mark[frame];
    const points = here ? [here] : [];
    // A little above the ground, which would hide it.
    const heights = this.#shown.surface.data[0].z.flat().filter((value) => value !== null);
    const lift = 0.03 * (Math.max(...heights) - Math.min(...heights));
    const lifted = (columns) => ({ ...columns, z: columns.z.map((value) => (value === null ? null : value + lift)) });
    return [
      {
        type: "scatter3d",
        mode: "lines+markers",
        ...lifted(Object.fromEntries(axes.map((axis) => [axis, path[axis].slice(0, upto[frame])]))),
        line: { color: "var(--ink)", width: 4 },
        marker: { color: "var(--ink)", size: 2 },
        connectgaps: false,
        hoverinfo: "skip",
      },
      {
        type: "scatter3d",
        mode: "markers",
        ...lifted(Object.fromEntries(axes.map((axis, place) => [axis, points.map((point) => point[place])]))),
        marker: { symbol: "circle", size: 7, color, line: { width: 1, color: "var(--panel)" } },
        hoverinfo: "skip",
      },
    ];
  }
}

class TunerDescent extends HTMLElement {
  static observedAttributes = ["src"];

  #Plotly = null;
  #shown = null;
  #panels = [];
  #frame = 0;
  #playing = false;
  #pending = null;
  #solid = false;
  #inView = false;
  #stale = true;
  #over = false;
  #asked = -Infinity;
  #request = null;
  #gone = null;
  #parts = null;

  connectedCallback() {
    if (!this.#parts) this.#build();
    this.#gone = new AbortController();
    const seen = new IntersectionObserver((entries) => {
      this.#inView = entries.at(-1).isIntersecting;
      if (this.#inView && this.#stale) this.#load();
      if (!this.#inView) this.pause();
    }, { rootMargin: "100px" });
    seen.observe(this);
    this.#gone.signal.addEventListener("abort", () => seen.disconnect());
    onTheme(() => this.#redraw(), this.#gone.signal);
    document.addEventListener("tuner:change", (event) => this.#changed(event.detail), { signal: this.#gone.signal });
  }

  disconnectedCallback() {
    this.pause();
    this.#gone.abort();
    this.#request?.abort();
    this.#clear();
    this.#stale = true;
  }

  attributeChangedCallback() {
    this.#stale = true;
    if (this.#inView) this.#load();
  }

  /** Something of the study has changed: which trials are shown is looked at again while there are none, and at its end. */
  #changed(study) {
    const over = study?.state !== undefined && study.state !== "active";
    const due = over ? !this.#over : !this.#shown && performance.now() > this.#asked + AGAIN;
    if (!due) return;
    this.#over = over;
    this.#stale = true;
    if (this.#inView) this.#load();
  }

  play() {
    if (this.#playing || !this.#shown) return;
    if (this.#frame >= this.#last) this.#frame = 0;
    this.#playing = true;
    this.#parts.play.textContent = "Pause";
    this.#run();
  }

  pause() {
    this.#playing = false;
    if (this.#parts) this.#parts.play.textContent = "Play";
  }

  /** Go to a frame. */
  async seek(frame) {
    if (!this.#shown) return;
    this.#frame = Math.min(Math.max(frame, 0), this.#last);
    this.#label();
    // Who drags fast asks for more frames than can be drawn: those between are left out.
    if (this.#pending) return this.#pending;
    this.#pending = (async () => {
      let drawn = -1;
      while (drawn !== this.#frame) {
        drawn = this.#frame;
        await Promise.all(this.#panels.map((panel) => panel.show(this.#Plotly, drawn)));
      }
    })().finally(() => { this.#pending = null; });
    return this.#pending;
  }

  get #last() {
    return this.#shown.frames.length - 1;
  }

  async #run() {
    while (this.#playing && this.#frame < this.#last) {
      const begin = performance.now();
      await this.seek(this.#frame + 1);
      const pause = Math.max(PLAYED_IN / this.#shown.frames.length, 1000 / FASTEST) / Number(this.#parts.speed.value);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, begin + pause - performance.now())));
    }
    if (this.#frame >= this.#last) this.pause();
  }

  #build() {
    const bar = made("div", "descent-bar");
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", "Player");
    const play = button("", "Play");
    const back = button("A step back", "‹");
    const forward = button("A step forward", "›");
    const slider = made("input");
    slider.type = "range";
    slider.min = "0";
    slider.setAttribute("aria-label", "Step");
    const step = made("output", "descent-step");
    const speed = made("select");
    speed.setAttribute("aria-label", "Speed");
    for (const [value, text] of SPEEDS) speed.append(new Option(text, value, value === "1", value === "1"));
    const view = button("Show in 3-D", "3-D");
    view.hidden = true;
    bar.append(play, back, forward, speed, view, slider, step);

    const stage = made("div", "descent-stage");
    stage.tabIndex = 0;
    stage.setAttribute("role", "group");
    stage.setAttribute("aria-label", this.getAttribute("label") ?? "Descents on the landscape of the loss");
    const scale = made("p", "descent-scale");
    const note = made("p", "chart-summary");
    const summary = made("p", "chart-summary");
    const details = made("details", "chart-table");
    details.append(made("summary", "", "As a table"), made("div", "scroll"));
    const status = made("p", "descent-status", "Loading …");
    status.setAttribute("role", "status");
    this.append(bar, status, stage, scale, summary, note, details);
    this.#parts = { bar, play, back, forward, slider, step, speed, view, stage, scale, note, summary, details, status };
    this.#hold(true);

    play.addEventListener("click", () => (this.#playing ? this.pause() : this.play()));
    back.addEventListener("click", () => this.#step(-1));
    forward.addEventListener("click", () => this.#step(1));
    slider.addEventListener("input", () => {
      this.pause();
      this.seek(Number(slider.value));
    });
    view.addEventListener("click", () => this.#turn());
    this.addEventListener("keydown", (event) => this.#key(event));
  }

  #key(event) {
    // A control that has the focus keeps its own keys.
    if (event.target !== this.#parts.stage && !(event.target === this.#parts.slider && event.key === " ")) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " ") this.#playing ? this.pause() : this.play();
    else if (event.key === "ArrowRight") this.#step(1);
    else if (event.key === "ArrowLeft") this.#step(-1);
    else return;
    event.preventDefault();
  }

  #step(by) {
    this.pause();
    this.seek(this.#frame + by);
  }

  /** Say which of the two is shown, and which the button leads to. */
  #seen(solid) {
    const { view } = this.#parts;
    this.#solid = solid;
    view.textContent = solid ? "2-D" : "3-D";
    view.setAttribute("aria-label", solid ? "Show in 2-D, as a contour" : "Show in 3-D");
  }

  /** Between the contour and the surface. */
  async #turn() {
    if (!this.#solid && !hasWebGL()) {
      this.#parts.view.hidden = true;
      this.#parts.note.textContent =
        `${this.#parts.note.textContent} A view in 3-D takes WebGL, which this browser does not offer: the contour shows the same.`.trim();
      return;
    }
    this.pause();
    this.#seen(!this.#solid);
    for (const panel of this.#panels) this.#Plotly.purge(panel.ground);
    await this.#redraw();
  }

  #hold(held) {
    for (const name of ["play", "back", "forward", "slider", "speed", "view"]) this.#parts[name].disabled = held;
  }

  async #load() {
    this.#stale = false;
    this.#asked = performance.now();
    this.#request?.abort();
    const request = (this.#request = new AbortController());
    this.pause();
    this.setAttribute("aria-busy", "true");
    this.#say(this.#shown ? "" : "Loading …");
    try {
      const [response, Plotly] = await Promise.all([
        fetch(this.getAttribute("src"), { signal: request.signal, headers: { Accept: "application/json" } }),
        plotly(),
      ]);
      const answer = await response.json();
      if (request.signal.aborted) return;
      if (!response.ok || answer.empty !== undefined) {
        this.#clear();
        this.#say(answer.empty ?? answer.detail);
        return;
      }
      this.#Plotly = Plotly;
      await this.#take(answer);
    } catch (error) {
      if (request.signal.aborted) return;
      this.#stale = true;
      this.#clear();
      const again = button("", "Try again");
      again.addEventListener("click", () => this.#load());
      this.#say(`The descents could not be loaded: ${error.message}.`, again);
    } finally {
      if (request === this.#request) this.removeAttribute("aria-busy");
    }
  }

  #say(text, action) {
    const { status } = this.#parts;
    status.textContent = text;
    status.hidden = !text;
    if (action) status.append(" ", action);
  }

  #clear() {
    for (const panel of this.#panels) panel.purge(this.#Plotly);
    this.#panels = [];
    this.#shown = null;
    this.#parts.stage.replaceChildren();
    this.#parts.scale.replaceChildren();
    for (const name of ["note", "summary"]) this.#parts[name].textContent = "";
    this.#parts.details.hidden = true;
    this.#hold(true);
  }

  async #take(shown) {
    this.#clear();
    this.#shown = shown;
    this.#panels = shown.panels.map((panel) => new Panel(panel, shown));
    const { stage, slider, view, note, summary, details } = this.#parts;
    stage.dataset.panels = String(Math.min(this.#panels.length, 4));
    stage.replaceChildren(...this.#panels.map((panel) => panel.element));
    slider.max = String(this.#last);
    view.hidden = !shown.surface;
    if (!shown.surface && this.#solid) this.#seen(false);
    note.textContent = shown.note;
    summary.textContent = shown.summary;
    this.#legend(shown);
    details.hidden = false;
    details.querySelector(".scroll").replaceChildren(table(shown.table));
    this.#hold(false);
    // Who wants nothing to move sees the whole way at once.
    this.#frame = still.matches ? this.#last : 0;
    this.#say("");
    await this.#redraw();
    if (!still.matches && !this.hasAttribute("still") && this.#inView) this.play();
  }

  /** What colours and signs mean. */
  #legend(shown) {
    const { scale } = this.#parts;
    scale.replaceChildren();
    if (!shown.ground) return;
    if (shown.scale.length && shown.surface) {
      const bar = made("span", "descent-colors");
      bar.setAttribute("aria-hidden", "true");
      const entry = made("span");
      entry.append("Loss ", shown.scale[0], " ", bar, " ", shown.scale[1]);
      scale.append(entry);
    }
    if (shown.ground.data.length > 1) {
      const sign = made("span", "", "✕ ");
      sign.setAttribute("aria-hidden", "true");
      const entry = made("span");
      entry.append(sign, "the minimum");
      scale.append(entry);
    }
  }

  async #redraw() {
    if (!this.#shown) return;
    this.#label();
    await Promise.all(this.#panels.map((panel) => panel.draw(this.#Plotly, this.#frame, this.#solid)));
  }

  #label() {
    const { slider, step } = this.#parts;
    const text = `Step ${number(this.#shown.frames[this.#frame])} of ${number(this.#shown.frames[this.#last])}`;
    slider.value = String(this.#frame);
    slider.setAttribute("aria-valuetext", text);
    step.textContent = text;
  }
}

function table({ columns, rows }) {
  const element = made("table");
  const head = made("tr");
  for (const column of columns) {
    const cell = made("th", "", column);
    cell.scope = "col";
    head.append(cell);
  }
  const body = made("tbody");
  for (const row of rows) {
    const line = made("tr");
    for (const value of row) line.append(made("td", "", value));
    body.append(line);
  }
  const top = made("thead");
  top.append(head);
  element.append(top, body);
  return element;
}

customElements.define("tuner-descent", TunerDescent);
