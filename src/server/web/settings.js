// What requests say besides the conversation. A setting that is empty is not sent: the server's default holds.
import { readJson, writeJson } from "./storage.js";

/** Numbers that a request may have, by the API's names. */
export const kNumbers = [
  { name: "temperature", label: "Temperature", min: 0, max: 5, step: 0.05, hint: "0 always takes the likeliest token" },
  { name: "top_p", label: "Top-p", min: 0, max: 1, step: 0.01, hint: "the smallest set with this much probability" },
  { name: "top_k", label: "Top-k", min: 0, max: 100000, step: 1, hint: "the k likeliest; 0 is off" },
  { name: "min_p", label: "Min-p", min: 0, max: 1, step: 0.01, hint: "at least this part of the likeliest" },
  { name: "repeat_penalty", label: "Repeat penalty", min: 0.1, max: 10, step: 0.05, hint: "above 1 avoids repetition" },
  { name: "presence_penalty", label: "Presence penalty", min: -2, max: 2, step: 0.1, hint: "for any token seen before" },
  { name: "frequency_penalty", label: "Frequency penalty", min: -2, max: 2, step: 0.1, hint: "for each time it was seen" },
  { name: "max_tokens", label: "Longest answer", min: 1, max: 1000000, step: 1, hint: "in tokens; empty: until it ends" },
  { name: "seed", label: "Seed", min: 0, max: 9007199254740991, step: 1, hint: "the same seed, the same text" },
];

const kDefaults = { system: "", stop: "", shortcuts: true, numbers: {} };

export function loadSettings() {
  const stored = readJson("settings");
  if (stored === null || typeof stored !== "object") return structuredClone(kDefaults);
  return {
    system: typeof stored.system === "string" ? stored.system : "",
    stop: typeof stored.stop === "string" ? stored.stop : "",
    shortcuts: stored.shortcuts !== false,
    numbers: Object.fromEntries(kNumbers.map(({ name }) => [name, stored.numbers?.[name]]).filter(([, value]) => Number.isFinite(value))),
  };
}

export function saveSettings(settings) {
  writeJson("settings", settings);
}

export function defaultSettings() {
  return structuredClone(kDefaults);
}

/** The request for an answer to `messages`. */
export function requestFor(messages, settings) {
  const system = settings.system.trim() === "" ? [] : [{ role: "system", content: settings.system }];
  const stop = settings.stop.split("\n").filter((line) => line !== "");
  return {
    // An answer that failed before its first word is no part of the conversation.
    messages: [...system, ...messages.filter(({ role, content }) => role === "user" || content !== "")
      .map(({ role, content }) => ({ role, content }))],
    ...settings.numbers,
    ...(stop.length > 0 ? { stop } : {}),
  };
}
