// Keeps a page up to date while trials run, without loading it again.
//
// The server says that something has changed (server-sent events); at most once a second the page's live regions are
// fetched and those that differ are replaced, and everybody on the page is told by `tuner:change`. A lost connection is
// shown, and found again by itself.

const { events, live } = document.body.dataset;
const EVERY = 1000;
const AGAIN = 2000;

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

/** Fetch the live regions, and put those that differ in the place of the old ones. */
async function renewed() {
  if (!live) return;
  const response = await fetch(live);
  if (!response.ok) return;
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const region of fresh.querySelectorAll("[data-region]")) {
    const old = document.querySelector(`[data-region="${region.dataset.region}"]`);
    // Whoever has the focus inside keeps it: that region waits for the next change.
    if (old && old.outerHTML !== region.outerHTML && !old.contains(document.activeElement)) {
      old.replaceWith(document.adoptNode(region));
    }
  }
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
  if (lastId) url.searchParams.set("last_event_id", lastId);
  source = new EventSource(url);
  source.addEventListener("open", () => say(""));
  source.addEventListener("study", (event) => {
    lastId = event.lastEventId;
    changed(JSON.parse(event.data));
  });
  source.addEventListener("deleted", () => {
    source.close();
    say("This study has been deleted.");
    document.dispatchEvent(new CustomEvent("tuner:deleted"));
  });
  source.addEventListener("error", () => {
    say("The connection to the service is lost. Trying again …");
    // A browser tries again by itself, but for an answer that is no stream: a proxy's, of a service that restarts.
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, AGAIN);
  });
}

if (events) {
  follow();
  // A page that is left keeps no connection; one that is come back to reads up.
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => event.persisted && follow());
}
