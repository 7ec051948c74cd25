// The grammar of each language of the judge (deepoj/judging/languages/table.py), by its key, for the editor. They are the
// small grammars of CodeMirror 5: those of C++, Java, JavaScript, Python and Rust for CodeMirror 6 would take 137 KB more
// (gzip). source.js has the same table. Statements are in md or tex.
import { StreamLanguage } from "@codemirror/language";
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
import { stex as tex } from "@codemirror/legacy-modes/mode/stex";
import { c, cpp, csharp, java, php, scala } from "./clike.js";
import { markdown as md } from "./markdown.js";

const MODES = {
  bash, c, cpp, csharp, go, haskell, java, javascript, lua, ocaml, pascal, perl, php, python, ruby, rust, scala,
  pypy: python, md, tex,
};

// Returns the grammar of a language key, whose number is a version of the language; nothing for an unknown one.
export function grammarOf(key = "") {
  const mode = MODES[key.replace(/\d+$/, "")];
  return mode ? StreamLanguage.define(mode) : [];
}
