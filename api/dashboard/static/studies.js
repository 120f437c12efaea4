// The page of studies: steers a study from its row, deletes it when that is confirmed, and makes the first one.

import { act, call, confirmDelete, element } from "./actions.js";
import { renewed } from "./live.js";

const list = document.querySelector('[data-list="studies"]');

list.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-act]");
  if (!button) return;
  const row = button.closest("tr");
  const { address, name, trials } = row.dataset;
  unsay(address);
  if (button.dataset.act === "delete") {
    if (await confirmDelete({ address, name, trials: Number(trials) })) {
      const heir = (row.nextElementSibling ?? row.previousElementSibling)?.querySelector("a.name");
      row.remove();
      (heir ?? document.getElementById("main")).focus();
    } else {
      document.getElementById(button.id)?.focus();
    }
  } else {
    button.disabled = true;
    try {
      await act(address, button.dataset.act);
    } catch (refusal) {
      say(address, refusal.message);
    }
    button.disabled = false;
    button.focus();
  }
  // A lost connection has a banner of its own.
  await renewed().catch(() => {});
});

/** Show beside a study why something was refused. */
function say(address, text) {
  const row = rowOf(address);
  if (!row) return;
  const cell = element("td", { class: "error", colspan: row.cells.length, role: "alert" });
  const line = element("tr", { class: "refusal", "data-of": address });
  line.append(cell);
  row.after(line);
  // Said once it is there: what a reader of screens hears is the change.
  cell.textContent = text;
}

function unsay(address) {
  list.querySelector(`[data-of="${CSS.escape(address)}"]`)?.remove();
}

function rowOf(address) {
  return list.querySelector(`[data-address="${CSS.escape(address)}"]`);
}

// The button of the first study comes and goes with the page's live regions.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-first]");
  if (!button) return;
  const said = button.parentElement.querySelector("[role=alert]");
  said.textContent = "";
  button.disabled = true;
  try {
    const { document: study } = await call("POST", "/v1/studies", JSON.parse(button.dataset.first));
    location.assign(`/studies/${study.address}`);
  } catch (refusal) {
    said.textContent = refusal.message;
    button.disabled = false;
  }
});

const filters = document.querySelector("form.filters");
filters?.elements.state.addEventListener("change", () => filters.requestSubmit());
// An address to share says only what is asked for.
filters?.addEventListener("submit", () => {
  const empty = [...filters.elements].filter((field) => field.name && !field.value);
  for (const field of empty) field.disabled = true;
  setTimeout(() => empty.forEach((field) => (field.disabled = false)));
});
