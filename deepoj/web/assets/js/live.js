// Event streams and polling rest while their tab is hidden. Streams are closed: browsers allow six connections to a
// server, and ten tabs have to work. A stream that is opened again begins with the state of that moment. One whose URL
// says what the page shows, since=ID, begins with what has changed since the last event.
import htmx from "./htmx.js";

const sources = new Set();
// URL of a stream → id of its last event
const positions = new Map();

function urlNow(url) {
  const last = positions.get(url);
  return last ? url.replace(/\bsince=[^&]*/, `since=${encodeURIComponent(last)}`) : url;
}

class PausingEventSource {
  constructor(url) {
    this.url = url;
    this.listeners = [];
    this.closed = false;
    sources.add(this);
    if (!document.hidden) this.resume();
  }

  get readyState() {
    if (this.closed) return EventSource.CLOSED;
    return this.source ? this.source.readyState : EventSource.CONNECTING;
  }

  addEventListener(name, listener) {
    this.listeners.push([name, listener]);
    this.listen(name, listener);
  }

  removeEventListener(name, listener) {
    this.listeners = this.listeners.filter(([of, each]) => of !== name || each !== listener);
    this.source?.removeEventListener(name, listener);
  }

  resume() {
    if (this.source) return;
    const source = new EventSource(urlNow(this.url));
    this.source = source;
    source.onopen = (event) => this.onopen?.(event);
    source.onerror = (event) => {
      // the browser gives up on an answer that is no stream: htmx opens another one later
      if (source.readyState === EventSource.CLOSED) this.close();
      this.onerror?.(event);
    };
    for (const [name, listener] of this.listeners) this.listen(name, listener);
  }

  listen(name, listener) {
    this.source?.addEventListener(name, listener);
    this.source?.addEventListener(name, (event) => positions.set(this.url, event.lastEventId));
  }

  pause() {
    this.source?.close();
    this.source = null;
  }

  close() {
    this.closed = true;
    this.pause();
    sources.delete(this);
  }
}

htmx.createEventSource = (url) => new PausingEventSource(url);

// elements whose requests were held back while the tab was hidden
const held = new Set();

// A hidden tab does not ask how far something is; it asks once when it is shown again. What was typed is sent all the same.
document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt, requestConfig } = event.detail;
  if (!document.hidden || requestConfig.verb !== "get") return;
  event.preventDefault();
  held.add(elt);
});

document.addEventListener("visibilitychange", () => {
  for (const source of sources) document.hidden ? source.pause() : source.resume();
  if (document.hidden) return;
  const asking = [...held].filter((element) => element.isConnected);
  held.clear();
  for (const element of asking) htmx.ajax("GET", element.dataset.hxGet, { source: element });
});

// data-live says to the style sheet whether what is shown is up to date
document.addEventListener("htmx:sseOpen", ({ target }) => (target.dataset.live = "open"));
document.addEventListener("htmx:sseError", ({ target }) => (target.dataset.live = "lost"));
