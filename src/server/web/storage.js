// What stays in the browser, under names of our own. A browser may forbid storage or be full: then things are kept for
// this visit only, and whoever writes is told.

const kPrefix = "kvasir.";
const visit = new Map();

export function readText(name) {
  try {
    return localStorage.getItem(kPrefix + name) ?? visit.get(name) ?? null;
  } catch {
    return visit.get(name) ?? null;
  }
}

/** Returns whether it will be there at the next visit. */
export function writeText(name, text) {
  try {
    localStorage.setItem(kPrefix + name, text);
    visit.delete(name);
    return true;
  } catch {
    visit.set(name, text);
    return false;
  }
}

export function remove(name) {
  visit.delete(name);
  try {
    localStorage.removeItem(kPrefix + name);
  } catch {
    // There was nothing.
  }
}

/** The value, or null where there is none or it cannot be read. */
export function readJson(name) {
  try {
    return JSON.parse(readText(name));
  } catch {
    return null;
  }
}

export function writeJson(name, value) {
  return writeText(name, JSON.stringify(value));
}

/** The names that begin with `beginning`. */
export function names(beginning) {
  const found = new Set([...visit.keys()].filter((name) => name.startsWith(beginning)));
  try {
    for (let i = 0; i < localStorage.length; ++i) {
      const name = localStorage.key(i);
      if (name.startsWith(kPrefix + beginning)) found.add(name.slice(kPrefix.length));
    }
  } catch {
    // No storage: what this visit knows is all.
  }
  return [...found];
}

/** Calls back with a name when another tab has changed it. */
export function onChange(callback) {
  addEventListener("storage", (event) => {
    if (event.key?.startsWith(kPrefix)) callback(event.key.slice(kPrefix.length));
  });
}
