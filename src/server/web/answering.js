// Answers on their way: one at most per conversation, several conversations at once. They go on when another
// conversation is looked at.
import { streamChat } from "./api.js";
import { saveConversation } from "./conversations.js";
import { loadSettings, requestFor } from "./settings.js";

const running = new Map(); // conversation id -> {conversation, abort}

export function isAnswering(id) {
  return running.has(id);
}

/** The conversation that is being answered, with the text so far, which storage does not have yet. */
export function liveConversation(id) {
  return running.get(id)?.conversation ?? null;
}

/** The server ends the request as soon as the connection is gone. */
export function stopAnswer(id) {
  running.get(id)?.abort.abort();
}

/** The same for a conversation that was deleted: what has arrived is not stored. */
export function abandonAnswer(id) {
  const entry = running.get(id);
  if (!entry) return;
  entry.deleted = true;
  entry.abort.abort();
}

/** Stores what has arrived; for a page that is about to go. */
export function saveAnswers() {
  for (const { conversation, deleted } of running.values()) {
    conversation.messages.at(-1).stopped = true;
    if (!deleted) saveConversation(conversation);
  }
}

/** Streams an answer to the end of `conversation`. `onChange(conversation)` is called after each change. */
export async function answer(conversation, onChange) {
  const abort = new AbortController();
  const request = requestFor(conversation.messages, loadSettings());
  const message = { role: "assistant", content: "" };
  conversation.messages.push(message);
  const entry = { conversation, abort, deleted: false };
  running.set(conversation.id, entry);
  onChange(conversation);
  const clock = new AnswerClock();
  try {
    for await (const event of streamChat(request, abort.signal)) {
      if (event.usage) clock.usage = event.usage;
      const choice = event.choices[0];
      if (choice?.finish_reason) message.finish = choice.finish_reason;
      const { content, reasoning_content: thought } = choice?.delta ?? {};
      if (!content && !thought) continue;
      clock.token();
      if (thought) message.thoughts = (message.thoughts ?? "") + thought;
      if (content) message.content += content;
      onChange(conversation);
    }
  } catch (error) {
    if (error.name === "AbortError") message.stopped = true;
    else message.problem = error.message;
  }
  message.stats = clock.stats();
  running.delete(conversation.id);
  if (entry.deleted) return;
  const kept = saveConversation(conversation);
  onChange(conversation, kept ? null : "The browser's storage is full: this conversation is kept for this visit only.");
}

// Times as the reader sees them: from sending the request to the text on the screen.
class AnswerClock {
  constructor() {
    this.start = performance.now();
    this.first = null;
    this.last = null;
    this.pieces = 0;
    this.usage = null;
  }

  token() {
    this.last = performance.now();
    this.first ??= this.last;
    ++this.pieces;
  }

  stats() {
    if (this.first === null) return null;
    // A stopped answer has no usage; its pieces are its tokens, or a little fewer.
    const tokens = this.usage?.completion_tokens ?? this.pieces;
    const seconds = (this.last - this.first) / 1000;
    return {
      tokens,
      perSecond: tokens > 1 && seconds > 0 ? (tokens - 1) / seconds : null,
      firstSeconds: (this.first - this.start) / 1000,
      prompt: this.usage?.prompt_tokens ?? null,
      cached: this.usage?.prompt_tokens_details?.cached_tokens ?? null,
    };
  }
}
