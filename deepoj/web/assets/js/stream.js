// A line as the grammars of CodeMirror 5 read it. The class of the same name in @codemirror/language brings the whole
// editor with it.
export class StringStream {
  constructor(string, tabSize) {
    this.string = string;
    this.tabSize = this.indentUnit = tabSize;
    this.pos = this.start = 0;
  }

  eol() {
    return this.pos >= this.string.length;
  }

  sol() {
    return this.pos === 0;
  }

  peek() {
    return this.string.charAt(this.pos) || undefined;
  }

  next() {
    return this.eol() ? undefined : this.string.charAt(this.pos++);
  }

  eat(wanted) {
    const found = this.string.charAt(this.pos);
    const is = typeof wanted === "string" ? found === wanted : wanted.test ? wanted.test(found) : wanted(found);
    if (!found || !is) return undefined;
    this.pos++;
    return found;
  }

  eatWhile(wanted) {
    const from = this.pos;
    while (this.eat(wanted));
    return this.pos > from;
  }

  eatSpace() {
    return this.eatWhile(/[\s\u00a0]/);
  }

  skipToEnd() {
    this.pos = this.string.length;
  }

  skipTo(character) {
    const found = this.string.indexOf(character, this.pos);
    if (found < 0) return undefined;
    this.pos = found;
    return true;
  }

  backUp(count) {
    this.pos -= count;
  }

  column() {
    return columns(this.string.slice(0, this.start), this.tabSize);
  }

  indentation() {
    return columns(/^\s*/.exec(this.string)[0], this.tabSize);
  }

  match(wanted, consumes, ignoresCase) {
    const rest = this.string.slice(this.pos);
    if (typeof wanted === "string") {
      const fold = (text) => (ignoresCase ? text.toLowerCase() : text);
      if (fold(rest.slice(0, wanted.length)) !== fold(wanted)) return null;
      if (consumes !== false) this.pos += wanted.length;
      return true;
    }
    const found = wanted.exec(rest);
    if (!found || found.index > 0) return null;
    if (consumes !== false) this.pos += found[0].length;
    return found;
  }

  current() {
    return this.string.slice(this.start, this.pos);
  }
}

function columns(text, tabSize) {
  let count = 0;
  for (const character of text) count += character === "\t" ? tabSize - (count % tabSize) : 1;
  return count;
}
