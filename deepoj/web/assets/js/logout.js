// The next person at this browser must not find the programs of the account that logs out.
import { PREFIX } from "./prefix.js";

document.querySelector('form[action="/logout"]')?.addEventListener("submit", () => {
  try {
    for (const place of Object.keys(localStorage)) if (place.startsWith(`${PREFIX}:`)) localStorage.removeItem(place);
  } catch {
    // storage is off: there are none
  }
});
