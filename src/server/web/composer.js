// The box in which messages are written.
import { fill, icon } from "./dom.js";

/** `actions`: send(text), stop(), editLast(). */
export class Composer {
  constructor({ form, input, button, hint }, actions) {
    Object.assign(this, { form, input, button, hint, actions });
    this.answering = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    input.addEventListener("input", () => this.update());
    input.addEventListener("keydown", (event) => this.onKey(event));
    this.show();
  }

  onKey(event) {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (!this.answering) this.submit();
    } else if (event.key === "ArrowUp" && this.input.value === "" && this.actions.editLast()) {
      event.preventDefault();
    }
  }

  submit() {
    if (this.answering) {
      this.actions.stop();
      return;
    }
    const text = this.input.value.trim();
    if (text === "") return;
    this.input.value = "";
    this.update();
    this.actions.send(text);
  }

  setAnswering(answering) {
    if (answering === this.answering) return; // a click is lost where the icon is replaced between press and release
    this.answering = answering;
    this.show();
  }

  focus() {
    this.input.focus();
  }

  /** After every change of the text. The box is as high as it, up to a limit that the style sheet sets. */
  update() {
    this.input.style.height = "auto";
    this.input.style.height = `${this.input.scrollHeight}px`;
    this.button.disabled = !this.answering && this.input.value.trim() === "";
  }

  /** After a change between writing and waiting. */
  show() {
    this.form.classList.toggle("answering", this.answering);
    fill(this.button, icon(this.answering ? "stop" : "send"));
    this.button.setAttribute("aria-label", this.answering ? "Stop the answer" : "Send");
    this.button.title = this.answering ? "Stop (Esc)" : "Send (Enter)";
    this.hint.textContent = this.answering ? "Esc stops the answer" : "Enter sends, Shift+Enter begins a new line, ? shows all keys";
    this.update();
  }
}
