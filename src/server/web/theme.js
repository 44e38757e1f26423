// Light, dark, or what the system says.
import { fill, icon } from "./dom.js";
import { readText, writeText } from "./storage.js";

const kThemes = ["auto", "light", "dark"];
const kIcons = { auto: "auto", light: "sun", dark: "moon" };
const kNames = { auto: "as the system", light: "light", dark: "dark" };

export function setUpTheme(button) {
  const current = () => {
    const stored = readText("theme");
    return kThemes.includes(stored) ? stored : "auto";
  };
  const show = () => {
    const theme = current();
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    fill(button, icon(kIcons[theme]));
    button.setAttribute("aria-label", `Theme: ${kNames[theme]}`);
    button.title = `Theme: ${kNames[theme]}`;
  };
  const next = () => {
    writeText("theme", kThemes[(kThemes.indexOf(current()) + 1) % kThemes.length]);
    show();
  };
  button.addEventListener("click", next);
  show();
  return next;
}
