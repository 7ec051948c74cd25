// Colours sources: <pre data-language="cpp17">. It loads the one grammar that is needed, and does nothing more than to put
// words into <span class="tok-…">: the text stays the same, for copying as for screen readers.
//
// A source may be written to make grammars slow. What takes too long stays plain, and so do long lines.
import { StringStream } from "./stream.js";

const GRAMMARS = {
  bash: async () => (await import("@codemirror/legacy-modes/mode/shell")).shell,
  c: async () => (await import("./clike.js")).c,
  cpp: async () => (await import("./clike.js")).cpp,
  csharp: async () => (await import("./clike.js")).csharp,
  go: async () => (await import("@codemirror/legacy-modes/mode/go")).go,
  haskell: async () => (await import("@codemirror/legacy-modes/mode/haskell")).haskell,
  java: async () => (await import("./clike.js")).java,
  javascript: async () => (await import("@codemirror/legacy-modes/mode/javascript")).javascript,
  lua: async () => (await import("@codemirror/legacy-modes/mode/lua")).lua,
  ocaml: async () => (await import("@codemirror/legacy-modes/mode/mllike")).oCaml,
  pascal: async () => (await import("@codemirror/legacy-modes/mode/pascal")).pascal,
  perl: async () => (await import("@codemirror/legacy-modes/mode/perl")).perl,
  php: async () => (await import("./clike.js")).php,
  pypy: async () => (await import("@codemirror/legacy-modes/mode/python")).python,
  python: async () => (await import("@codemirror/legacy-modes/mode/python")).python,
  ruby: async () => (await import("@codemirror/legacy-modes/mode/ruby")).ruby,
  rust: async () => (await import("@codemirror/legacy-modes/mode/rust")).rust,
  scala: async () => (await import("./clike.js")).scala,
};
const MOST_CHARS = 200_000;
const MOST_LINE_CHARS = 1000;
const MOST_MS = 300;
const MOST_STEPS = 10_000;
const TAB = 4;
// style of a grammar → class of css/editor.css
const CLASSES = {
  atom: "tok-atom",
  bool: "tok-bool",
  comment: "tok-comment",
  keyword: "tok-keyword",
  meta: "tok-meta",
  number: "tok-number",
  string: "tok-string",
  "string-2": "tok-string2",
  type: "tok-typeName",
  typeName: "tok-typeName",
};

// Yields [class or nothing, text]; together they are the text.
function* words(mode, text) {
  const state = mode.startState ? mode.startState(TAB) : {};
  const until = performance.now() + MOST_MS;
  const lines = text.split("\n");
  for (const [at, line] of lines.entries()) {
    if (at > 0) yield [null, "\n"];
    if (performance.now() > until) {
      yield [null, lines.slice(at).join("\n")];
      return;
    }
    if (line.length > MOST_LINE_CHARS) yield [null, line];
    else if (line === "") mode.blankLine?.(state, TAB);
    else yield* wordsOf(mode, state, line);
  }
}

function* wordsOf(mode, state, line) {
  const stream = new StringStream(line, TAB);
  let steps = 0;
  while (!stream.eol()) {
    stream.start = stream.pos;
    const style = mode.token(stream, state);
    if (++steps > MOST_STEPS) stream.skipToEnd();
    if (stream.pos > stream.start) yield [classOf(style), stream.current()];
  }
}

function classOf(style) {
  for (const name of (style ?? "").split(/[ .]/)) if (CLASSES[name]) return CLASSES[name];
  return null;
}

async function colour(pre) {
  const grammar = GRAMMARS[pre.dataset.language.replace(/\d+$/, "")];
  const text = pre.textContent;
  if (!grammar || text.length > MOST_CHARS) return;
  const coloured = document.createDocumentFragment();
  for (const [name, word] of words(await grammar(), text)) {
    if (name === null) {
      coloured.append(word);
      continue;
    }
    const span = document.createElement("span");
    span.className = name;
    span.textContent = word;
    coloured.append(span);
  }
  pre.replaceChildren(coloured);
  pre.normalize(); // one text between two spans
}

for (const pre of document.querySelectorAll("pre[data-language]")) colour(pre);
