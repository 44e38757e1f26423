// Markdown to a tree of plain values. What a model writes is not trusted: HTML is text, images are links, addresses
// are http, https or mailto, nesting is bounded, and no input takes more than about linear time.
//
//   block:  {type, raw, ...}: paragraph, heading {level}, code {language, text}, quote {blocks}, list {ordered, start,
//           items: [{checked, blocks}]}, table {align, header, rows}, rule
//   inline: {type, ...}: text {text}, strong / em / del {children}, code {text}, link {href, children}, break

import { parseInline } from "./markdown_inline.js";

const kMaxDepth = 12;

const kFence = /^( {0,3})(`{3,}|~{3,})\s*([^`]*)$/;
const kHeading = /^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$/;
const kRule = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const kItem = /^( *)([-*+]|\d{1,9}[.)])(\s+|$)/;
const kTask = /^\[([ xX])\]\s+/;
const kTableLine = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/** The blocks of a text. `raw` of each is its source: where it has not changed, neither has the block. */
export function parseMarkdown(text, depth = 0) {
  const lines = text.replace(/\r\n?/g, "\n").replaceAll("\0", "\uFFFD").split("\n");
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (lines[at].trim() === "") {
      ++at;
      continue;
    }
    const block = parseBlock(lines, at, depth);
    block.raw = lines.slice(at, block.end).join("\n");
    at = block.end;
    blocks.push(block);
  }
  return blocks;
}

function parseBlock(lines, at, depth) {
  const line = lines[at];
  const fence = kFence.exec(line);
  if (fence) return parseFence(lines, at, fence);
  const heading = kHeading.exec(line);
  if (heading) return { type: "heading", level: heading[1].length, children: parseInline(heading[2] ?? ""), end: at + 1 };
  if (kRule.test(line)) return { type: "rule", end: at + 1 };
  if (depth < kMaxDepth) {
    if (/^ {0,3}>/.test(line)) return parseQuote(lines, at, depth);
    if (kItem.test(line)) return parseList(lines, at, depth);
  }
  if (isTableAt(lines, at)) return parseTable(lines, at);
  return parseParagraph(lines, at);
}

// A fence that is not closed goes on to the end: so it is while the text is still arriving.
function parseFence(lines, at, [, indent, fence, info]) {
  const closing = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}\\s*$`);
  let end = at + 1;
  while (end < lines.length && !closing.test(lines[end])) ++end;
  const text = lines.slice(at + 1, end).map((line) => line.replace(new RegExp(`^ {0,${indent.length}}`), "")).join("\n");
  return { type: "code", language: info.trim().split(/\s/, 1)[0], text, end: Math.min(end + 1, lines.length) };
}

function parseQuote(lines, at, depth) {
  let end = at;
  const inner = [];
  while (end < lines.length && /^ {0,3}>/.test(lines[end])) inner.push(lines[end++].replace(/^ {0,3}> ?/, ""));
  return { type: "quote", blocks: parseMarkdown(inner.join("\n"), depth + 1), end };
}

function parseList(lines, at, depth) {
  const first = kItem.exec(lines[at]);
  const ordered = /\d/.test(first[2]);
  const items = [];
  let end = at;
  while (end < lines.length) {
    const mark = kItem.exec(lines[end]);
    if (!mark || mark[1].length !== first[1].length || /\d/.test(mark[2]) !== ordered || kRule.test(lines[end])) break;
    const indent = mark[0].trimEnd().length + (mark[3].length > 0 && mark[3].length <= 4 ? mark[3].length : 1);
    const inner = [lines[end].slice(mark[0].trimEnd().length).trimStart()];
    for (++end; end < lines.length; ++end) {
      const blank = lines[end].trim() === "";
      const deeper = lines[end].search(/\S/) > first[1].length;
      // A blank line stays inside when what follows is indented; a line without indent only continues a paragraph.
      if (blank && !(lines[end + 1]?.search(/\S/) > first[1].length)) break;
      if (!blank && !deeper && (kItem.test(lines[end]) || startsBlock(lines[end]) || lines[end - 1].trim() === "")) break;
      inner.push(lines[end].slice(Math.min(indent, Math.max(0, lines[end].search(/\S/)))));
    }
    const task = kTask.exec(inner[0]);
    if (task) inner[0] = inner[0].slice(task[0].length);
    items.push({ checked: task ? task[1] !== " " : null, blocks: parseMarkdown(inner.join("\n"), depth + 1) });
    // One blank line between items keeps the list together.
    if (lines[end]?.trim() === "" && sameList(lines[end + 1], first, ordered)) ++end;
  }
  return { type: "list", ordered, start: ordered ? parseInt(first[2], 10) : 1, items, end };
}

function sameList(line, first, ordered) {
  const mark = kItem.exec(line ?? "");
  return mark !== null && mark[1].length === first[1].length && /\d/.test(mark[2]) === ordered;
}

function startsBlock(line) {
  return kFence.test(line) || kHeading.test(line) || kRule.test(line) || /^ {0,3}>/.test(line);
}

function isTableAt(lines, at) {
  return lines[at].includes("|") && at + 1 < lines.length && lines[at + 1].includes("-") && kTableLine.test(lines[at + 1]) &&
    cells(lines[at]).length === cells(lines[at + 1]).length;
}

function cells(line) {
  const inner = line.trim().replace(/^\|/, "").replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function parseTable(lines, at) {
  const align = cells(lines[at + 1]).map((cell) => {
    if (cell.endsWith(":")) return cell.startsWith(":") ? "center" : "right";
    return "left";
  });
  const rows = [];
  let end = at + 2;
  for (; end < lines.length && lines[end].includes("|") && lines[end].trim() !== ""; ++end) {
    const row = cells(lines[end]).slice(0, align.length).map(parseInline);
    while (row.length < align.length) row.push([]);
    rows.push(row);
  }
  return { type: "table", align, header: cells(lines[at]).map(parseInline), rows, end };
}

function parseParagraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() !== "" && !startsBlock(lines[end]) && !isTableAt(lines, end)) {
    const item = kItem.exec(lines[end]);
    if (item && item[1].length < 4 && item[3].length > 0 && (!/\d/.test(item[2]) || parseInt(item[2], 10) === 1)) break;
    ++end;
  }
  return { type: "paragraph", children: parseInline(lines.slice(at, end).map((line) => line.trimStart()).join("\n")), end };
}
