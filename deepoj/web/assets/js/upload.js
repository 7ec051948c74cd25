// Forms with the class upload-progress inside show how far they are sent, and that the server is at work then, and how far. Without
// this script the browser sends them.
import htmx from "./htmx.js";

document.addEventListener("submit", (event) => {
  const form = event.target;
  const place = form.querySelector(".upload-progress");
  const files = [...form.querySelectorAll("input[type=file]")];
  if (!place || event.defaultPrevented) return;
  if (!("always" in place.dataset) && !files.some((input) => input.files.length)) return;
  event.preventDefault();
  const [bar, sending, working, broken] = place.children;
  const buttons = [...form.querySelectorAll("button")].filter((button) => !button.disabled);
  const body = new FormData(form, event.submitter); // before the button is disabled, which may have a value
  const request = new XMLHttpRequest();

  function show(shown) {
    for (const text of [sending, working, broken]) text.hidden = text !== shown;
    bar.hidden = shown === broken;
    place.hidden = false;
    for (const button of buttons) button.disabled = shown !== broken;
  }

  request.open("POST", form.action);
  request.setRequestHeader("Accept", "text/html");
  request.setRequestHeader("X-Progress", "1");
  request.upload.addEventListener("progress", ({ lengthComputable, loaded, total }) => {
    if (!lengthComputable) return;
    bar.value = loaded / total;
    sending.querySelector("output").value = `${Math.floor((100 * loaded) / total)} %`;
  });
  request.upload.addEventListener("load", () => {
    bar.removeAttribute("value");
    show(working);
  });
  // long work counts what is done in comments before the page
  request.addEventListener("progress", () => {
    const [, done, all] = [...request.responseText.matchAll(/^<!-- (\d+) of (\d+) -->$/gm)].pop() ?? [];
    if (!done) return;
    bar.value = done / all;
    working.querySelector("output").value = `${done} / ${all}`;
  });
  request.addEventListener("load", () => {
    if (request.responseURL !== form.action) {
      location.assign(request.responseURL); // as a browser that is sent there
    } else {
      // the form again with a refusal, or what is shown only once
      const main = document.querySelector("main");
      htmx.swap(main, request.responseText, { swapStyle: "outerHTML" }, { select: "main" });
      // a page that is shown only once has no form that leaves it
      const preferences = document.querySelector("form[action='/preferences']");
      if (!request.responseText.includes('action="/preferences"')) preferences?.remove();
      scrollTo(0, 0);
      (document.querySelector("main [role=alert]") ?? document.querySelector("main")).focus();
    }
  });
  for (const failure of ["error", "abort"]) request.addEventListener(failure, () => show(broken));
  bar.value = 0;
  show(sending);
  request.send(body);
});

// A page that is come back to is as it was left.
addEventListener("pageshow", ({ persisted }) => {
  if (persisted && document.querySelector(".upload-progress:not([hidden])")) location.reload();
});
