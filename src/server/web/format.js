// Numbers for people.

const kGroups = new Intl.NumberFormat("en");

export function count(value) {
  return kGroups.format(Math.round(value));
}

/** "1 token", "2 tokens". */
export function plural(value, noun) {
  return `${count(value)} ${noun}${Math.round(value) === 1 ? "" : "s"}`;
}

/** "42", "4.2", "0.42": about two digits that matter. */
export function rate(value) {
  if (value >= 100 || value === 0) return count(value);
  return value >= 10 ? value.toFixed(0) : value.toFixed(value >= 1 ? 1 : 2);
}

/** "189 MB": powers of 1000, as docs and logs have them. */
export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 999.5 && unit + 1 < units.length) {
    value /= 1000;
    ++unit;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value >= 9.95 ? value.toFixed(1) : value.toFixed(2)} ${units[unit]}`;
}

/** "83 ms", "2.4 s", "3 min". */
export function duration(seconds) {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 99.5) return `${seconds.toFixed(seconds < 9.95 ? 1 : 0)} s`;
  return `${Math.round(seconds / 60)} min`;
}

export function percent(part, whole) {
  return whole > 0 ? `${Math.round((100 * part) / whole)} %` : "–";
}

/** "12 min ago", "yesterday", "3 Nov". */
export function ago(time) {
  const minutes = (Date.now() - time) / 60000;
  if (minutes < 1) return "now";
  if (minutes < 60) return `${Math.floor(minutes)} min ago`;
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return new Date(time).toLocaleDateString(undefined, { day: "numeric", month: "short" });
}
