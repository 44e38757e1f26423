// Conversations, each stored under a name of its own, so that tabs which write different ones do not meet.
//
//   {id, title, updated, messages: [{role: "user" | "assistant", content, stats?, problem?, stopped?}]}
import { names, readJson, remove, writeJson } from "./storage.js";

const kBeginning = "chat.";
const kTitleLength = 60;

export function newConversation() {
  return { id: crypto.getRandomValues(new Uint32Array(2)).join("-"), title: "", updated: Date.now(), messages: [] };
}

function isConversation(value) {
  return value !== null && typeof value === "object" && typeof value.id === "string" && Array.isArray(value.messages) &&
    value.messages.every((message) => ["user", "assistant"].includes(message?.role) && typeof message.content === "string");
}

/** The stored conversation, or null. */
export function loadConversation(id) {
  const stored = readJson(kBeginning + id);
  return isConversation(stored) ? stored : null;
}

/** All of them, the latest first. */
export function listConversations() {
  return names(kBeginning).map((name) => readJson(name)).filter(isConversation).sort((a, b) => b.updated - a.updated);
}

/** Returns false where the browser keeps it for this visit only. */
export function saveConversation(conversation) {
  conversation.updated = Date.now();
  const first = conversation.messages.find((message) => message.role === "user");
  if (first) conversation.title = titleOf(first.content);
  return writeJson(kBeginning + conversation.id, conversation);
}

export function deleteConversation(id) {
  remove(kBeginning + id);
}

export function isConversationName(name) {
  return name.startsWith(kBeginning);
}

function titleOf(text) {
  const line = text.trim().split("\n", 1)[0];
  return line.length > kTitleLength ? `${line.slice(0, kTitleLength).trimEnd()}…` : line;
}
