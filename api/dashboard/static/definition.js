// A study's definition from the fields of its form, and how it is sent: plain functions, which change nothing on the page.

/** What a control says, as JSON has it; undefined where it says nothing, or no more than the default. */
export function valueOf(control) {
  const { kind = "text", default: usual } = control.dataset;
  const value = kind === "switch" ? control.checked : read(kind, control);
  // To a script, 25.0 is 25.
  return value === undefined || (usual && JSON.stringify(value) === JSON.stringify(JSON.parse(usual))) ? undefined : value;
}

function read(kind, { tagName, value }) {
  const text = value.trim();
  if (!text) return undefined;
  switch (kind) {
    case "integer":
    case "number":
      return Number(text);
    case "choice":
    case "json":
      return JSON.parse(text);
    case "tags": {
      const tags = text.split(",").map((tag) => tag.trim()).filter(Boolean);
      return tags.length ? [...new Set(tags)] : undefined;
    }
    default:
      return tagName === "TEXTAREA" ? value : text;
  }
}

/**
 * The definition that a form describes. A control's name is the path of its value in it, so that what the server says of
 * a field is found again; those of `choices` stand for more than their value.
 */
export function definitionOf(form) {
  const { goal, metric, direction, target } = form.elements;
  const definition = {};
  for (const control of form.elements) {
    if (!control.name || control.disabled || control.matches(":disabled") || CHOICES.has(control.name)) continue;
    const value = valueOf(control);
    if (value !== undefined) put(definition, control.name, value);
  }
  const rule = form.elements["search_space.update_rule"];
  if (!rule.matches(":disabled") && rule.value !== USUAL_RULE) {
    definition.search_space.update_rule = { type: "categorical", choices: [rule.value] };
  }
  definition.goal = goalOf({
    kind: goal.value,
    metric: metric.value.trim(),
    direction: direction.value,
    target: Number(target.value),
  });
  definition.budget ??= {};
  return arranged(definition);
}

const CHOICES = new Set(["rate", "goal", "metric", "direction", "target", "search_space.update_rule"]);
const USUAL_RULE = "gradient_descent";

function put(definition, path, value) {
  // What further parameters there are is one object, beside those that have controls of their own.
  if (path === "search_space") {
    definition.search_space = { ...definition.search_space, ...value };
    return;
  }
  const names = path.split(".");
  const last = names.pop();
  let place = definition;
  for (const name of names) place = place[name] ??= {};
  place[last] = value;
}

/** The goal as the API has it (docs/goals.md). */
export function goalOf({ kind, metric, direction, target }) {
  if (kind === "until") return { minimize: "steps", until: { [metric]: direction === "maximize" ? { at_least: target } : target } };
  if (kind === "front") return direction === "maximize" ? { maximize: metric, minimize: "steps" } : { minimize: [metric, "steps"] };
  return { [kind]: metric };
}

const ORDER = ["name", "objective", "search_space", "goal", "sampler", "pruner", "stop_diverging", "budget", "notes", "tags"];

function arranged(definition) {
  return Object.fromEntries(ORDER.filter((name) => name in definition).map((name) => [name, definition[name]]));
}

/** JSON for people: what is short stands on one line. */
export function written(value, indent = "") {
  const line = spaced(value);
  if (indent.length + line.length <= 46 || value === null || typeof value !== "object") return line;
  const inner = `${indent}  `;
  const [open, close, parts] = Array.isArray(value)
    ? ["[", "]", value.map((one) => written(one, inner))]
    : ["{", "}", Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${written(one, inner)}`)];
  return `${open}\n${parts.map((part) => inner + part).join(",\n")}\n${indent}${close}`;
}

/** JSON on one line, with room after commas and colons. */
function spaced(value) {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  return `{${Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${spaced(one)}`).join(", ")}}`;
}

/** The definition as a command of a shell. */
export function curl(definition, service, { token = false } = {}) {
  const quoted = written(definition).replaceAll("'", `'\\''`);
  const authorization = token ? ` \\\n  -H "Authorization: Bearer $TUNER_TOKEN"` : "";
  return `curl ${service}/v1/studies${authorization} \\\n  -H 'Content-Type: application/json' -d '${quoted}'`;
}
