// A button with data-print prints the page. Without this script it stays hidden: the browser's menu prints, too.
import htmx, { matching } from "./htmx.js";

htmx.onLoad((content) => {
  for (const button of matching(content, "button[data-print]")) {
    button.hidden = false;
    button.addEventListener("click", () => window.print());
  }
});
