// Loaded by every page, with `defer`. Pages work without it.
import "./htmx.js";
import "htmx-ext-sse";
import "./live.js";
import "./board.js";
import "./news.js";
import "./copy.js";
import "./theme.js";
import "./times.js";
import "./turns.js";
import "./keys.js";
import "./logout.js";
import "./upload.js";
import "./drop.js";
import "./print.js";
import "./title.js";
