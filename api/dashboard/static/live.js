// Keeps a page up to date while trials run, without loading it again.
//
// The server says that something has changed (server-sent events); at most once a second the page's live regions are
// fetched and those that differ are replaced, and everybody on the page is told by `tuner:change`. A lost connection, or
// one on which nothing comes any more, is shown, and found again by itself. Where nobody says what has changed
// (`data-every`, milliseconds), the page looks.

const { events, live, every } = document.body.dataset;
const EVERY = 1000;
const AGAIN = 2000;
// A stream has a heartbeat every few seconds (api/streams.py). Several of them do not fail to come of a service at work.
const QUIET = 15_000;
const LOST = "The connection to the service is lost. Trying again …";
const SILENT = "The service does not answer. Trying again …";

let latest = null;
let waiting = false;
let held = false;
let last = 0;

/** Something changed: tell the page now, or as soon as a second has passed since it was last told. */
function changed(data) {
  latest = data;
  if (waiting) return;
  waiting = true;
  setTimeout(async () => {
    waiting = false;
    if (held) return;
    last = performance.now();
    const detail = latest;
    await renewed().catch(() => {});
    document.dispatchEvent(new CustomEvent("tuner:change", { detail }));
  }, Math.max(0, last + EVERY - performance.now()));
}

/** Leave the page as it is, or go on: of a study that may be gone in a moment nothing is asked. */
export function hold(yes) {
  held = yes;
  if (!held && latest) changed(latest);
}

/** The regions as the server last sent them: what scripts did to those on the page since is no difference. */
const sent = new Map();
for (const region of document.querySelectorAll("[data-region]")) sent.set(region.dataset.region, region.outerHTML);

let asked = 0;
let shown = 0;

/** Fetch the live regions, and put those that differ in the place of the old ones. */
export async function renewed({ signal } = {}) {
  if (!live) return;
  const number = ++asked;
  const response = await fetch(live, { signal });
  if (!response.ok) return;
  const text = await response.text();
  // Of answers that overtake one another the later question's is the newer one.
  if (number < shown) return;
  shown = number;
  const fresh = new DOMParser().parseFromString(text, "text/html");
  for (const list of fresh.querySelectorAll("[data-list]")) {
    const old = document.querySelector(`[data-list="${CSS.escape(list.dataset.list)}"]`);
    if (old) arrange(old, list);
  }
  for (const region of fresh.querySelectorAll("[data-region]")) {
    const old = document.querySelector(`[data-region="${CSS.escape(region.dataset.region)}"]`);
    if (old && sent.get(region.dataset.region) !== region.outerHTML) replace(old, region);
  }
}

/** Regions that come, go and change places, as the rows of a table: each stands in the end where it belongs. */
function arrange(list, fresh) {
  const regions = (parent) =>
    new Map([...parent.querySelectorAll(":scope > [data-region]")].map((each) => [each.dataset.region, each]));
  const [here, there] = [regions(list), regions(fresh)];
  for (const [name, region] of here) {
    if (!there.has(name)) for (const each of whole(region)) each.remove();
  }
  let next = null;
  for (const [name, region] of [...there].reverse()) {
    if (here.has(name)) {
      if (whole(here.get(name)).at(-1).nextElementSibling !== next) move(here.get(name), next);
      next = here.get(name);
    } else {
      sent.set(name, region.outerHTML);
      next = list.insertBefore(document.importNode(region, true), next);
    }
  }
}

/** A region of a list, with what a script has put below it: why something was refused. */
function whole(region) {
  const parts = [region];
  while (parts.at(-1).nextElementSibling && !parts.at(-1).nextElementSibling.dataset.region) {
    parts.push(parts.at(-1).nextElementSibling);
  }
  return parts;
}

/** Put a region before another, without taking it from under a pointer, or the focus from within it. */
function move(region, next) {
  if (region.parentElement.contains(pressed)) {
    missed = true;
    return;
  }
  const focused = region.contains(document.activeElement) ? document.activeElement : null;
  for (const each of whole(region)) region.parentElement.insertBefore(each, next);
  focused?.focus({ preventScroll: true });
}

/** What a pointer is held down on: were it replaced, the click would go nowhere. */
let pressed = null;
let missed = false;
addEventListener("pointerdown", (event) => (pressed = event.target), true);
for (const end of ["pointerup", "pointercancel"]) {
  addEventListener(end, () => {
    pressed = null;
    if (missed) setTimeout(() => renewed().catch(() => {}));
    missed = false;
  }, true);
}

/**
 * Put a region in the place of the old one. Who has the focus inside finds it on what has the same id, or where that is
 * gone, as the button of what can be done no more, on the first that has one.
 */
function replace(old, region) {
  if (old.contains(pressed)) {
    missed = true;
    return;
  }
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const named = ":is(a, button)[id]";
  const heir = focused?.id ? (region.querySelector(`#${CSS.escape(focused.id)}`) ?? region.querySelector(named)) : null;
  // Whoever writes, or would lose the place, keeps it: that region waits for the next change.
  if (focused && (!heir || focused.matches("input, select, textarea"))) return;
  sent.set(region.dataset.region, region.outerHTML);
  old.replaceWith(document.adoptNode(region));
  heir?.focus({ preventScroll: true });
}

/** A line at the top of the page; an empty text takes it away. */
function say(text) {
  let banner = document.querySelector(".banner");
  if (!text) {
    banner?.remove();
    return;
  }
  if (!banner) {
    banner = document.createElement("p");
    banner.className = "banner";
    banner.setAttribute("role", "status");
    document.body.prepend(banner);
  }
  if (banner.textContent !== text) banner.textContent = text;
}

let lastId = "";
let source = null;
let silence = 0;

/** Something has come of the service. One that then says nothing for long may still hold its connections open. */
function heard() {
  clearTimeout(silence);
  silence = setTimeout(() => {
    say(SILENT);
    source.close();
    follow();
  }, QUIET);
}

function leave() {
  clearTimeout(silence);
  source.close();
}

function follow() {
  const url = new URL(events, location.href);
  const one = url.pathname !== "/v1/events";
  if (lastId) url.searchParams.set("last_event_id", lastId);
  source = new EventSource(url);
  heard();
  source.addEventListener("open", () => {
    heard();
    say("");
  });
  source.addEventListener("heartbeat", heard);
  source.addEventListener("study", (event) => {
    heard();
    lastId = event.lastEventId;
    changed(JSON.parse(event.data));
  });
  source.addEventListener("deleted", (event) => {
    heard();
    if (one) {
      leave();
      say("This study has been deleted.");
      document.dispatchEvent(new CustomEvent("tuner:deleted"));
    } else {
      lastId = event.lastEventId;
      changed(JSON.parse(event.data));
    }
  });
  source.addEventListener("error", () => {
    heard();
    say(LOST);
    // A browser tries again by itself, but for an answer that is no stream: a proxy's, of a service that restarts.
    if (source.readyState !== EventSource.CLOSED) return;
    leave();
    setTimeout(follow, AGAIN);
  });
}

/** Look now and then, where no events tell. */
async function look() {
  if (!document.hidden) {
    await renewed({ signal: AbortSignal.timeout(QUIET) }).then(() => say(""), () => say(LOST));
  }
  setTimeout(look, Number(every));
}

if (events) {
  follow();
  // A page that is left keeps no connection; one that is come back to reads up.
  addEventListener("pagehide", leave);
  addEventListener("pageshow", (event) => event.persisted && follow());
} else if (every) {
  setTimeout(look, Number(every));
}
