// Keeps a page up to date while trials run, without loading it again.
//
// The server says that something has changed (server-sent events); at most once a second the page's live regions are
// fetched and those that differ are replaced, and everybody on the page is told by `tuner:change`. A lost connection is
// shown, and found again by itself. Where nobody says what has changed (`data-every`, milliseconds), the page looks.

const { events, live, every } = document.body.dataset;
const EVERY = 1000;
const AGAIN = 2000;
const LOST = "The connection to the service is lost. Trying again …";

let latest = null;
let waiting = false;
let last = 0;

/** Something changed: tell the page now, or as soon as a second has passed since it was last told. */
function changed(data) {
  latest = data;
  if (waiting) return;
  waiting = true;
  setTimeout(async () => {
    waiting = false;
    last = performance.now();
    const detail = latest;
    await renewed().catch(() => {});
    document.dispatchEvent(new CustomEvent("tuner:change", { detail }));
  }, Math.max(0, last + EVERY - performance.now()));
}

/** The regions as the server last sent them: what scripts did to those on the page since is no difference. */
const sent = new Map();
for (const region of document.querySelectorAll("[data-region]")) sent.set(region.dataset.region, region.outerHTML);

let asked = 0;
let shown = 0;

/** Fetch the live regions, and put those that differ in the place of the old ones. */
export async function renewed() {
  if (!live) return;
  const number = ++asked;
  const response = await fetch(live);
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

/** Regions that come and go, as the rows of a table: those that are gone go, and new ones come where they belong. */
function arrange(list, fresh) {
  const regions = (parent) => new Map([...parent.children].map((child) => [child.dataset.region, child]));
  const [here, there] = [regions(list), regions(fresh)];
  for (const [name, region] of here) {
    if (name && !there.has(name)) region.remove();
  }
  let next = null;
  for (const [name, region] of [...there].reverse()) {
    if (here.has(name)) {
      next = here.get(name);
    } else {
      sent.set(name, region.outerHTML);
      next = list.insertBefore(document.importNode(region, true), next);
    }
  }
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

function follow() {
  const url = new URL(events, location.href);
  const one = url.pathname !== "/v1/events";
  if (lastId) url.searchParams.set("last_event_id", lastId);
  source = new EventSource(url);
  source.addEventListener("open", () => say(""));
  source.addEventListener("study", (event) => {
    lastId = event.lastEventId;
    changed(JSON.parse(event.data));
  });
  source.addEventListener("deleted", (event) => {
    if (one) {
      source.close();
      say("This study has been deleted.");
      document.dispatchEvent(new CustomEvent("tuner:deleted"));
    } else {
      lastId = event.lastEventId;
      changed(JSON.parse(event.data));
    }
  });
  source.addEventListener("error", () => {
    say(LOST);
    // A browser tries again by itself, but for an answer that is no stream: a proxy's, of a service that restarts.
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, AGAIN);
  });
}

/** Look now and then, where no events tell. */
async function look() {
  if (!document.hidden) {
    await renewed().then(() => say(""), () => say(LOST));
  }
  setTimeout(look, Number(every));
}

if (events) {
  follow();
  // A page that is left keeps no connection; one that is come back to reads up.
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && follow());
} else if (every) {
  setTimeout(look, Number(every));
}
