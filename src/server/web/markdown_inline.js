// Emphasis, code, links and breaks inside a block of Markdown.
//
// One pass with two short stacks, of emphasis marks and of brackets: a closing mark takes the nearest opening one that
// fits. The stacks are bounded and each kind of code fence is searched for in vain at most once, so hostile text costs
// no more than plain text. What does not fit together stays as it was written.

const kMaxStack = 64;
const kMaxAddress = 2000;
const kPunctuation = /[!-/:-@[-`{-~]/;
const kBareAddress = /https?:\/\/[^\s<>"'`\]]+/y;
const kAngleAddress = /<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/y;

/** The address, if it is one that a link may have, else null. */
export function safeAddress(address) {
  const trimmed = address.trim();
  if (!/^(https?:\/\/|mailto:)/i.test(trimmed) || !URL.canParse(trimmed)) return null;
  return ["http:", "https:", "mailto:"].includes(new URL(trimmed).protocol) ? trimmed : null;
}

export function parseInline(text) {
  return new InlineParser(text).parse();
}

class InlineParser {
  constructor(text) {
    this.text = text;
    this.at = 0;
    this.nodes = []; // Finished nodes and, in their places, marks and brackets that may yet become something.
    this.marks = []; // {char, count, index}
    this.brackets = []; // {image, index, marks}
    this.noFence = new Set(); // lengths of code fences that do not occur again
  }

  parse() {
    while (this.at < this.text.length) this.step();
    return merged(this.nodes);
  }

  push(node) {
    this.nodes.push(node);
  }

  literal(length) {
    const text = this.text.slice(this.at, this.at + length);
    const last = this.nodes.at(-1);
    if (last?.type === "text" && !last.open) last.text += text;
    else this.push({ type: "text", text });
    this.at += length;
  }

  step() {
    const char = this.text[this.at];
    switch (char) {
      case "\n": return this.lineBreak();
      case "\\": return this.escape();
      case "`": return this.code();
      case "*": case "_": case "~": return this.emphasis(char);
      case "[": return this.openBracket(false);
      case "!": return this.text[this.at + 1] === "[" ? this.openBracket(true) : this.literal(1);
      case "]": return this.closeBracket();
      case "<": return this.angleAddress();
      case "h": return this.bareAddress();
      default: {
        const next = this.text.slice(this.at + 1).search(/[\n\\`*_~[!\]<h]/);
        return this.literal(next < 0 ? this.text.length - this.at : next + 1);
      }
    }
  }

  lineBreak() {
    const last = this.nodes.at(-1);
    if (last?.type === "text") last.text = last.text.trimEnd();
    this.push({ type: "break" });
    ++this.at;
  }

  escape() {
    const next = this.text[this.at + 1] ?? "";
    if (next === "\n") {
      ++this.at;
    } else if (kPunctuation.test(next)) {
      ++this.at;
      this.push({ type: "text", text: next });
      ++this.at;
    } else {
      this.literal(1);
    }
  }

  code() {
    const fence = /`+/y;
    fence.lastIndex = this.at;
    const length = fence.exec(this.text)[0].length;
    const close = this.noFence.has(length) ? -1 : this.findFence(this.at + length, length);
    if (close < 0) {
      this.noFence.add(length);
      this.literal(length);
      return;
    }
    let text = this.text.slice(this.at + length, close).replaceAll("\n", " ");
    if (text.startsWith(" ") && text.endsWith(" ") && text.trim() !== "") text = text.slice(1, -1);
    this.push({ type: "code", text });
    this.at = close + length;
  }

  findFence(from, length) {
    const fences = /`+/g;
    fences.lastIndex = from;
    for (let found = fences.exec(this.text); found; found = fences.exec(this.text)) {
      if (found[0].length === length) return found.index;
    }
    return -1;
  }

  emphasis(char) {
    let count = 1;
    while (this.text[this.at + count] === char) ++count;
    if (count > 3 || (char === "~" && count !== 2)) return this.literal(count);
    const before = this.text[this.at - 1] ?? " ";
    const after = this.text[this.at + count] ?? " ";
    let opens = !/\s/.test(after) && (!kPunctuation.test(after) || /\s/.test(before) || kPunctuation.test(before));
    let closes = !/\s/.test(before) && (!kPunctuation.test(before) || /\s/.test(after) || kPunctuation.test(after));
    if (char === "_") {
      opens &&= !/\w/.test(before);
      closes &&= !/\w/.test(after);
    }
    if (closes && this.closeEmphasis(char, count)) return undefined;
    if (!opens || this.marks.length >= kMaxStack) return this.literal(count);
    this.marks.push({ char, count, index: this.nodes.length });
    this.push({ type: "text", text: char.repeat(count), open: true });
    this.at += count;
    return undefined;
  }

  closeEmphasis(char, count) {
    let i = this.marks.length - 1;
    while (i >= 0 && !(this.marks[i].char === char && this.marks[i].count === count)) --i;
    const floor = this.brackets.at(-1)?.marks ?? 0;
    if (i < floor) return false;
    const { index } = this.marks[i];
    const inner = merged(this.nodes.splice(index).slice(1));
    this.marks.length = i;
    const wrap = (type, children) => ({ type, children });
    let node = wrap(char === "~" ? "del" : count === 1 ? "em" : "strong", inner);
    if (count === 3) node = wrap("em", [node]);
    this.push(node);
    this.at += count;
    return true;
  }

  openBracket(image) {
    const length = image ? 2 : 1;
    if (this.brackets.length >= kMaxStack) return this.literal(length);
    this.brackets.push({ image, index: this.nodes.length, marks: this.marks.length });
    this.push({ type: "text", text: image ? "![" : "[", open: true });
    this.at += length;
    return undefined;
  }

  closeBracket() {
    const bracket = this.brackets.pop();
    const target = bracket && this.text[this.at + 1] === "(" ? this.readTarget(this.at + 2) : null;
    const href = target && safeAddress(target.address);
    if (!target || !href) return this.literal(1);
    const inner = merged(this.nodes.splice(bracket.index).slice(1));
    this.marks.length = Math.min(this.marks.length, bracket.marks);
    const children = bracket.image ? [{ type: "text", text: `image: ${plainText(inner) || href}` }] : withoutLinks(inner);
    this.push({ type: "link", href, children: children.length > 0 ? children : [{ type: "text", text: href }] });
    this.at = target.end;
    return undefined;
  }

  // "address "title")" from `start` on; parentheses in the address must match.
  readTarget(start) {
    let depth = 0;
    const limit = Math.min(this.text.length, start + kMaxAddress);
    for (let i = start; i < limit; ++i) {
      const char = this.text[i];
      if (char === "\n") return null;
      if (char === "(") ++depth;
      if (char === ")" && depth-- === 0) {
        const [address] = this.text.slice(start, i).trim().split(/\s+["'(]/, 1);
        return { address: address.replace(/^<|>$/g, ""), end: i + 1 };
      }
    }
    return null;
  }

  angleAddress() {
    kAngleAddress.lastIndex = this.at;
    const found = kAngleAddress.exec(this.text);
    const href = found && safeAddress(found[1]);
    if (!href) return this.literal(1);
    this.push({ type: "link", href, children: [{ type: "text", text: href }] });
    this.at += found[0].length;
    return undefined;
  }

  bareAddress() {
    kBareAddress.lastIndex = this.at;
    const found = /\w/.test(this.text[this.at - 1] ?? " ") ? null : kBareAddress.exec(this.text.slice(0, this.at + kMaxAddress));
    if (!found) return this.literal(1);
    let address = found[0].replace(/[.,;:!?*_~]+$/, "");
    while (address.endsWith(")") && address.split(")").length > address.split("(").length) address = address.slice(0, -1);
    const href = safeAddress(address);
    if (!href) return this.literal(1);
    this.push({ type: "link", href, children: [{ type: "text", text: address }] });
    this.at += address.length;
    return undefined;
  }
}

// Texts that stand side by side become one.
function merged(nodes) {
  const out = [];
  for (const node of nodes) {
    const last = out.at(-1);
    if (node.type === "text" && last?.type === "text") last.text += node.text;
    else out.push(node.type === "text" ? { type: "text", text: node.text } : node);
  }
  return out;
}

function withoutLinks(nodes) {
  return nodes.flatMap((node) => {
    if (node.type === "link") return node.children;
    return node.children ? [{ ...node, children: withoutLinks(node.children) }] : [node];
  });
}

/** What is left when all marks are taken away. */
export function plainText(nodes) {
  return nodes.map((node) => node.text ?? (node.type === "break" ? " " : plainText(node.children))).join("");
}
