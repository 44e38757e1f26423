// Dialogs: the keys of the keyboard, and the key of the API.
import { el, fill, icon } from "./dom.js";

const kKeys = [
  ["Enter", "send the message"],
  ["Shift + Enter", "a new line"],
  ["Esc", "stop the answer; close what is open"],
  ["↑", "in an empty box: edit the last message"],
  ["/", "go to the message box"],
  ["n", "new conversation"],
  ["r", "answer again"],
  ["g", "chat or cache"],
  ["s", "settings"],
  ["t", "light, dark, or as the system"],
  ["?", "this help"],
];

function head(id, title, dialog) {
  return el("div", { class: "dialog-head" }, el("h2", { id }, title),
    el("button", { type: "button", class: "icon-button", "aria-label": "Close", onclick: () => dialog.close() }, icon("close")));
}

export function setUpHelp(dialog) {
  fill(dialog, head("help-title", "Keyboard", dialog),
    el("table", { class: "keys" }, el("tbody", {}, kKeys.map(([key, meaning]) =>
      el("tr", {}, el("td", {}, key.split(" + ").map((part, i) => [i > 0 ? " + " : "", el("kbd", {}, part)])), el("td", {}, meaning))))),
    el("p", { class: "quiet" }, "Single keys work while no field has the focus; the settings can turn them off."),
    el("p", { class: "quiet" }, "The API behind this page is OpenAI's: ",
      el("a", { href: "/openapi.json", target: "_blank", rel: "noopener" }, "its description"), "."));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // the backdrop
  });
  return () => dialog.open ? dialog.close() : dialog.showModal();
}

/** A function that asks for an API key; it gives the key, or null. */
export function setUpKeyDialog(dialog) {
  return (message) => new Promise((resolve) => {
    const input = el("input", { type: "password", id: "key-input", autocomplete: "off", required: true, minlength: 8 });
    const form = el("form", { method: "dialog" },
      el("label", { for: "key-input" }, "API key"), input,
      el("p", { class: "quiet" }, "Kept in this browser and sent to this server only."),
      el("div", { class: "row end" },
        el("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Cancel"),
        el("button", { type: "submit", class: "button primary", value: "given" }, "Use this key")));
    dialog.returnValue = "";
    fill(dialog, head("key-title", "This server wants a key", dialog), el("p", { class: "problem" }, message), form);
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "given" ? input.value.trim() : null), { once: true });
    dialog.showModal();
  });
}
