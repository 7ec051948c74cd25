// Which rows of a scoreboard are shown. On a page: those that match the search and, if that is wanted, favourites alone.
// Both are in the address. Favourites are kept in the browser, for each contest. On a projector: the first teams, and
// of the others a page at a time, as many as the screen has room for.
const PINNED = 3;
const TURN_MS = 10_000;

const place = document.querySelector("[data-contest]");
const form = document.querySelector("[data-board-search]")?.closest("form");
const turning = document.querySelector("[data-turn-page]");
const kept = `deepoj.favourites.${place?.dataset.contest}`;
const favourites = new Set(favouritesKept());
// index of the projector's first row below the pinned ones
let first = 0;

// Called whenever rows may have changed.
export function showRows() {
  const rows = [...document.querySelectorAll("#board tbody tr")];
  if (form) showMatches(rows);
  else if (turning) showPage(rows);
}

function favouritesKept() {
  try {
    return JSON.parse(localStorage.getItem(kept)) ?? [];
  } catch {
    return []; // the browser keeps nothing for this site
  }
}

function keepFavourites() {
  try {
    localStorage.setItem(kept, JSON.stringify([...favourites]));
  } catch {
    // it keeps nothing: they hold until the page is left
  }
}

// Letters without case and accents.
const plain = (text) => text.normalize("NFKD").replace(/[\p{Mn}\u200c\u200d]/gu, "").toLowerCase();

function showMatches(rows) {
  const words = plain(form.elements.q.value).split(/\s+/).filter(Boolean);
  const wantsFavourites = form.elements.starred.checked;
  let count = 0;
  for (const row of rows) {
    const head = row.cells[1];
    if (!head.querySelector("button")) head.prepend(star(row));
    const isFavourite = favourites.has(row.id);
    head.firstChild.setAttribute("aria-pressed", isFavourite);
    const text = words.length ? plain(head.textContent) : "";
    row.hidden = (wantsFavourites && !isFavourite) || !words.every((word) => text.includes(word));
    count += !row.hidden;
  }
  form.elements.found.value = count < rows.length ? `${count} / ${rows.length}` : "";
}

function star(row) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "star";
  button.ariaLabel = `${place.dataset.star}: ${row.querySelector("bdi").textContent}`;
  return button;
}

function showPage(rows) {
  for (const row of rows) row.hidden = false;
  const room = document.documentElement.clientHeight - 12;
  const top = rows[0]?.getBoundingClientRect().top + scrollY;
  const least = Math.min(PINNED, rows.length);
  const heights = rows.map((row) => row.offsetHeight);
  const pinned = heights.slice(0, least).reduce((sum, height) => sum + height, 0);
  const others = rows.slice(least);
  if (first >= others.length) first = 0;
  let free = room - top - pinned;
  let next = first;
  while (next < others.length && (next === first || free >= heights[least + next])) free -= heights[least + next++];
  others.forEach((row, index) => (row.hidden = index < first || index >= next));
  turning.hidden = others.length === next - first;
  turning.querySelector("output").value = `${least + first + 1}–${least + next} / ${rows.length}`;
  return next;
}

if (form) {
  const asked = new URLSearchParams(location.search);
  for (const part of form.querySelectorAll("[data-board-search]")) part.hidden = false;
  form.elements.q.value = asked.get("q") ?? "";
  form.elements.starred.checked = asked.has("starred");
  form.addEventListener("input", (event) => {
    if (!["q", "starred"].includes(event.target.name)) return;
    const now = new URL(location);
    for (const [name, value] of [
      ["q", form.elements.q.value.trim()],
      ["starred", form.elements.starred.checked ? "1" : ""],
    ]) {
      if (value) now.searchParams.set(name, value);
      else now.searchParams.delete(name);
    }
    history.replaceState(history.state, "", now);
    showRows();
  });
  document.addEventListener("click", ({ target }) => {
    const row = target.closest?.("button.star")?.closest("tr");
    if (!row) return;
    if (!favourites.delete(row.id)) favourites.add(row.id);
    keepFavourites();
    showRows();
  });
}

if (turning) {
  const pause = turning.querySelector("button");
  pause.addEventListener("click", () => pause.setAttribute("aria-pressed", pause.ariaPressed !== "true"));
  addEventListener("resize", showRows);
  setInterval(() => {
    if (document.hidden || pause.ariaPressed === "true") return;
    const rows = [...document.querySelectorAll("#board tbody tr")];
    first = showPage(rows);
    showPage(rows);
  }, TURN_MS);
}
