// Changes rows of a scoreboard (#board) as its stream says. The data of an event "rows" is a <tr> for each row that has
// changed or has another rank, in the order of their places, data-place; one with its rank alone keeps its cells. Rows
// are found by their ids. data-own="ID" of the stream's element names the row of the reader's team.
import htmx from "./htmx.js";
import { showRows } from "./board_view.js";

document.addEventListener("htmx:sseBeforeMessage", (event) => {
  const { type, data } = event.detail;
  const body = type === "rows" && document.querySelector("#board tbody");
  if (!body) return;
  event.preventDefault();
  const focused = document.activeElement.closest("#board a")?.getAttribute("href");
  const patches = new DOMParser().parseFromString(`<table>${data}</table>`, "text/html").querySelectorAll("tr");
  const moved = [...patches].map((patch) => [changed(patch), Number(patch.dataset.place)]);
  for (const [row] of moved) row.remove();
  for (const [row, place] of moved) body.insertBefore(row, body.rows[place - 1] ?? null);
  showOwn();
  showRows();
  if (focused) body.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
});

htmx.onLoad((content) => {
  if (!content.querySelector?.(".board")) return;
  showOwn();
  showRows();
});

// Returns the row that a patch describes, out of the table or still in it.
function changed(patch) {
  const row = document.getElementById(patch.id);
  if (patch.cells.length > 1) {
    row?.remove();
    return document.adoptNode(patch);
  }
  row.cells[0].textContent = patch.cells[0].textContent;
  row.removeAttribute("data-changed"); // it would glow again when it is put elsewhere
  return row;
}

function showOwn() {
  const { own } = document.querySelector("[data-own]")?.dataset ?? {};
  if (own) document.getElementById(own)?.classList.add("own");
}
