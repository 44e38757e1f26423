// Where the drawing of the cache puts things.
//
// The problem: sequences share beginnings, and what is shared exists once. The idea: an icicle plot. Across is the
// position in the text, down are lanes, one for each end of a text; a piece that several texts share is as high as their
// lanes together. So the ink is the memory: nothing is drawn twice, and a fork looks like a fork.

/** `segments`: {id, parent, first_token, tokens, bytes, requests}; `tails`: {id, segment, tokens}, what a request has
 * beyond its last segment; `expected`: Map request id -> tokens it will have computed when its prompt is done.
 * The segments used last come first; at most `maxIdle` lanes are given to texts that no request uses. Gives
 *   {lanes: [{request}], boxes: [{key, kind, lane, lanes, from, to, ...}], tokens, idleLeftOut: {texts, bytes}}
 * where kind is "shared", "own", "idle", "tail" or "ahead". */
export function layOut(segments, tails, expected, maxIdle) {
  const nodes = new Map(segments.map((segment) => [segment.id, { segment, children: [], tails: [] }]));
  const roots = [];
  for (const node of nodes.values()) {
    const parent = nodes.get(node.segment.parent);
    (parent ? parent.children : roots).push(node);
  }
  const loose = []; // requests whose beginning is not held by the cache
  for (const tail of tails) {
    const end = nodes.get(tail.segment);
    (end ? end.tails : loose).push(tail);
  }
  const idle = chooseIdle([...nodes.values()], maxIdle);
  const out = { lanes: [], boxes: [], tokens: 0, idleLeftOut: idle.leftOut };
  for (const root of sorted(roots)) place(root, expected, idle.chosen, out);
  for (const tail of loose) placeTail(tail, 0, expected, out);
  return out;
}

// In use first, then in the order in which they came: a lane keeps its place while it lives.
function sorted(nodes) {
  return [...nodes].sort((a, b) => (b.segment.requests.length > 0) - (a.segment.requests.length > 0) || a.segment.id - b.segment.id);
}

// The ends of texts that nobody uses; the server sends what was used last first.
function chooseIdle(nodes, maxIdle) {
  const ends = nodes.filter((node) => node.children.length === 0 && node.segment.requests.length === 0);
  const chosen = new Set(ends.slice(0, maxIdle));
  const rest = ends.slice(maxIdle);
  return { chosen, leftOut: { texts: rest.length, bytes: rest.reduce((sum, node) => sum + node.segment.bytes, 0) } };
}

// Places a node and what is behind it in the lanes from the next free one on. False: nothing of it is shown.
function place(node, expected, chosen, out) {
  const { segment } = node;
  const from = out.lanes.length;
  const at = out.boxes.length;
  const end = segment.first_token + segment.tokens;
  for (const child of sorted(node.children)) place(child, expected, chosen, out);
  for (const tail of node.tails) placeTail(tail, end, expected, out);
  if (out.lanes.length === from) {
    if (!chosen.has(node)) return;
    out.lanes.push({ request: null });
  }
  const users = segment.requests;
  out.tokens = Math.max(out.tokens, end);
  out.boxes.splice(at, 0, {
    key: `s${segment.id}`,
    kind: users.length > 1 ? "shared" : users.length === 1 ? "own" : "idle",
    lane: from,
    lanes: out.lanes.length - from,
    from: segment.first_token,
    to: end,
    bytes: segment.bytes,
    requests: users,
  });
}

// A request's lane: its open block, and what of its prompt is still to come.
function placeTail(tail, start, expected, out) {
  const lane = out.lanes.length;
  out.lanes.push({ request: tail.id });
  const computed = start + tail.tokens;
  const ahead = Math.max(computed, expected.get(tail.id) ?? 0);
  const box = (kind, from, to) => {
    if (to > from) out.boxes.push({ key: `${kind}${tail.id}`, kind, lane, lanes: 1, from, to, bytes: null, requests: [tail.id] });
  };
  box("tail", start, computed);
  box("ahead", computed, ahead);
  out.tokens = Math.max(out.tokens, ahead);
}
