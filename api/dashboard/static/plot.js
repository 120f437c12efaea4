// What every Plotly picture of a page shares: Plotly loaded once, the style sheet's colours, one look.
//
// Figures name colours as custom properties, "var(--accent)". Plotly knows none, so they are resolved here, and pictures
// are drawn anew when the system turns from light to dark.

let loading = null;

/** Plotly: that of the page's own script, where it has one, or else loaded when a picture first asks for it. */
export function plotly() {
  loading ??= loaded().catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

async function loaded() {
  const address = document.querySelector('meta[name="plotly"]').content;
  const own = document.querySelector(`script[src="${CSS.escape(address)}"]`);
  if (!globalThis.Plotly) await (own && document.readyState !== "complete" ? arrived(own) : added(address));
  return globalThis.Plotly;
}

/** A page is loaded when its scripts have come, or have failed, which those tell nobody who asks later. */
function arrived(script) {
  return new Promise((resolve, reject) => {
    script.addEventListener("load", resolve);
    addEventListener("load", () => (globalThis.Plotly ? resolve() : reject(missing())));
  });
}

function added(address) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.addEventListener("load", resolve);
    script.addEventListener("error", () => {
      script.remove();
      reject(missing());
    });
    document.head.append(script);
  });
}

const missing = () => new Error("the drawing library could not be loaded");

/** What the pictures' tool bar offers, and what it does not. */
export const CONFIG = {
  displaylogo: false,
  responsive: true,
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "toggleSpikelines", "hoverClosestCartesian", "hoverCompareCartesian"],
};

/** A figure as Plotly takes it: its colours resolved, and what is the same in every picture put under its own layout. */
export function themed({ data, layout = {} }) {
  const color = resolver();
  const look = merged(common(), layout);
  for (const name of Object.keys(layout)) {
    if (/^[xy]axis\d*$/.test(name)) look[name] = merged(AXIS, layout[name]);
    if (/^scene\d*$/.test(name)) {
      look[name] = merged({}, layout[name]);
      for (const axis of ["xaxis", "yaxis", "zaxis"]) look[name][axis] = merged(SCENE_AXIS, layout[name][axis] ?? {});
    }
  }
  const width = globalThis.innerWidth;
  if (width < 640) look.margin = merged({ l: 56, r: 12, t: 16, b: 48 }, layout.margin ?? {});
  return { data: resolved(data, color), layout: resolved(look, color) };
}

/** Call back whenever the system turns from light to dark or back, until the signal ends it. */
export function onTheme(callback, signal) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => callback(), { signal });
}

const AXIS = {
  gridcolor: "var(--rule)",
  zerolinecolor: "var(--rule)",
  linecolor: "var(--faint)",
  tickcolor: "var(--faint)",
  automargin: true,
  title: { standoff: 10 },
};

const SCENE_AXIS = {
  gridcolor: "var(--rule)",
  zerolinecolor: "var(--rule)",
  linecolor: "var(--faint)",
  backgroundcolor: "var(--panel)",
  showspikes: false,
};

function common() {
  return {
    autosize: true,
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: "var(--ink)" },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 64, r: 16, t: 20, b: 52 },
    xaxis: AXIS,
    yaxis: AXIS,
    hovermode: "closest",
    hoverlabel: { bgcolor: "var(--panel)", bordercolor: "var(--rule)", font: { color: "var(--ink)" }, align: "left" },
    legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", font: { size: 12 } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: "var(--faint)", activecolor: "var(--accent)" },
    // One and the same revision: a reader's zoom survives what is drawn anew.
    uirevision: "kept",
  };
}

/** Two plain objects as one, the second's entries over the first's, to any depth. */
function merged(under, over) {
  const both = { ...under };
  for (const [name, value] of Object.entries(over)) {
    both[name] = plain(value) && plain(both[name]) ? merged(both[name], value) : value;
  }
  return both;
}

const plain = (value) => value !== null && typeof value === "object" && Object.getPrototypeOf(value) === Object.prototype;

/** The same value with every "var(--…)" in it, at any depth, as the colour that it now is. */
function resolved(value, color) {
  if (typeof value === "string") return value.startsWith("var(") ? color(value) : value;
  if (Array.isArray(value)) {
    // Columns of numbers are the most of a figure, and hold no colours; a stop of a colour scale is [share, colour].
    const numbers = typeof value[0] === "number" && typeof value.at(-1) !== "string";
    return numbers ? value : value.map((one) => resolved(one, color));
  }
  if (!plain(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, resolved(one, color)]));
}

/** Resolves custom properties by having the browser use them: their own text may be a light-dark() of two colours. */
function resolver() {
  const probe = document.createElement("span");
  probe.hidden = true;
  const known = new Map();
  return (name) => {
    if (!known.has(name)) {
      document.body.append(probe);
      probe.style.color = name;
      known.set(name, getComputedStyle(probe).color);
      probe.remove();
    }
    return known.get(name);
  };
}
