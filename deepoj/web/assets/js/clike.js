// The grammars that are made like the one of C.
import { c, clike, cpp, csharp, java, scala } from "@codemirror/legacy-modes/mode/clike";

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

export { c, cpp, csharp, java, php, scala };

function words(text) {
  return Object.fromEntries(text.split(" ").map((word) => [word, true]));
}
