// Shows <time datetime="2026-11-29T09:08:17Z"> relative to now ("2 minutes ago"), with the reader's local time as its
// title; with data-time="local" the local time itself, with data-time="for" how long it has been ("2 minutes").
// With data-time="clock" it shows how long it is until then: 4:59:59, 6 d 22:59:10.
// The clock is the server's: <meta name="server-time" content="…">. [data-server-clock] shows it, and how much the
// reader's differs.
import htmx, { matching } from "./htmx.js";

const AGAIN_MS = 20_000;
const UNITS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];
// a few seconds are "now", for which no number has to change
const NOW_S = 10;

const language = document.documentElement.lang || undefined;
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const local = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });
const localWithZone = new Intl.DateTimeFormat(language, { dateStyle: "full", timeStyle: "long" });

const inDays = new Intl.NumberFormat(language, { style: "unit", unit: "day", unitDisplay: "narrow" });
const clockFace = new Intl.DateTimeFormat(language, { timeStyle: "long" });
// a difference of the clocks that readers are told of
const DIFFERS_MS = 4_000;

const [navigation] = performance.getEntriesByType("navigation");
const sent = Date.parse(document.querySelector("meta[name=server-time]")?.content);
let ahead = Number.isNaN(sent) ? 0 : sent - performance.timeOrigin - (navigation?.responseStart ?? 0);
// a page that the browser had kept names an old time, as if the clocks differed
let isSure = Math.abs(ahead) < DIFFERS_MS;
const { src } = document.currentScript;

// Asks for the server's time: the header Date of an answer is of this moment.
async function ask() {
  const began = Date.now();
  const answer = await fetch(src, { method: "HEAD", cache: "no-store" }).catch(() => null);
  const at = Date.parse(answer?.headers.get("Date"));
  if (Number.isNaN(at)) return;
  isSure = true;
  ahead = at + 500 - (began + Date.now()) / 2; // the header has whole seconds
  show(document);
  count();
}

const SHOWN = { local: (at) => local.format(at), for: since };

// The server's time, in milliseconds.
export const serverNow = () => Date.now() + ahead;

function show(content) {
  for (const element of matching(content, "time[datetime]:not([data-time=server])")) {
    const at = Date.parse(element.dateTime);
    if (Number.isNaN(at)) continue; // a duration
    element.title = localWithZone.format(at);
    if (element.dataset.time === "clock") continue; // count() shows it
    const text = (SHOWN[element.dataset.time] ?? ago)(at);
    if (element.textContent !== text) element.textContent = text;
  }
}

function away(at) {
  const seconds = (at - serverNow()) / 1000;
  const [unit, length] = UNITS.find((each) => Math.abs(seconds) >= each[1]) ?? ["second", 1];
  return [Math.trunc(seconds / length), unit];
}

function since(at) {
  const [amount, unit] = away(at);
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long" }).format(Math.max(0, -amount));
}

function ago(at) {
  const [amount, unit] = away(at);
  return relative.format(unit === "second" && Math.abs(amount) < NOW_S ? 0 : amount, unit);
}

function tellTime() {
  const place = document.querySelector("[data-server-clock]");
  if (!place || !isSure) return;
  const [made, title, time, ...differences] = place.children;
  const at = serverNow();
  time.textContent = clockFace.format(at);
  time.dateTime = new Date(at).toISOString().slice(0, 19) + "Z";
  time.title = localWithZone.format(at);
  [made.hidden, title.hidden] = [true, false];
  [-ahead, ahead].forEach((amount, index) => {
    differences[index].hidden = amount < DIFFERS_MS;
    differences[index].lastElementChild.textContent = inWords(amount / 1000);
  });
}

function inWords(seconds) {
  const [unit, length] = UNITS.find((each) => seconds >= each[1]) ?? ["second", 1];
  const options = { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 };
  return new Intl.NumberFormat(language, options).format(seconds / length);
}

function count() {
  tellTime();
  for (const element of document.querySelectorAll("time[data-time=clock]")) {
    const seconds = Math.max(0, Math.ceil((Date.parse(element.dateTime) - serverNow()) / 1000));
    const days = Math.floor(seconds / 86_400);
    const parts = [Math.floor(seconds / 60) % 60, seconds % 60].map((part) => String(part).padStart(2, "0"));
    const clock = [Math.floor(seconds / 3600) % 24, ...parts].join(":");
    element.textContent = days ? `${inDays.format(days)} ${clock}` : clock;
  }
}

// Fields with a time in UTC show it in the reader's zone; the field of the form that data-zone names says which that is.
function localise() {
  for (const input of document.querySelectorAll("input[data-zone]")) {
    const zone = input.form.elements[input.dataset.zone];
    const minutes = (at) => at.getTimezoneOffset();
    const tell = () => (zone.value = input.value ? minutes(new Date(input.value)) : "");
    if (input.value) {
      const at = new Date(`${input.value}Z`);
      input.defaultValue = new Date(at - minutes(at) * 60_000).toISOString().slice(0, 19);
      input.value = input.defaultValue;
    }
    input.addEventListener("input", tell);
    tell();
    const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
    for (const element of input.form.querySelectorAll("[data-zone-name]")) element.textContent = name;
  }
}

htmx.onLoad(show);
localise();
count();
if (!isSure) ask();
setInterval(() => document.hidden || count(), 1000);
setInterval(() => document.hidden || show(document), AGAIN_MS);
document.addEventListener("visibilitychange", () => document.hidden || show(document));
