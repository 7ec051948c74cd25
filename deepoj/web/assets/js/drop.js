// A file may be dropped anywhere on its form, not only on the small field. The editor takes files itself.
const FIELD = "input[type=file]:not([data-into-code])";

function fieldAt({ target, dataTransfer }) {
  return dataTransfer?.types.includes("Files") ? target.closest?.("form")?.querySelector(FIELD) : null;
}

document.addEventListener("dragover", (event) => {
  const field = fieldAt(event);
  for (const form of document.querySelectorAll("form.dropping")) if (form !== field?.form) restore(form);
  if (!field) return;
  event.preventDefault(); // else the browser opens the file
  field.form.classList.add("dropping");
});

document.addEventListener("dragleave", ({ target, relatedTarget }) => {
  const form = target.closest?.("form.dropping");
  if (form && !form.contains(relatedTarget)) restore(form);
});

document.addEventListener("drop", (event) => {
  const field = fieldAt(event);
  if (!field || event.defaultPrevented) return;
  event.preventDefault();
  restore(field.form);
  const [file] = event.dataTransfer.files;
  if (!file) return;
  const chosen = new DataTransfer();
  chosen.items.add(file);
  field.files = chosen.files;
  field.dispatchEvent(new Event("change", { bubbles: true }));
  field.focus();
});

function restore(form) {
  form.classList.remove("dropping");
}
