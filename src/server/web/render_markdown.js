// The tree of markdown.js as elements. The only way from a model's text into the page.
import { el, fill, icon } from "./dom.js";
import { highlight } from "./highlight.js";
import { parseMarkdown } from "./markdown.js";

/** Shows `text` in `container`. Called again with a longer text, it replaces only the blocks that changed, so that
 * what a reader has selected stays selected while the rest arrives. */
export function renderMarkdown(container, text) {
  const blocks = parseMarkdown(text);
  const shown = container.shownBlocks ?? [];
  let same = 0;
  while (same < shown.length && same < blocks.length && shown[same] === blocks[same].raw) ++same;
  while (container.children.length > same) container.lastElementChild.remove();
  container.append(...blocks.slice(same).map(renderBlock));
  container.shownBlocks = blocks.map((block) => block.raw);
}

function renderBlock(block) {
  switch (block.type) {
    case "heading": return el(`h${Math.min(6, block.level + 2)}`, {}, inline(block.children));
    case "code": return codeBlock(block);
    case "quote": return el("blockquote", {}, block.blocks.map(renderBlock));
    case "list": return list(block);
    case "table": return table(block);
    case "rule": return el("hr");
    default: return el("p", {}, inline(block.children));
  }
}

function inline(nodes) {
  return nodes.map((node) => {
    switch (node.type) {
      case "text": return document.createTextNode(node.text);
      case "break": return el("br");
      case "code": return el("code", {}, node.text);
      case "link":
        return el("a", { href: node.href, target: "_blank", rel: "noopener noreferrer nofollow" }, inline(node.children));
      default: return el(node.type, {}, inline(node.children));
    }
  });
}

function list(block) {
  const properties = block.ordered && block.start !== 1 ? { start: block.start } : {};
  return el(block.ordered ? "ol" : "ul", properties, block.items.map((item) => {
    // A single paragraph needs no element of its own.
    const simple = item.blocks[0]?.type === "paragraph" ? [inline(item.blocks[0].children), item.blocks.slice(1).map(renderBlock)]
      : item.blocks.map(renderBlock);
    if (item.checked === null) return el("li", {}, simple);
    const box = el("input", { type: "checkbox", disabled: true, "aria-label": item.checked ? "done" : "to do" });
    box.checked = item.checked;
    return el("li", { class: "task" }, box, simple);
  }));
}

function table(block) {
  const row = (tag, cells) => el("tr", {}, cells.map((cell, i) => el(tag, { class: `align-${block.align[i]}` }, inline(cell))));
  return el("div", { class: "table-wrap", tabindex: "0", role: "region", "aria-label": "Table" },
    el("table", {}, el("thead", {}, row("th", block.header)), el("tbody", {}, block.rows.map((cells) => row("td", cells)))));
}

function codeBlock(block) {
  const code = el("code", {}, highlight(block.text, block.language));
  const copy = el("button", { type: "button", class: "copy", "aria-label": "Copy the code" }, icon("copy"), "Copy");
  copy.addEventListener("click", () => copyText(block.text, copy));
  return el("figure", { class: "code" },
    el("figcaption", {}, el("span", {}, block.language || "text"), copy),
    el("pre", { tabindex: "0" }, code));
}

/** Copies, and says so on the button for a moment. */
export async function copyText(text, button) {
  const before = [...button.childNodes];
  let done = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    done = copyBySelection(text); // no clipboard without TLS, except on this machine
  }
  fill(button, icon(done ? "check" : "close"), button.classList.contains("icon-button") ? "" : done ? "Copied" : "Not allowed");
  setTimeout(() => fill(button, ...before), 1500);
}

function copyBySelection(text) {
  const area = el("textarea", { class: "offscreen", "aria-hidden": "true" });
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
