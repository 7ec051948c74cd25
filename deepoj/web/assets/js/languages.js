// The grammar of each language of the judge (deepoj/judging/languages/table.py), by its key. They are the small grammars
// of CodeMirror 5: those of C++, Java, JavaScript, Python and Rust for CodeMirror 6 would take 137 KB more (gzip).
import { StreamLanguage } from "@codemirror/language";
import { c, clike, cpp, csharp, java, scala } from "@codemirror/legacy-modes/mode/clike";
import { go } from "@codemirror/legacy-modes/mode/go";
import { haskell } from "@codemirror/legacy-modes/mode/haskell";
import { javascript } from "@codemirror/legacy-modes/mode/javascript";
import { lua } from "@codemirror/legacy-modes/mode/lua";
import { oCaml as ocaml } from "@codemirror/legacy-modes/mode/mllike";
import { pascal } from "@codemirror/legacy-modes/mode/pascal";
import { perl } from "@codemirror/legacy-modes/mode/perl";
import { python } from "@codemirror/legacy-modes/mode/python";
import { ruby } from "@codemirror/legacy-modes/mode/ruby";
import { rust } from "@codemirror/legacy-modes/mode/rust";
import { shell as bash } from "@codemirror/legacy-modes/mode/shell";

// The grammar for PHP brings those of HTML and CSS with it; PHP alone is much like C.
const php = clike({
  name: "php",
  keywords: words(
    "abstract and array as break case catch class clone const continue declare default do echo else elseif empty" +
      " enddeclare endfor endforeach endif endswitch endwhile enum extends final finally fn for foreach function" +
      " global goto if implements include include_once instanceof insteadof interface isset list match namespace new" +
      " or print private protected public readonly require require_once return static switch throw trait try unset" +
      " use var while xor yield",
  ),
  types: words("bool float int iterable mixed never object string void self parent"),
  blockKeywords: words("catch do else elseif finally for foreach if switch try while"),
  atoms: words("true false null TRUE FALSE NULL"),
  multiLineStrings: true,
  hooks: {
    "#": (stream) => (stream.skipToEnd(), "comment"),
    $: (stream) => (stream.eatWhile(/\w/), "variable-2"),
    "<": (stream) => (stream.match(/^\?(php|=)?/) ? "meta" : false),
    "?": (stream) => (stream.eat(">") ? "meta" : false),
  },
});

const MODES = {
  bash, c, cpp, csharp, go, haskell, java, javascript, lua, ocaml, pascal, perl, php, python, ruby, rust, scala,
  pypy: python,
};

// Returns the grammar of a language key, whose number is a version of the language; nothing for an unknown one.
export function grammarOf(key = "") {
  const mode = MODES[key.replace(/\d+$/, "")];
  return mode ? StreamLanguage.define(mode) : [];
}

function words(text) {
  return Object.fromEntries(text.split(" ").map((word) => [word, true]));
}
