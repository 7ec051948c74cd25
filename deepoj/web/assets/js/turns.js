// Loads a page of a contest again when the contest starts, is frozen or ends: at the time data-turn, by the server's
// clock. It looks first whether the state has changed: the jury may have moved the clock, and a page that is refused
// must not take the place of one that works. Where something is written that would be lost, it shows a sentence with a
// link instead.
import { serverNow } from "./times.js";

const LOOK_MS = 500;
// A node has then recorded the change. Browsers come within the time after it, not all at once.
const LEAST_MS = 1500;
const SPREAD_MS = { start: 3000 };
const USUAL_SPREAD_MS = 12_000;

// A page that was refused for a moment is asked for again.
const again = document.querySelector("[data-again]");
if (again) setTimeout(() => location.reload(), again.dataset.again * 1000);

const turn = document.querySelector("[data-turn]");
let at = Date.parse(turn?.dataset.turn);

// A page that still shows the state before has come back too early: it waits longer each time.
function wait() {
  const spread = SPREAD_MS[turn.dataset.kind] ?? USUAL_SPREAD_MS;
  return LEAST_MS + Math.random() * spread + Math.max(0, serverNow() - at) / 2;
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

function lookAt(due) {
  const look = setInterval(() => {
    if (document.hidden || serverNow() < due) return;
    clearInterval(look);
    check();
  }, LOOK_MS);
}

async function check() {
  const answer = await fetch(turn.querySelector("a").href, { cache: "no-store" }).catch(() => null);
  if (!answer?.ok) return lookAt(serverNow() + wait() + 1000 * (answer?.headers.get("Retry-After") ?? 0));
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const next = page.querySelector("[data-turn]");
  const nextAt = Date.parse(next?.dataset.turn);
  const isSameKind = next?.dataset.kind === turn.dataset.kind;
  const isKept = "answer" in turn.dataset || [...document.querySelectorAll("input, textarea, select")].some(isWritten);
  if (isSameKind && (isKept || nextAt === at)) {
    at = nextAt;
    lookAt(Math.max(at, serverNow()) + wait());
  } else if (isKept) {
    const hasTurned = page.querySelector(`.phase.${turn.dataset.phase}`) !== null;
    turn.children[hasTurned ? 0 : 1].hidden = false;
  } else {
    location.reload();
  }
}

if (turn && !Number.isNaN(at)) lookAt(Math.max(at, serverNow()) + wait());
