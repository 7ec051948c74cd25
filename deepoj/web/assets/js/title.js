// The title of the tab begins with the verdict that the page shows, which comes by events: people look at another tab
// meanwhile.
const verdict = document.querySelector("#verdict");
if (verdict) {
  const [, ...rest] = document.title.split(" · ");
  const tell = () => {
    const word = verdict.querySelector(".verdict")?.firstChild?.textContent.trim();
    if (word) document.title = [word, ...rest].join(" · ");
  };
  new MutationObserver(tell).observe(verdict, { childList: true, subtree: true });
}
