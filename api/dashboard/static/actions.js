// What can be done to a study, from any page: calls of the public API, whose refusals are shown in the server's words.

/** An answer that is no success. `errors` names fields: [{field, message}]. Status 0: there was no answer. */
export class Refusal extends Error {
  constructor({ status = 0, code = "", detail = "The service does not answer.", errors = [] } = {}) {
    super([detail, ...errors.map(({ field, message }) => `${field} ${message}`)].join(" "));
    Object.assign(this, { status, code, detail, errors });
  }
}

/**
 * Call the API: the answer's document (null where it has none) and its headers.
 * @throws {Refusal}
 */
export async function call(method, path, body, headers = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refusal();
  }
  const document = await response.json().catch(() => null);
  if (!response.ok) {
    throw new Refusal(document ?? { status: response.status, detail: `The service answers ${response.status}.` });
  }
  return { document, headers: response.headers };
}

/** Where the API has a study. */
export const studyPath = (address) => `/v1/studies/${address}`;

/** The study after `pause`, `resume` or `stop`. */
export async function act(address, verb) {
  return (await call("POST", `${studyPath(address)}:${verb}`)).document;
}

/** Which of those a study in this state allows. */
export const allowed = {
  active: ["pause", "stop"],
  paused: ["resume", "stop"],
  stopped: ["resume"],
  completed: [],
};

/**
 * Ask whether to delete a study, and do it. The dialog closes when it is done or given up; a refusal is shown in it.
 * @returns {Promise<boolean>} whether it is deleted
 */
export function confirmDelete({ address, name, trials }) {
  const dialog = element("dialog", { "aria-labelledby": "delete-title" });
  const said = element("p", { class: "error", role: "alert" });
  const yes = element("button", { class: "button danger", type: "button" }, "Delete");
  const no = element("button", { class: "button quiet", type: "button", autofocus: "" }, "Keep it");
  const lost = trials === 1 ? "Its trial goes with it, and its curves" : `Its ${trials} trials go with it, and their curves`;
  dialog.append(
    element("h2", { id: "delete-title" }, `Delete ${name}?`),
    element("p", {}, trials ? `${lost}. There is no way back.` : "It has no trials. There is no way back."),
    said,
    row(no, yes),
  );
  document.body.append(dialog);
  return new Promise((resolve) => {
    let deleted = false;
    yes.addEventListener("click", async () => {
      yes.disabled = true;
      said.textContent = "";
      try {
        await call("DELETE", studyPath(address));
        deleted = true;
        dialog.close();
      } catch (refusal) {
        said.textContent = refusal.message;
        yes.disabled = false;
      }
    });
    no.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(deleted);
    });
    dialog.showModal();
  });
}

function row(...buttons) {
  const actions = element("div", { class: "actions" });
  actions.append(...buttons);
  return actions;
}

/** An element with attributes and a text, which is never read as HTML. */
export function element(tag, attributes = {}, text = "") {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}
