// Keys: `/` goes to Search, Ctrl+Enter sends the form of the class submit-form, Ctrl+' presses
// its button data-run, which runs the program on the reader's own input.
document.addEventListener(
  "keydown",
  (event) => {
    const control = event.ctrlKey || event.metaKey;
    if (event.key === "/" && !control && !event.altKey && !isTyping(event.target)) {
      const search = document.querySelector("input[type=search]");
      if (!search) return;
      event.preventDefault();
      search.focus();
      search.select();
    } else if (control && (event.key === "Enter" || event.key === "'")) {
      const form = event.target.closest?.("form.submit-form") ?? document.querySelector("form.submit-form");
      const button = form && (event.key === "Enter" ? submitOf(form) : form.querySelector("[data-run]:enabled"));
      if (!button || event.repeat) return;
      event.preventDefault();
      event.stopPropagation(); // the editor would begin a line
      form.requestSubmit(button);
    }
  },
  { capture: true },
);

function submitOf(form) {
  const buttons = [...form.elements].filter(({ type, disabled }) => type === "submit" && !disabled);
  return buttons.find((button) => "submit" in button.dataset) ?? buttons[0];
}

function isTyping(element) {
  return element.isContentEditable || element.matches?.("input, textarea, select");
}
