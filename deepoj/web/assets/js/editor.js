// Puts an editor in the place of <textarea id="code" name="code">, which stays in the form and holds the same text.
//
// deepoj/web/assets/README.md lists what a page has to have. Without <meta name="csp-nonce"> the text area stays.
import { closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView, highlightActiveLine, highlightSpecialChars, keymap, lineNumbers } from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import { Drafts } from "./drafts.js";
import { textOf } from "./files.js";
import { grammarOf } from "./languages.js";

class CodeField {
  constructor(area, nonce) {
    this.area = area;
    const fields = area.form?.elements;
    this.select = fields?.language ?? fields?.format;
    this.drafts = new Drafts(area.dataset.draft, area.dataset.formerDraft);
    this.note = document.getElementById("code-note");
    this.grammar = new Compartment();
    this.language = this.select?.value;
    // the server's text comes before a draft: it is of a form that is shown again, or of "resubmit"
    const text = area.value || this.drafts.read(this.language);
    this.view = new EditorView({ state: EditorState.create({ doc: text, extensions: this.extensions(nonce) }) });
    this.loaded = this.view.state.doc;
    this.replaceArea();
    area.value = this.text();
    this.select?.addEventListener("change", () => this.changeLanguage());
    for (const input of area.form?.querySelectorAll("input[type=file][data-into-code]") ?? []) {
      input.addEventListener("change", () => this.takeChosen(input));
    }
    // the browser goes back to a page whose fields it has filled in again
    window.addEventListener("pageshow", () => this.changeLanguage());
  }

  extensions(nonce) {
    return [
      EditorView.cspNonce.of(nonce),
      EditorView.contentAttributes.of(this.contentAttributes()),
      this.grammar.of(grammarOf(this.language)),
      "wrap" in this.area.dataset ? EditorView.lineWrapping : [],
      lineNumbers(),
      history(),
      highlightSpecialChars(),
      highlightActiveLine(),
      search({ top: true }),
      indentOnInput(),
      indentUnit.of("    "),
      bracketMatching(),
      closeBrackets(),
      syntaxHighlighting(classHighlighter),
      // Tab indents; Escape and then Tab leaves the editor: #code-keys says so
      keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, indentWithTab]),
      EditorView.domEventHandlers({ drop: (event) => this.drop(event), beforeinput: replaceSelected }),
      EditorView.updateListener.of((update) => update.docChanged && this.changed()),
    ];
  }

  // The label and the hints of the text area become those of the editor.
  contentAttributes() {
    const [label] = this.area.labels;
    const attributes = { spellcheck: "false", tabindex: "0" }; // the keyboard scrolls what has the focus
    if (label) {
      label.id ||= "code-label";
      attributes["aria-labelledby"] = label.id;
    }
    const keys = document.getElementById("code-keys"); // the keys of this editor, not of a text area
    if (keys) keys.hidden = false;
    for (const name of ["aria-describedby", "aria-invalid", "aria-required"]) {
      if (this.area.hasAttribute(name)) attributes[name] = this.area.getAttribute(name);
    }
    return attributes;
  }

  replaceArea() {
    const { area, view } = this;
    for (const label of [...area.labels]) {
      label.removeAttribute("for"); // one element has this label: the visible one
      label.addEventListener("click", () => view.focus());
    }
    const hadFocus = document.activeElement === area;
    area.required = false; // the browser could not show its message at a hidden field; the server has one
    area.hidden = true;
    area.after(view.dom);
    if (hadFocus || area.autofocus) view.focus();
  }

  text() {
    return this.view.state.doc.toString();
  }

  changed() {
    this.area.value = this.text();
    this.drafts.write(this.language, this.area.value);
    // pages listen to the text area, which is there without this editor, too
    this.area.dispatchEvent(new Event("input", { bubbles: true }));
  }

  replaceText(text) {
    const { view } = this;
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, userEvent: "input.paste" });
    this.loaded = view.state.doc;
  }

  // A text that was changed since it was loaded stays: people paste a program and then choose its language.
  changeLanguage() {
    if (!this.select || this.select.value === this.language) return;
    this.language = this.select.value;
    this.view.dispatch({ effects: this.grammar.reconfigure(grammarOf(this.language)) });
    const draft = this.drafts.read(this.language);
    this.say("");
    if (!draft || draft === this.text()) return;
    if (this.loaded?.eq(this.view.state.doc)) this.replaceText(draft);
    else this.offer(draft);
  }

  offer(draft) {
    const { noteDraft = "You have a draft in this language.", noteLoad = "Load the draft" } = this.area.dataset;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = noteLoad;
    button.addEventListener("click", () => {
      this.replaceText(draft);
      this.say("");
      this.view.focus();
    });
    this.say(`${noteDraft} `, button);
  }

  say(...parts) {
    if (!this.note) return;
    this.note.replaceChildren(...parts);
    this.note.hidden = parts[0] === "";
  }

  drop(event) {
    const [file] = event.dataTransfer?.files ?? [];
    if (!file) return false;
    event.preventDefault();
    this.takeFile(file);
    return true;
  }

  async takeChosen(input) {
    const [file] = input.files;
    if (this.language === "text") return; // outputs, perhaps as a zip, are sent as they are
    // what the editor has is sent once, as its text
    if (file && (await this.takeFile(file))) input.value = "";
  }

  // Replaces the text by that of a file. Returns whether it was taken.
  async takeFile(file) {
    const text = await textOf(file, Number(this.area.dataset.maxBytes) || Infinity);
    if (text === null) {
      this.say(this.area.dataset.noteFile ?? "This file is too large, or it is not text in UTF-8.");
      return false;
    }
    this.replaceText(text);
    this.loaded = null; // it stays when its language is chosen, also where there is a draft
    this.say("");
    this.view.focus();
    return true;
  }
}

// Chromium gives a text typed over a coloured word the word's colours by a style attribute, which the policy forbids and
// the console reports. So the editor does it before the browser.
function replaceSelected(event, view) {
  const shown = document.getSelection();
  if (event.inputType !== "insertText" || !event.data || shown.isCollapsed || view.composing) return false;
  let { from, to, empty } = view.state.selection.main;
  if (empty) {
    // a selection that the editor has not seen yet
    const range = shown.getRangeAt(0);
    from = view.posAtDOM(range.startContainer, range.startOffset);
    to = view.posAtDOM(range.endContainer, range.endOffset);
  }
  const text = event.data;
  const insert = () =>
    view.state.update({
      changes: { from, to, insert: view.state.toText(text) },
      selection: { anchor: from + view.state.toText(text).length },
      userEvent: "input.type",
      scrollIntoView: true,
    });
  const isHandled = view.state.facet(EditorView.inputHandler).some((handle) => handle(view, from, to, text, insert));
  if (!isHandled) view.dispatch(insert());
  event.preventDefault();
  return true;
}

const area = document.querySelector("textarea#code");
const nonce = document.querySelector("meta[name=csp-nonce]")?.content;
if (area && nonce) new CodeField(area, nonce);
