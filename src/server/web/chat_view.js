// A conversation on the screen.
import { el, fill, icon } from "./dom.js";
import { duration, plural, rate } from "./format.js";
import { copyText, renderMarkdown } from "./render_markdown.js";

const kNearBottom = 80;

const kIdeas = [
  ["Explain a key-value cache", "What is a key-value cache in a language model? Explain it in three sentences."],
  ["Write some code", "Write a Python function that checks whether a word is a palindrome, with a short example."],
  ["Make a list", "Give me five ideas for a rainy Sunday, as a numbered list."],
  ["Tell a story", "Tell a short story about a lighthouse keeper who befriends a storm."],
];

/** What the view tells: `edit(index, text)`, `again(index)`, `ask(text)`. */
export class ChatView {
  constructor(container, actions) {
    this.container = container;
    this.actions = actions;
    this.id = null;
    this.rows = [];
    this.frame = 0;
  }

  /** Shows `conversation`; `answering`: its last message is on its way. */
  show(conversation, answering) {
    cancelAnimationFrame(this.frame); // what it would show is older
    this.frame = 0;
    const follow = this.id !== conversation.id || this.isNearBottom();
    if (this.id !== conversation.id || conversation.messages.length === 0) {
      this.id = conversation.id;
      this.rows = [];
      this.container.replaceChildren();
    }
    if (conversation.messages.length === 0) fill(this.container, this.welcome());
    else this.container.querySelector(".welcome")?.remove();
    while (this.rows.length > conversation.messages.length) this.rows.pop().element.remove();
    conversation.messages.forEach((message, i) => this.showRow(message, i, answering && i === conversation.messages.length - 1));
    this.container.setAttribute("aria-busy", String(answering));
    if (follow) this.container.scrollTop = this.container.scrollHeight;
  }

  /** The same, at most once per frame: tokens can come faster than anybody reads. */
  showSoon(conversation, answering) {
    this.latest = [conversation, answering];
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => this.show(...this.latest));
  }

  isNearBottom() {
    const { scrollTop, scrollHeight, clientHeight } = this.container;
    return scrollHeight - scrollTop - clientHeight < kNearBottom;
  }

  setModel(name) {
    this.model = name;
    const line = this.container.querySelector(".welcome-model");
    if (line) line.textContent = this.modelLine();
  }

  modelLine() {
    return this.model ? `${this.model} answers, on this server. Nothing leaves it.` : "";
  }

  welcome() {
    return el("div", { class: "welcome" },
      el("img", { src: "/web/icon.svg", alt: "", width: 56, height: 56 }),
      el("h1", {}, "What would you like to know?"),
      el("p", { class: "quiet welcome-model" }, this.modelLine()),
      el("div", { class: "ideas" }, kIdeas.map(([label, text]) =>
        el("button", { type: "button", class: "idea", onclick: () => this.actions.ask(text) },
          el("strong", {}, label), el("span", {}, text)))));
  }

  showRow(message, index, live) {
    let row = this.rows[index];
    if (row && (row.role !== message.role || row.message !== message)) {
      this.rows.splice(index).forEach((old) => old.element.remove());
      row = undefined;
    }
    if (!row) {
      row = message.role === "user" ? this.userRow(message, index) : this.answerRow(message, index);
      this.rows[index] = row;
      this.container.append(row.element);
    }
    row.update(live);
  }

  userRow(message, index) {
    const bubble = el("div", { class: "bubble" }, message.content);
    const tools = el("div", { class: "tools" },
      tool("edit", "Edit this message", () => this.edit(element, message, index)),
      tool("copy", "Copy this message", (event) => copyText(message.content, event.currentTarget)));
    const element = el("article", { class: "message user", "aria-label": "You" }, bubble, tools);
    return { role: "user", message, element, update: () => {} };
  }

  /** Opens the editor of the last message of the user; false where there is none. */
  editLast() {
    const last = this.rows.findLastIndex((row) => row.role === "user");
    if (last < 0) return false;
    this.edit(this.rows[last].element, this.rows[last].message, last);
    return true;
  }

  edit(element, message, index) {
    if (element.querySelector("textarea")) return;
    const area = el("textarea", { class: "edit-area", rows: Math.min(12, message.content.split("\n").length + 1),
      "aria-label": "Edit the message" });
    area.value = message.content;
    const before = [...element.childNodes];
    const cancel = () => fill(element, ...before);
    const save = () => {
      cancel();
      if (area.value.trim() !== "") this.actions.edit(index, area.value);
    };
    area.addEventListener("keydown", (event) => {
      if (event.key === "Escape") cancel();
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        save();
      }
      event.stopPropagation();
    });
    fill(element, el("div", { class: "editor" }, area, el("div", { class: "row end" },
      el("button", { type: "button", class: "button", onclick: cancel }, "Cancel"),
      el("button", { type: "button", class: "button primary", onclick: save }, "Send again"))));
    area.focus();
  }

  answerRow(message, index) {
    const body = el("div", { class: "markdown" });
    const thoughts = el("p", { class: "thoughts-text" });
    const thinking = el("details", { class: "thoughts", hidden: true }, el("summary", {}, "Thoughts"), thoughts);
    const wait = el("div", { class: "thinking", "aria-label": "Waiting for the first word" }, el("i"), el("i"), el("i"));
    const problem = el("p", { class: "problem", role: "alert", hidden: true });
    const stats = el("p", { class: "stats" });
    const tools = el("div", { class: "tools" },
      tool("copy", "Copy this answer", (event) => copyText(message.content, event.currentTarget)),
      tool("again", "Answer again", () => this.actions.again(index)));
    const foot = el("div", { class: "answer-foot" }, tools, stats);
    const element = el("article", { class: "message assistant", "aria-label": "Answer" }, thinking, body, wait, problem, foot);
    const update = (live) => {
      thinking.hidden = !message.thoughts;
      thoughts.textContent = message.thoughts ?? "";
      renderMarkdown(body, message.content);
      element.classList.toggle("live", live);
      wait.hidden = !live || message.content !== "";
      problem.hidden = !message.problem;
      problem.textContent = message.problem ? `No answer: ${message.problem}.` : "";
      foot.hidden = live;
      fill(stats, ...statsOf(message));
    };
    return { role: "assistant", message, element, update };
  }
}

function tool(name, label, onclick) {
  return el("button", { type: "button", class: "icon-button small", "aria-label": label, title: label, onclick }, icon(name));
}

// "42 tokens · 128 tokens/s · first after 83 ms · 512 of 530 prompt tokens from the cache"
function statsOf(message) {
  const parts = [];
  const { stats } = message;
  if (message.stopped) parts.push("stopped");
  if (message.finish === "length") parts.push("longest answer reached");
  if (message.finish === "timeout") parts.push("time was over");
  if (stats) {
    parts.push(plural(stats.tokens, "token"));
    if (stats.perSecond) parts.push(`${rate(stats.perSecond)} tokens/s`);
    parts.push(`first after ${duration(stats.firstSeconds)}`);
    if (stats.cached > 0) parts.push(`${stats.cached} of ${plural(stats.prompt, "prompt token")} from the cache`);
    else if (stats.prompt !== null) parts.push(plural(stats.prompt, "prompt token"));
  }
  return parts.map((part) => el("span", {}, part));
}
