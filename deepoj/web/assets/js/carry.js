// <a data-drafts="ACCOUNT:CONTEST:LABEL" data-drafts-to="ACCOUNT:PROBLEM">: the reader then finds the drafts of the
// first place at the second, in each language that has none there.
import { PREFIX } from "./prefix.js";

document.addEventListener("click", ({ target }) => {
  const link = target.closest?.("[data-drafts]");
  if (!link) return;
  const from = `${PREFIX}:${link.dataset.drafts}:`;
  try {
    for (const place of Object.keys(localStorage).filter((each) => each.startsWith(from))) {
      const there = `${PREFIX}:${link.dataset.draftsTo}:${place.slice(from.length)}`;
      if (!localStorage.getItem(there)) localStorage.setItem(there, localStorage.getItem(place));
    }
  } catch {
    // storage is off or full
  }
});
