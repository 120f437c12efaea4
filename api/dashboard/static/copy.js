// Buttons that copy what is written elsewhere on the page: `data-copy` is the id of that element.

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const copied = await written(source.textContent).catch(() => selected(source));
  const words = (button.dataset.words ??= button.textContent);
  button.textContent = copied ? "Copied" : "Selected: copy it";
  setTimeout(() => (button.textContent = words), 2000);
});

async function written(text) {
  await navigator.clipboard.writeText(text);
  return true;
}

/** A browser gives its clipboard to pages of this machine and of TLS alone; elsewhere the text is at least selected. */
function selected(element) {
  getSelection().selectAllChildren(element);
  return false;
}
