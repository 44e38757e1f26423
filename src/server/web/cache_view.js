// The live view: what the server computes now, whose pages fill its memory, and who waits.
import { CacheDrawing } from "./cache_drawing.js";
import { el, fill, svg } from "./dom.js";
import { bytes, count, duration, percent, plural, rate } from "./format.js";
import { layOut } from "./prefix_tree.js";

const kInterval = 1000;
const kHistory = 60;
const kHues = 8;

export class CacheView {
  /** `get(path)` fetches JSON. */
  constructor(container, get) {
    this.get = get;
    this.timer = 0;
    this.visible = false;
    this.last = null; // {time, tokens} of the poll before
    this.history = [];
    this.requests = new Map();
    this.build(container);
    document.addEventListener("visibilitychange", () => this.setVisible(this.visible));
    new ResizeObserver(() => this.redraw()).observe(container);
  }

  build(container) {
    this.problem = el("p", { class: "problem", role: "alert", hidden: true });
    this.tiles = Object.fromEntries([["generated", "generated now", "tokens/s"], ["prompt", "prompts now", "tokens/s"],
      ["hit", "prompt tokens from the cache", "since the start"], ["queue", "running, waiting", "requests"]].map(([name, label, unit]) => {
      const value = el("span", { class: "tile-value" }, "–");
      const spark = svg("svg", { class: "spark", viewBox: "0 0 120 28", preserveAspectRatio: "none", "aria-hidden": "true" });
      return [name, { value, spark, element: el("div", { class: "tile" }, el("span", { class: "tile-label" }, label),
        el("span", { class: "tile-line" }, value, el("span", { class: "tile-unit" }, unit)), spark) }];
    }));
    this.memoryBar = el("div", { class: "memory-bar", role: "img" });
    this.memoryLegend = el("ul", { class: "legend" });
    this.memoryTotal = el("span", { class: "card-note" });
    this.treeNote = el("span", { class: "card-note" });
    this.tree = el("div", { class: "tree" });
    this.treeEmpty = el("p", { class: "quiet empty" },
      "Nothing is cached yet. Ask something in the chat, here or from a program, and watch its pages appear.");
    this.treeRest = el("p", { class: "quiet rest" });
    this.table = el("tbody");
    this.tableEmpty = el("p", { class: "quiet empty" }, "No request is running or waiting.");
    const card = (title, note, ...content) => el("section", { class: "card" }, el("h2", {}, title, note), content);
    fill(container, el("div", { class: "cache-inner" }, this.problem,
      el("div", { class: "tiles" }, Object.values(this.tiles).map((tile) => tile.element)),
      card("Key-value cache", this.treeNote, this.tree, this.treeEmpty, this.treeRest, treeLegend()),
      card("Memory", this.memoryTotal, this.memoryBar, this.memoryLegend),
      card("Requests", null, el("div", { class: "table-wrap" }, el("table", { class: "requests" },
        el("thead", {}, el("tr", {}, ["Request", "Key", "State", "Prompt", "From cache", "Generated", "Cache", "Age"].map((name) =>
          el("th", { scope: "col" }, name)))), this.table)), this.tableEmpty)));
    this.drawing = new CacheDrawing(this.tree, (id) => this.describe(id));
  }

  setVisible(visible) {
    this.visible = visible;
    clearTimeout(this.timer);
    if (visible && !document.hidden) this.poll();
  }

  async poll() {
    clearTimeout(this.timer);
    try {
      const [slots, map] = await Promise.all([this.get("/slots"), this.get("/cache")]);
      this.show(slots, map);
      this.problem.hidden = true;
    } catch (error) {
      this.problem.textContent = `Nothing new to show: ${error.message}.`;
      this.problem.hidden = false;
      this.last = null;
    }
    if (this.visible && !document.hidden) this.timer = setTimeout(() => this.poll(), kInterval);
  }

  show(slots, map) {
    this.latest = { slots, map };
    this.requests = new Map(slots.requests.map((request) => [request.id, request]));
    this.showTiles(slots);
    this.showMemory(slots.memory);
    this.redraw();
    fill(this.table, slots.requests.map((request) => this.row(request)));
    this.tableEmpty.hidden = slots.requests.length > 0;
    this.table.parentElement.hidden = slots.requests.length === 0;
  }

  showTiles({ tokens, running, waiting }) {
    const time = performance.now();
    const now = { time, generated: tokens.generated, prompt: tokens.prompt, busy: running + waiting };
    const seconds = this.last ? (time - this.last.time) / 1000 : 0;
    const speed = (name) => (seconds > 0 ? Math.max(0, now[name] - this.last[name]) / seconds : 0);
    const speeds = { generated: speed("generated"), prompt: speed("prompt") };
    this.last = now;
    this.history.push({ ...speeds, queue: now.busy });
    this.history.splice(0, this.history.length - kHistory);
    this.tiles.generated.value.textContent = rate(speeds.generated);
    this.tiles.prompt.value.textContent = rate(speeds.prompt);
    this.tiles.hit.value.textContent = percent(tokens.cached, tokens.cached + tokens.prompt);
    this.tiles.queue.value.textContent = `${count(running)}, ${count(waiting)}`;
    for (const name of ["generated", "prompt", "queue"]) drawSpark(this.tiles[name].spark, this.history.map((entry) => entry[name]));
  }

  showMemory(memory) {
    const own = memory.kv - memory.kv_cached - memory.kv_shared;
    const parts = [
      ["weights", "weights", memory.weights],
      ["scratch", "activations", memory.activations],
      ["own", "cache, of one request", Math.max(0, own)],
      ["shared", "cache, shared", memory.kv_shared],
      ["idle", "cache, kept for reuse", memory.kv_cached],
      ["free", "cache, free", memory.kv_budget - memory.kv],
    ];
    const total = parts.reduce((sum, [, , size]) => sum + size, 0);
    this.memoryTotal.textContent = `${bytes(memory.kv)} of ${bytes(memory.kv_budget)} of cache in use; ${bytes(total)} in all`;
    this.memoryBar.setAttribute("aria-label", parts.map(([, name, size]) => `${name} ${bytes(size)}`).join(", "));
    if (this.memoryBar.children.length !== parts.length) {
      fill(this.memoryBar, parts.map(([kind]) => el("span", { class: `part ${kind}` })));
    }
    parts.forEach(([, name, size], i) => {
      this.memoryBar.children[i].style.flexGrow = String(size / total);
      this.memoryBar.children[i].title = `${name}: ${bytes(size)}`;
    });
    fill(this.memoryLegend, parts.map(([kind, name, size]) =>
      el("li", {}, el("i", { class: `swatch ${kind}` }), name, el("b", {}, bytes(size)))));
  }

  redraw() {
    if (!this.latest || !this.visible) return;
    const { slots, map } = this.latest;
    const expected = new Map(slots.requests.filter((request) => request.phase === "prompt")
      .map((request) => [request.id, request.prompt_tokens]));
    const layout = layOut(map.segments, map.requests, expected, this.tree.clientWidth < 560 ? 8 : 14);
    const blocks = map.segments.reduce((sum, segment) => sum + segment.tokens / map.block_tokens, 0);
    const shared = map.segments.filter((segment) => segment.requests.length > 1).reduce((sum, { tokens }) => sum + tokens, 0);
    this.treeNote.textContent = blocks === 0 ? "" : `${plural(blocks, "block")} of ${map.block_tokens} tokens`;
    this.treeEmpty.hidden = layout.lanes.length > 0;
    this.tree.hidden = layout.lanes.length === 0;
    const { texts, bytes: size } = layout.idleLeftOut;
    const more = texts + map.left_out.segments;
    this.treeRest.hidden = more === 0;
    this.treeRest.textContent = `And ${plural(more, "more kept text")}, ${bytes(size + map.left_out.bytes)}.`;
    this.drawing.update(layout, `${plural(map.requests.length, "request")} in ${plural(layout.lanes.length, "lane")}; ` +
      `${plural(blocks, "block")} held, ${plural(shared, "token")} of them shared`);
  }

  describe(id) {
    const request = this.requests.get(id);
    const hue = id % kHues;
    if (!request) return { name: `#${id}`, detail: "", hue };
    const detail = { waiting: "waits", prompt: `reads ${percent(request.computed_tokens, request.prompt_tokens)}`,
      generating: `writes ${count(request.generated_tokens)}` }[request.phase] ?? request.phase;
    return { name: `#${id}`, detail, hue };
  }

  row(request) {
    const { hue } = this.describe(request.id);
    const read = request.phase === "waiting" ? 0 : Math.min(1, request.computed_tokens / request.prompt_tokens);
    const meter = el("span", { class: "meter" }, el("i", {}));
    meter.firstChild.style.width = `${(100 * read).toFixed(0)}%`;
    const cells = [
      [el("i", { class: `dot hue-${hue}` }), `#${request.id}`],
      request.key || "–",
      [el("span", { class: `phase ${request.phase}` }, { prompt: "reading", generating: "writing" }[request.phase] ?? request.phase),
        request.preemptions > 0 && el("span", { class: "quiet", title: "its memory was taken for others" }, ` ×${request.preemptions}`)],
      [count(request.prompt_tokens), meter],
      request.cached_tokens > 0 ? count(request.cached_tokens) : "–",
      count(request.generated_tokens),
      bytes(request.kv_bytes),
      duration(request.age_seconds),
    ];
    return el("tr", {}, cells.map((cell) => el("td", {}, cell)));
  }
}

function treeLegend() {
  const entries = [["shared", "shared: stored once"], ["own", "of one request"], ["tail", "being written"], ["ahead", "still to be read"],
    ["idle", "kept for reuse"]];
  return el("ul", { class: "legend tree-legend" }, entries.map(([kind, text]) => el("li", {}, el("i", { class: `swatch ${kind}` }), text)));
}

function drawSpark(element, values) {
  const top = Math.max(1, ...values);
  const points = values.map((value, i) => [120 - (values.length - 1 - i) * (120 / (kHistory - 1)), 26 - 24 * (value / top)]);
  const line = points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  const [first] = points;
  fill(element, svg("path", { class: "spark-area", d: `${line}L120 28L${first[0].toFixed(1)} 28Z` }), svg("path", { class: "spark-line", d: line }));
}
