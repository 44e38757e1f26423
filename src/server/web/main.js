// Puts the page together: which conversation is open, which view is shown, and what keys do.
import { abandonAnswer, answer, isAnswering, liveConversation, saveAnswers, stopAnswer } from "./answering.js";
import { getJson, setKeyDialog, waitUntilReady } from "./api.js";
import { CacheView } from "./cache_view.js";
import { ChatView } from "./chat_view.js";
import { Composer } from "./composer.js";
import { deleteConversation, isConversationName, listConversations, loadConversation, newConversation, saveConversation }
  from "./conversations.js";
import { setUpHelp, setUpKeyDialog } from "./dialogs.js";
import { fill, icon } from "./dom.js";
import { loadSettings } from "./settings.js";
import { setUpSettings } from "./settings_panel.js";
import { showConversations, showModel } from "./sidebar.js";
import { onChange, readText, writeText } from "./storage.js";
import { setUpTheme } from "./theme.js";

const byId = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 56rem)");

let current = newConversation();

const view = new ChatView(byId("messages"), {
  ask: (text) => send(text),
  edit: (index, text) => continueFrom(index, text),
  again: (index) => continueFrom(index),
});
const composer = new Composer({ form: byId("composer"), input: byId("input"), button: byId("send"), hint: byId("hint") }, {
  send: (text) => send(text),
  stop: () => stopAnswer(current.id),
  editLast: () => view.editLast(),
});
const cache = new CacheView(byId("cache"), (path) => getJson(path, { quiet: true }));
const nextTheme = setUpTheme(byId("theme"));
const toggleHelp = setUpHelp(byId("help"));
const refreshSettings = setUpSettings(byId("settings"), () => showSettings(false));

function refresh(soon = false) {
  const answering = isAnswering(current.id);
  if (soon) view.showSoon(current, answering);
  else view.show(current, answering);
  composer.setAnswering(answering);
  document.title = current.title ? `${current.title} – Kvasir` : "Kvasir";
}

function refreshList() {
  showConversations(byId("conversations"), listConversations(), current.id, { open, remove: removeConversation });
}

function notice(text) {
  byId("notice").textContent = text ?? "";
  byId("notice").hidden = !text;
}

function open(id) {
  current = liveConversation(id) ?? loadConversation(id) ?? newConversation();
  writeText("open", current.id);
  showSidebar(false);
  showView("chat");
  refresh();
  refreshList();
  if (!narrow.matches) composer.focus();
}

function removeConversation(id) {
  abandonAnswer(id);
  deleteConversation(id);
  if (id === current.id) open("");
  else refreshList();
}

function onAnswer(conversation, problem) {
  if (problem) notice(problem);
  if (!isAnswering(conversation.id)) refreshList();
  if (conversation.id === current.id) refresh(isAnswering(conversation.id));
}

function begin(conversation) {
  notice(null);
  if (!saveConversation(conversation)) notice("The browser's storage is full: this conversation is kept for this visit only.");
  writeText("open", conversation.id);
  answer(conversation, onAnswer);
  refresh();
  refreshList();
  byId("messages").scrollTop = byId("messages").scrollHeight;
}

function send(text) {
  if (isAnswering(current.id)) return;
  current.messages.push({ role: "user", content: text });
  begin(current);
}

// Answers anew from message `index` on: of the user, with a new text; of the model, in its place.
function continueFrom(index, text) {
  if (isAnswering(current.id)) return;
  current.messages.length = index;
  if (text !== undefined) current.messages.push({ role: "user", content: text });
  begin(current);
}

function answerAgain() {
  const last = current.messages.at(-1);
  if (last) continueFrom(current.messages.length - (last.role === "assistant" ? 1 : 0));
}

function showView(name) {
  for (const view of ["chat", "cache"]) {
    byId(view).hidden = view !== name;
    byId(`tab-${view}`).setAttribute("aria-selected", String(view === name));
    byId(`tab-${view}`).tabIndex = view === name ? 0 : -1;
  }
  history.replaceState(null, "", name === "cache" ? "#cache" : location.pathname);
  cache.setVisible(name === "cache");
}

function shownView() {
  return byId("chat").hidden ? "cache" : "chat";
}

function showSettings(shown) {
  byId("settings").hidden = !shown;
  byId("settings-button").setAttribute("aria-expanded", String(shown));
  byId("app").classList.toggle("with-settings", shown);
  if (shown) refreshSettings();
}

function showSidebar(shown) {
  byId("app").classList.toggle("with-sidebar", shown);
  byId("menu").setAttribute("aria-expanded", String(shown));
}

const kSingleKeys = {
  "/": () => composer.focus(),
  n: () => open(""),
  r: () => answerAgain(),
  g: () => showView(shownView() === "chat" ? "cache" : "chat"),
  s: () => showSettings(byId("settings").hidden),
  t: () => nextTheme(),
  "?": () => toggleHelp(),
};

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.key === "Escape") {
    if (isAnswering(current.id)) stopAnswer(current.id);
    else if (!byId("settings").hidden) showSettings(false);
    else showSidebar(false);
    return;
  }
  const inField = event.target.closest("input, textarea, select, [contenteditable]");
  const action = kSingleKeys[event.key];
  if (inField || !action || !loadSettings().shortcuts) return;
  event.preventDefault();
  action();
}

function setUp() {
  fill(byId("new-chat"), icon("plus"), "New chat");
  fill(byId("menu"), icon("menu"));
  fill(byId("help-button"), icon("help"));
  fill(byId("settings-button"), icon("sliders"));
  byId("new-chat").addEventListener("click", () => open(""));
  byId("menu").addEventListener("click", () => showSidebar(true));
  byId("scrim").addEventListener("click", () => {
    showSidebar(false);
    if (narrow.matches) showSettings(false);
  });
  byId("help-button").addEventListener("click", toggleHelp);
  byId("settings-button").addEventListener("click", () => showSettings(byId("settings").hidden));
  for (const name of ["chat", "cache"]) {
    byId(`tab-${name}`).addEventListener("click", () => showView(name));
    byId(`tab-${name}`).addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const other = name === "chat" ? "cache" : "chat";
      showView(other);
      byId(`tab-${other}`).focus();
    });
  }
  addEventListener("keydown", onKey);
  addEventListener("pagehide", saveAnswers);
  addEventListener("hashchange", () => showView(location.hash === "#cache" ? "cache" : "chat"));
  onChange((name) => {
    if (!isConversationName(name)) return;
    refreshList();
    const changed = !isAnswering(current.id) && loadConversation(current.id);
    if (!changed) return;
    current = changed;
    refresh();
  });
}

async function findModel() {
  try {
    const models = await waitUntilReady((error) => showModel(byId("model-card"), null, error.status === 503 ? "" : error.message));
    showModel(byId("model-card"), models.data[0]);
    view.setModel(models.data[0].id);
  } catch (error) {
    showModel(byId("model-card"), null, error.message);
  }
}

setUp();
setKeyDialog(setUpKeyDialog(byId("key-dialog")));
const hash = location.hash;
open(readText("open") ?? "");
if (hash === "#cache") showView("cache");
findModel();
