// Runs before the first paint, so that a chosen theme does not flash; theme.js does the rest.
try {
  const theme = localStorage.getItem("kvasir.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without storage the system's theme is used.
}
