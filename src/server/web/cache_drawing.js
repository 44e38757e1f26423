// Draws the layout of prefix_tree.js as SVG. Elements live as long as what they stand for, so that the style sheet can
// move them smoothly.
import { fill, svg } from "./dom.js";
import { bytes, count, plural } from "./format.js";

const kLane = 22;
const kGap = 3;
const kAxis = 24;
const kTickDistance = 90;
const kBlockTokens = 64;

export class CacheDrawing {
  /** `describe(requestId)` gives the label of a lane: {name, detail, hue}. */
  constructor(container, describe) {
    this.describe = describe;
    this.boxes = new Map(); // key -> group
    this.axis = svg("g", { class: "axis" });
    this.labels = svg("g", { class: "lane-labels" });
    this.body = svg("g");
    this.root = svg("svg", { class: "cache-drawing", role: "img" },
      svg("defs", {}, svg("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
        svg("rect", { width: 6, height: 6, class: "hatch-back" }), svg("line", { x1: 0, y1: 0, x2: 0, y2: 6, class: "hatch-line" }))),
      this.axis, this.labels, this.body);
    container.append(this.root);
  }

  update(layout, summary) {
    const width = Math.max(280, this.root.parentElement.clientWidth);
    const gutter = width < 560 ? 74 : 150;
    const tokens = Math.max(512, layout.tokens * 1.02);
    const x = (token) => gutter + (token / tokens) * (width - gutter - 4);
    const height = kAxis + Math.max(1, layout.lanes.length) * kLane + 2;
    this.root.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.root.setAttribute("width", width);
    this.root.setAttribute("height", height);
    this.root.setAttribute("aria-label", summary);
    this.drawAxis(tokens, x, height, width);
    this.drawLabels(layout.lanes, gutter);
    this.drawBoxes(layout.boxes, x);
  }

  drawAxis(tokens, x, height, width) {
    const steps = [64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072, 262144, 1048576];
    const step = steps.find((s) => x(s) - x(0) >= kTickDistance) ?? steps.at(-1);
    const ticks = [];
    for (let token = 0; token <= tokens && x(token) < width - 20; token += step) {
      const place = Math.round(x(token)) + 0.5;
      ticks.push(svg("line", { x1: place, y1: kAxis - 5, x2: place, y2: height }),
        svg("text", { x: place, y: 12, "text-anchor": token === 0 ? "start" : "middle" }, token === 0 ? "token 0" : count(token)));
    }
    fill(this.axis, ...ticks);
  }

  drawLabels(lanes, gutter) {
    fill(this.labels, ...lanes.flatMap(({ request }, i) => {
      if (request === null) return [];
      const { name, detail, hue } = this.describe(request);
      const middle = kAxis + i * kLane + (kLane - kGap) / 2;
      const label = svg("text", { x: 16, y: middle, "dominant-baseline": "central" }, svg("tspan", { class: "lane-name" }, name));
      if (gutter > 100) label.append(svg("tspan", { class: "lane-detail", dx: 6 }, detail));
      return [svg("circle", { cx: 6, cy: middle, r: 4, class: `hue-${hue}` }), label];
    }));
  }

  drawBoxes(boxes, x) {
    const old = this.boxes;
    this.boxes = new Map();
    for (const box of boxes) {
      const group = old.get(box.key) ?? newBox();
      old.delete(box.key);
      this.boxes.set(box.key, group);
      const left = x(box.from);
      const width = Math.max(1.5, x(box.to) - left - (box.kind === "tail" || box.kind === "ahead" ? 0.5 : 1.5));
      const top = kAxis + box.lane * kLane;
      const height = box.lanes * kLane - kGap;
      const hue = box.kind === "shared" || box.kind === "idle" ? "" : ` hue-${this.describe(box.requests[0]).hue}`;
      group.element.setAttribute("class", `box ${box.kind}${hue}`);
      place(group.rect, left, top, width, height);
      group.ticks.setAttribute("d", blockTicks(box, x, top, height));
      group.title.textContent = titleOf(box, this.describe);
      group.label.textContent = labelOf(box, width, height);
      group.label.setAttribute("x", left + width / 2);
      group.label.setAttribute("y", top + height / 2);
    }
    for (const group of old.values()) group.element.remove();
    fill(this.body, ...[...this.boxes.values()].map((group) => group.element));
  }
}

function newBox() {
  const rect = svg("rect", { rx: 3.5 });
  const ticks = svg("path", { class: "ticks" });
  const label = svg("text", { class: "box-label", "text-anchor": "middle", "dominant-baseline": "central" });
  const title = svg("title");
  return { element: svg("g", {}, title, rect, ticks, label), rect, ticks, label, title };
}

function place(rect, left, top, width, height) {
  rect.setAttribute("x", left.toFixed(1));
  rect.setAttribute("y", top);
  rect.setAttribute("width", width.toFixed(1));
  rect.setAttribute("height", height);
}

// A hair line between blocks, where there is room for it.
function blockTicks(box, x, top, height) {
  if (box.kind === "ahead" || x(kBlockTokens) - x(0) < 5) return "";
  let path = "";
  for (let token = box.from + kBlockTokens; token < box.to; token += kBlockTokens) {
    path += `M${(x(token) - 0.75).toFixed(1)} ${top}v${height}`;
  }
  return path;
}

function labelOf(box, width, height) {
  const tokens = box.to - box.from;
  if (box.kind === "shared" && width > 110) return `${count(tokens)} tokens, shared by ${box.requests.length}`;
  if (box.kind === "shared" && width > 26) return `×${box.requests.length}`;
  if (box.kind === "idle" && box.lanes > 1 && width > 90 && height > 30) return `${count(tokens)} tokens, kept`;
  return "";
}

function titleOf(box, describe) {
  const names = box.requests.map((id) => describe(id).name).join(", ");
  const tokens = plural(box.to - box.from, "token");
  const size = box.bytes === null ? "" : `, ${bytes(box.bytes)}`;
  switch (box.kind) {
    case "shared": return `${tokens}${size}: stored once, read by ${names}`;
    case "own": return `${tokens}${size}: of ${names} alone`;
    case "idle": return `${tokens}${size}: used by nobody now, kept for the next prompt that begins like this`;
    case "tail": return `${tokens} of ${names}: the last block, still being written`;
    default: return `${tokens} of the prompt of ${names}, still to be computed`;
  }
}
