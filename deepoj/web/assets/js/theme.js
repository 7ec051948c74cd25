// <select name="interface_language"> sends its form: the server makes the page again in that language.
// <select name="theme"> shows the theme that is chosen at once. Its form keeps the choice, in the background; the form's
// button does the same without this script.
document.addEventListener("change", async ({ target }) => {
  if (target.matches("select[name=interface_language]")) target.form.requestSubmit();
  if (!target.matches("select[name=theme]")) return;
  const root = document.documentElement;
  const before = root.dataset.theme;
  root.dataset.theme = target.value;
  const { action, method } = target.form;
  const body = new URLSearchParams(new FormData(target.form));
  const answer = await fetch(action, { method, body, redirect: "manual" }).catch(() => null);
  if (!answer?.ok && answer?.type !== "opaqueredirect") target.value = root.dataset.theme = before;
});
