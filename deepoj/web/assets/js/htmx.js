// htmx as the pages' Content-Security-Policy allows it: no eval, no style element, no script out of a fragment, and
// requests to this server only.
import htmx from "htmx.org";

Object.assign(htmx.config, {
  allowEval: false,
  allowScriptTags: false,
  includeIndicatorStyles: false,
  selfRequestsOnly: true,
  // pages hold what is for one account: none is kept in the browser's storage
  historyCacheSize: 0,
  refreshOnHistoryMiss: true,
});
window.htmx = htmx;

export default htmx;

// The elements of new content that match, the content itself included.
export function matching(content, selector) {
  const inner = [...content.querySelectorAll(selector)];
  return content.matches?.(selector) ? [content, ...inner] : inner;
}
