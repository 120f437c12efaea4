// The table of trials: sorted, filtered and paged by the server, and put in place without loading the page anew.
//
// Its links and forms work by themselves; here they are followed in place. While trials run, rows that differ are
// replaced, and what is chosen stays chosen.

import { Refusal, call, studyPath } from "./actions.js";

const { study } = document.body.dataset;
const MOST_COMPARED = 5;
const EVERY = 1000;

const chosen = new Set();
let request = null;
let asked = 0;
let stale = false;

const section = () => document.getElementById("trials");

/** The table as an address of the page means it. */
async function fetched(search) {
  request?.abort();
  request = new AbortController();
  const response = await fetch(`${section().dataset.table}${search}`, { signal: request.signal });
  if (!response.ok) throw new Refusal(await response.json().catch(() => ({ detail: `The service answers ${response.status}.` })));
  const parsed = new DOMParser().parseFromString(await response.text(), "text/html");
  return document.adoptNode(parsed.getElementById("trials"));
}

/** Show what an address means; `keep`: where the reader asked for it, the page's own address is changed too. */
async function show(url, { keep = true, focus = null } = {}) {
  const old = section();
  old.setAttribute("aria-busy", "true");
  asked += 1;
  try {
    const fresh = await fetched(url.search);
    const open = old.querySelector("details.chooser")?.open;
    old.replaceWith(fresh);
    if (open) fresh.querySelector("details.chooser").open = true;
    if (keep) history.pushState(null, "", url);
    prepare();
    if (focus) fresh.querySelector(focus)?.focus();
  } catch (error) {
    if (error.name !== "AbortError") say(error.message);
  } finally {
    asked -= 1;
    old.removeAttribute("aria-busy");
    if (stale) soon();
  }
}

/** While trials run: put fresh rows in the place of those that differ, by their trial. */
async function refresh() {
  // What the reader has asked for comes first, and is as fresh.
  if (asked) return;
  stale = false;
  const old = section();
  let fresh;
  try {
    fresh = await fetched(location.search);
  } catch {
    return; // The page says that the connection is lost; the next change tries again.
  }
  if (section() !== old) return;
  const [before, after] = [old, fresh].map((one) => one.querySelector("tbody"));
  if (!before || !after || head(old) !== head(fresh)) {
    const focused = old.contains(document.activeElement) ? document.activeElement : null;
    // A field is the reader's: it stays while he is in it.
    if (focused?.matches("input, select, summary")) {
      stale = true;
      return;
    }
    if (!before && !after && old.textContent === fresh.textContent) return;
    old.replaceWith(fresh);
    prepare();
    if (focused?.dataset.open) fresh.querySelector(`[data-open="${focused.dataset.open}"]`)?.focus();
    return;
  }
  const known = new Map([...before.rows].map((row) => [row.dataset.trial, row]));
  [...after.rows].forEach((row, place) => {
    const same = known.get(row.dataset.trial);
    known.delete(row.dataset.trial);
    let put = same ?? row;
    if (same && same.innerHTML !== row.innerHTML) {
      // What has the focus keeps it: the row that it is in takes the new cells one by one.
      [...row.cells].forEach((cell, at) => {
        if (cell.innerHTML !== same.cells[at].innerHTML) same.cells[at].replaceWith(cell.cloneNode(true));
      });
    }
    if (same) same.className = row.className;
    if (before.rows[place] !== put) before.insertBefore(put, before.rows[place] ?? null);
  });
  for (const row of known.values()) row.remove();
  const pages = [old, fresh].map((one) => one.querySelector(".pages"));
  if (pages[0].innerHTML !== pages[1].innerHTML && !pages[0].contains(document.activeElement)) {
    pages[0].replaceWith(pages[1]);
  }
  prepare();
}

const head = (one) => one.querySelector("thead").innerHTML;

function say(text) {
  const place = section().querySelector('[data-said="trials"]');
  if (place) place.textContent = text;
}

/** What the server cannot know: which are chosen, and what can be done with so many. */
function prepare() {
  for (const box of section().querySelectorAll('input[name="trials"]')) box.checked = chosen.has(box.value);
  for (const button of section().querySelectorAll("button[data-needs], button[data-open]")) button.hidden = false;
  count();
}

function count() {
  for (const button of section().querySelectorAll("button[data-needs]")) {
    const most = button.type === "submit" ? MOST_COMPARED : Infinity;
    button.disabled = chosen.size < Number(button.dataset.needs) || chosen.size > most;
  }
}

async function exclude(excluded) {
  say("");
  const refused = [];
  for (const number of [...chosen].sort((one, other) => one - other)) {
    try {
      await call("POST", `${studyPath(study)}/trials/${number}:exclude`, { excluded });
      chosen.delete(number);
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      refused.push(refusal.message);
    }
  }
  await refresh();
  say(refused.join(" "));
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("#trials thead a, #trials .pages a, #trials .actions a:not([download])");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
    const url = new URL(link.href);
    if (url.pathname !== location.pathname) return;
    event.preventDefault();
    const column = link.closest("th");
    const focus = column
      ? `thead th:nth-child(${column.cellIndex + 1}) a`
      : `.pages a[rel="${link.rel}"], .pages a`;
    show(url, { focus });
    return;
  }
  const button = event.target.closest("#trials button[data-exclude]");
  if (button) exclude(button.dataset.exclude === "true");
});

document.addEventListener("change", (event) => {
  const field = event.target;
  if (field.closest("#trials .chosen") && field.name === "trials") {
    if (field.checked) chosen.add(field.value);
    else chosen.delete(field.value);
    count();
  } else if (field.closest("#trials .filter")) {
    filtered(field.form, field);
  }
});

document.addEventListener("submit", (event) => {
  if (event.target.matches("#trials .filter")) {
    event.preventDefault();
    filtered(event.target, event.submitter);
  } else if (event.target.matches("#trials .chosen")) {
    // Those that were chosen on other pages of the table are compared too.
    event.preventDefault();
    location.assign(`/studies/${study}/compare?trials=${[...chosen].join(",")}`);
  }
});

/** Show what the filter says, each of its fields that says something. */
function filtered(form, field) {
  const url = new URL(location.pathname, location.href);
  const choosing = field?.name === "columns" || new URL(location.href).searchParams.has("columns");
  for (const [name, value] of new FormData(form)) {
    if (value !== "" && (choosing || name !== "columns")) url.searchParams.append(name, value);
  }
  url.hash = "trials";
  const focus = field?.name ? `.filter [name="${field.name}"]${field.type === "checkbox" ? `[value="${CSS.escape(field.value)}"]` : ""}` : ".filter button";
  show(url, { focus });
}

addEventListener("popstate", () => show(new URL(location.href), { keep: false }));

let last = 0;
let timer = 0;

/** Now, or when a second has passed since the last time. */
function soon() {
  stale = true;
  clearTimeout(timer);
  timer = setTimeout(() => {
    last = performance.now();
    refresh();
  }, Math.max(0, last + EVERY - performance.now()));
}

document.addEventListener("tuner:change", soon);
document.addEventListener("tuner:trials", soon);
document.addEventListener("focusout", () => stale && soon());

prepare();
