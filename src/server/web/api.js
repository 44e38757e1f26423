// The server's API, as the page uses it.
import { readEvents } from "./event_stream.js";
import { readText, remove, writeText } from "./storage.js";

export class ApiError extends Error {
  constructor(message, status = 0, code = null) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

let askForKey = async () => false;
let asking = null;

/** `ask(message)` asks the user for an API key and gives it, or null. */
export function setKeyDialog(ask) {
  askForKey = ask;
}

export function hasKey() {
  return readText("key") !== null;
}

export function forgetKey() {
  remove("key");
}

async function newKey(message) {
  asking ??= askForKey(message).finally(() => {
    asking = null;
  });
  const key = await asking;
  if (key) writeText("key", key);
  return Boolean(key);
}

async function errorOf(response) {
  try {
    const { error } = await response.json();
    return new ApiError(error.message, response.status, error.code);
  } catch {
    return new ApiError(`the server answered with status ${response.status}`, response.status);
  }
}

/** One call. Asks for a key where the server wants one, unless `quiet`. Throws ApiError, and AbortError after `signal`. */
async function call(path, { body, signal, quiet = false } = {}) {
  for (;;) {
    const key = readText("key");
    let response;
    try {
      response = await fetch(path, {
        method: body === undefined ? "GET" : "POST",
        headers: {
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...(key ? { authorization: `Bearer ${key}` } : {}),
        },
        body: body === undefined ? undefined : JSON.stringify(body),
        credentials: "omit", // else the browser would ask for a password by itself
        cache: "no-store",
        signal,
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError("the server cannot be reached");
    }
    if (response.ok) return response;
    const error = await errorOf(response);
    if (error.status !== 401 || quiet || !(await newKey(error.message))) throw error;
  }
}

export async function getJson(path, options) {
  return (await call(path, options)).json();
}

/** Waits until the model is loaded; `onWait` is called each time it is not. */
export async function waitUntilReady(onWait) {
  for (;;) {
    try {
      return await getJson("/v1/models");
    } catch (error) {
      if (error.status !== 503 && error.status !== 0) throw error;
      onWait(error);
      await new Promise((resolve) => setTimeout(resolve, 700));
    }
  }
}

/** The events of a streamed chat answer. Throws ApiError also for an error in mid-stream or a broken connection. */
export async function* streamChat(request, signal) {
  const response = await call("/v1/chat/completions", {
    body: { ...request, stream: true, stream_options: { include_usage: true } },
    signal,
  });
  try {
    for await (const data of readEvents(response.body)) {
      if (data === "[DONE]") return;
      const event = JSON.parse(data);
      if (event.error) throw new ApiError(event.error.message, 0, event.error.code);
      yield event;
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof ApiError) throw error;
    throw new ApiError("the connection broke off");
  }
  throw new ApiError("the connection broke off before the answer was complete");
}
