// Loads a page of a contest again when the contest starts, is frozen or ends: at the time data-turn, by the server's
// clock, or when news of the contest say that the jury has changed its clock or its rules. It looks first whether the state has changed: the jury may have moved the clock, and a page that is refused
// must not take the place of one that works. Where something is written that would be lost, it shows a sentence with a
// link instead.
import { serverNow } from "./times.js";

const LOOK_MS = 500;
// A node has then recorded the change. Browsers come within the time after it, not all at once.
const LEAST_MS = 1500;
const SPREAD_MS = { start: 3000 };
const USUAL_SPREAD_MS = 12_000;
const ANSWER_MS = 30_000;

// A page that was refused for a moment is asked for again.
const again = document.querySelector("[data-again]");
if (again) whenShownAt(Date.now() + again.dataset.again * 1000, Date.now, () => location.reload());

const turn = document.querySelector(".turned");
const shown = stateOf(document);
let at = Date.parse(turn?.dataset.turn);

// What tells states of a page apart: the mark of its contest's clock; in a list of contests, their next change.
function stateOf(page) {
  const part = page.querySelector(".turned");
  const mark = page.querySelector(".turned [data-news=clock]");
  return mark ? mark.textContent : [part?.dataset.kind, part?.dataset.turn].join();
}

// A page that still shows the state before has come back too early: it waits longer each time.
function wait() {
  const spread = SPREAD_MS[turn.dataset.kind] ?? USUAL_SPREAD_MS;
  return LEAST_MS + Math.random() * spread + Math.max(0, serverNow() - (at || Infinity)) / 2;
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

// Calls once the time has come, while the tab is shown.
function whenShownAt(due, now, act) {
  const timer = setInterval(() => {
    if (document.hidden || now() < due) return;
    clearInterval(timer);
    act();
  }, LOOK_MS);
}

function lookAt(due) {
  whenShownAt(due, serverNow, check);
}

// Asks for the page that tells the contest's state and marks nothing as read.
async function ask() {
  const answer = await fetch(turn.dataset.look, { cache: "no-cache", signal: AbortSignal.timeout(ANSWER_MS) });
  const isPage = answer.ok && !answer.redirected; // to the login, once the session has ended
  return {
    page: isPage ? new DOMParser().parseFromString(await answer.text(), "text/html") : null,
    waitMs: 1000 * (Number(answer.headers.get("Retry-After")) || 0),
  };
}

async function check() {
  const { page, waitMs } = await ask().catch(() => ({ page: null, waitMs: 0 }));
  if (!page) return lookAt(serverNow() + wait() + waitMs);
  const isKept = "answer" in turn.dataset || [...document.querySelectorAll("input, textarea, select")].some(isWritten);
  if (stateOf(page) === shown) {
    // no node, or not the one that was asked, has recorded the change
    if (at || stateOf(document) !== shown) lookAt(Math.max(at || 0, serverNow()) + wait());
  } else if (isKept) {
    const state = [...page.querySelectorAll(".phase, .until")].map((part) => part.textContent.replace(/\s+/g, " ").trim());
    turn.querySelector("strong").textContent = state.join(", ");
    turn.lastElementChild.hidden = false;
  } else {
    location.reload();
  }
}

if (turn && at) lookAt(Math.max(at, serverNow()) + wait());
if (turn) document.addEventListener("deepoj:clock", () => lookAt(serverNow() + wait()));
