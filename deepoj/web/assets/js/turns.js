// Loads a page of a contest again when the contest starts, is frozen or ends: at the time data-turn, by the server's
// clock. Where something is written that would be lost, it shows the sentence with a link instead.
import { serverNow } from "./times.js";

const LOOK_MS = 500;
// A node has then recorded the change. Browsers come within the time after it, not all at once.
const LEAST_MS = 1500;
const SPREAD_MS = 3000;

const turn = document.querySelector("[data-turn]");
const at = Date.parse(turn?.dataset.turn);

// A page that still shows the state before has come back too early: it waits longer each time.
function wait() {
  return LEAST_MS + Math.random() * SPREAD_MS + Math.max(0, serverNow() - at) / 2;
}

function isWritten(field) {
  if (field.form?.method === "get" || field.closest("footer")) return false;
  if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
  if (field.type === "file") return field.files.length > 0;
  if (field.options) {
    const usual = [...field.options].findIndex((option) => option.defaultSelected);
    return field.selectedIndex !== Math.max(0, usual);
  }
  return field.type !== "hidden" && field.value !== field.defaultValue;
}

function show() {
  if ("answer" in turn.dataset || [...document.querySelectorAll("input, textarea, select")].some(isWritten)) {
    turn.firstElementChild.hidden = false;
  } else {
    location.reload();
  }
}

if (turn && !Number.isNaN(at)) {
  const due = Math.max(at, serverNow()) + wait();
  const look = setInterval(() => {
    if (document.hidden || serverNow() < due) return;
    clearInterval(look);
    show();
  }, LOOK_MS);
}
