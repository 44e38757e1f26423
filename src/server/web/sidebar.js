// The list of conversations, and what is said of the model below it.
import { isAnswering } from "./answering.js";
import { el, fill, icon } from "./dom.js";
import { ago, bytes, count } from "./format.js";

/** `actions`: open(id), remove(id). */
export function showConversations(list, conversations, current, actions) {
  if (conversations.length === 0) {
    fill(list, el("p", { class: "quiet empty" }, "Conversations stay in this browser, nowhere else."));
    return;
  }
  fill(list, el("ul", {}, conversations.map((conversation) => {
    const title = conversation.title || "New conversation";
    const open = el("button", { type: "button", class: "conversation", title, onclick: () => actions.open(conversation.id),
      ...(conversation.id === current ? { "aria-current": "true" } : {}) },
    el("span", { class: "conversation-title" }, title),
    el("span", { class: "conversation-time" }, isAnswering(conversation.id) ? "answering" : ago(conversation.updated)));
    return el("li", {}, open, el("button", { type: "button", class: "icon-button small", "aria-label": `Delete "${title}"`,
      title: "Delete", onclick: () => actions.remove(conversation.id) }, icon("trash")));
  })));
}

/** `model`: an item of /v1/models, or null while it loads. */
export function showModel(card, model, problem = "") {
  if (model === null) {
    fill(card, el("p", { class: "model-name" }, el("span", { class: `dot ${problem ? "bad" : "loading"}` }),
      problem || "The model is loading"));
    return;
  }
  const { meta } = model;
  fill(card,
    el("p", { class: "model-name", title: meta?.name ?? model.id }, el("span", { class: "dot good" }), model.id),
    el("p", { class: "quiet" }, `${count(model.max_model_len)} tokens of context`),
    meta && el("p", { class: "quiet" }, `${bytes(meta.size)} · ${meta.compute} · ${meta.kv} cache · ${meta.isa}`));
}
