// Shows what is new in a contest: an event "news" of the page's stream has a piece for each place, by data-news. What
// is new is marked in places that are already there; rows of lists wait behind a link. The title says the number.
// A hidden tab has no stream (live.js): it looks once a minute at the page that marks nothing as read, data-look.
const LOOK_MS = 60_000;

function show(page) {
  for (const piece of page.querySelectorAll("[data-news]")) {
    const place = document.querySelector(`[data-news="${CSS.escape(piece.dataset.news)}"]`);
    if (!place || place.innerHTML === piece.innerHTML) continue;
    place.className = piece.className;
    place.innerHTML = piece.innerHTML;
    if (piece.dataset.news === "clock") document.dispatchEvent(new Event("deepoj:clock"));
  }
  const mark = document.querySelector("[data-news=open] .unread, [data-news=unread] .unread");
  const title = document.title.replace(/^\(\d+\) /, "");
  document.title = mark ? `(${mark.textContent}) ${title}` : title;
}

document.addEventListener("htmx:sseBeforeMessage", (event) => {
  const { type, data } = event.detail;
  if (type !== "news") return;
  event.preventDefault();
  show(new DOMParser().parseFromString(data, "text/html"));
});

const stream = document.querySelector("[data-look]");
if (stream) {
  setInterval(async () => {
    if (!document.hidden) return;
    const answer = await fetch(stream.dataset.look, { cache: "no-cache" }).catch(() => null);
    if (answer?.ok && !answer.redirected) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      page.querySelector("[data-news=status]")?.remove();
      show(page);
    }
  }, LOOK_MS);
}
