// <button type="button" data-copy="ID" data-copied="Copied" hidden>Copy</button> copies the text of the element ID.
import htmx, { matching } from "./htmx.js";

const SHOWN_MS = 2000;

htmx.onLoad((content) => {
  for (const button of matching(content, "[data-copy][hidden]")) button.hidden = false;
});

document.addEventListener("click", async ({ target }) => {
  const button = target.closest?.("[data-copy]");
  const from = button && document.getElementById(button.dataset.copy);
  if (!from || button.dataset.label || !(await copied(from))) return;
  button.dataset.label = button.textContent;
  button.textContent = button.dataset.copied;
  setTimeout(() => {
    button.textContent = button.dataset.label;
    delete button.dataset.label;
  }, SHOWN_MS);
});

// Returns whether the text is in the clipboard. Over plain HTTP there is no navigator.clipboard.
async function copied(from) {
  try {
    await navigator.clipboard.writeText(from.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(from); // for Ctrl+C, if this is refused, too
    return document.execCommand("copy");
  }
}
