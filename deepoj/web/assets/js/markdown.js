// A small grammar of Markdown with formulas, for statements: headings, lists, quotes, code, emphasis, links, TeX. (That of
// CodeMirror brings those of HTML and of other languages with it.)
const INLINE = [
  [/^\\[^\w\s]/, null],
  [/^``.*?``|^`[^`]*`/, "string"],
  [/^\*\*[^*]+\*\*|^__[^_]+__/, "strong"],
  [/^\*[^*\s][^*]*\*|^_[^_\s][^_]*_(?!\w)/, "emphasis"],
  [/^!?\[[^\]]*\](?:\([^)]*\))?/, "link"],
  [/^\$(?!\$)(?:\\.|[^$\\])+\$/, "atom"],
  [/^<\/?[a-zA-Z][^>]*>/, "meta"],
];

export const markdown = {
  name: "markdown",
  startState: () => ({ fence: "", inFormula: false }),
  token(stream, state) {
    if (stream.sol() && !state.inFormula) {
      const fence = stream.match(/^\s{0,3}(`{3,}|~{3,})/);
      if (fence && (!state.fence || fence[1].startsWith(state.fence))) {
        state.fence = state.fence ? "" : fence[1];
        stream.skipToEnd();
        return "meta";
      }
      if (!state.fence && stream.match(/^#{1,6}\s.*/)) return "heading";
      if (!state.fence && stream.match(/^\s*(?:[-*+]|\d+[.)]|>)\s/)) return "keyword";
    }
    if (state.fence) {
      stream.skipToEnd();
      return "string";
    }
    if (stream.match("$$")) {
      state.inFormula = !state.inFormula;
      return "atom";
    }
    if (state.inFormula) {
      if (!stream.skipTo("$$")) stream.skipToEnd();
      return "atom";
    }
    for (const [pattern, name] of INLINE) {
      if (stream.match(pattern)) return name;
    }
    stream.next();
    stream.eatWhile(/[^\\`*_!<[$\n]/);
    return null;
  },
};
