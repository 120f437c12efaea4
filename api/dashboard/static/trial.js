// What can be done on a trial's page: leave it out of what counts, or take that back.

import { Refusal, call, studyPath } from "./actions.js";
import { renewed } from "./live.js";

const { study, trial } = document.body.dataset;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-exclude]");
  if (!button) return;
  button.disabled = true;
  button.blur(); // A live region does not change under the focus.
  try {
    await call("POST", `${studyPath(study)}/trials/${trial}:exclude`, { excluded: button.dataset.exclude === "true" });
    await renewed();
    document.getElementById("exclude")?.focus();
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    document.querySelector('[data-said="exclude"]').textContent = refusal.message;
  } finally {
    button.disabled = false;
  }
});
