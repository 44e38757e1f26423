// The panel at the side: system prompt, sampling, the key.
import { forgetKey, hasKey } from "./api.js";
import { el, fill, icon } from "./dom.js";
import { defaultSettings, kNumbers, loadSettings, saveSettings } from "./settings.js";

/** Fills `panel`; `close` hides it. */
export function setUpSettings(panel, close) {
  let settings = loadSettings();

  const number = (spec) => {
    const id = `setting-${spec.name}`;
    const input = el("input", { id, type: "number", min: spec.min, max: spec.max, step: spec.step, inputmode: "decimal",
      placeholder: "default", "aria-describedby": `${id}-hint` });
    if (settings.numbers[spec.name] !== undefined) input.value = settings.numbers[spec.name];
    input.addEventListener("input", () => {
      const value = input.valueAsNumber;
      const good = Number.isFinite(value) && value >= spec.min && value <= spec.max && (spec.step !== 1 || Number.isInteger(value));
      input.setAttribute("aria-invalid", String(input.value !== "" && !good));
      if (good) settings.numbers[spec.name] = value;
      else delete settings.numbers[spec.name];
      saveSettings(settings);
    });
    return el("div", { class: "field" }, el("label", { for: id }, spec.label), input,
      el("p", { class: "field-hint", id: `${id}-hint` }, spec.hint));
  };

  const text = (name, label, hint, rows) => {
    const id = `setting-${name}`;
    const area = el("textarea", { id, rows, "aria-describedby": `${id}-hint` });
    area.value = settings[name];
    area.addEventListener("input", () => {
      settings[name] = area.value;
      saveSettings(settings);
    });
    return el("div", { class: "field field-tall" }, el("label", { for: id }, label), area,
      el("p", { class: "field-hint", id: `${id}-hint` }, hint));
  };

  const shortcuts = () => {
    const box = el("input", { type: "checkbox", id: "setting-shortcuts" });
    box.checked = settings.shortcuts;
    box.addEventListener("change", () => {
      settings.shortcuts = box.checked;
      saveSettings(settings);
    });
    return el("label", { class: "check", for: "setting-shortcuts" }, box, "Single-key shortcuts");
  };

  const show = () => {
    settings = loadSettings();
    const reset = el("button", { class: "button", type: "button", onclick: () => {
      saveSettings(defaultSettings());
      show();
    } }, "Reset");
    const forget = hasKey() && el("button", { class: "button", type: "button", onclick: () => {
      forgetKey();
      show();
    } }, "Forget the API key");
    fill(panel,
      el("div", { class: "settings-head" }, el("h2", {}, "Settings"),
        el("button", { class: "icon-button", type: "button", "aria-label": "Close the settings", onclick: close }, icon("close"))),
      el("p", { class: "quiet" }, "Kept in this browser. Empty means the server's default."),
      text("system", "System prompt", "What the model is told before the conversation.", 4),
      el("h3", {}, "Sampling"),
      el("div", { class: "fields" }, kNumbers.map(number)),
      text("stop", "Stop texts", "One per line. The answer ends before the first that appears.", 2),
      shortcuts(),
      el("div", { class: "row" }, reset, forget));
  };
  show();
  return show;
}
