"""A forward pass that forgets: every eviction policy, written from its paper's formulas in numpy.

All tokens before `first` are computed with everything in sight. Then each (layer, KV head) keeps the places that the policy chooses among them, and
the tokens from `first` on see those and each other. What a policy may look at (queries, keys and values of the tokens before `first`) is what the
program's policies look at. Nothing here calls the program's code.
"""

from __future__ import annotations

import numpy as np

from forward import Model, rotate, soft_cap, visible

PAGE = 64
SINKS = 4
WINDOW = 64  # rows that SnapKV and its relatives look at
POLICIES = ("streaming", "recent", "h2o", "tova", "snapkv", "pyramidkv", "adakv", "knorm", "keydiff", "expected")


def softmax(x: np.ndarray) -> np.ndarray:
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


class Evidence:
    """What is known of one layer: q, k, v of the rows before `first`, rotated, and q before RoPE; rotation and scale."""

    def __init__(self, q, k, v, plain_q, turn, scale, cap, layer, layers):
        self.q, self.k, self.v, self.plain_q, self.turn = q, k, v, plain_q, turn
        self.scale, self.cap, self.layer, self.layers = scale, cap, layer, layers
        self.n, self.kv_heads = k.shape[:2]
        self.group = q.shape[1] // self.kv_heads

    def weights(self, head: int, rows: slice) -> np.ndarray:
        """Attention [rows, n] of a query head."""
        positions = np.arange(self.n)
        scores = soft_cap(self.q[rows, head] @ self.k[:, head // self.group].T * self.scale, self.cap)
        return softmax(np.where(positions[None, :] <= positions[rows][:, None], scores, -np.inf))

    def mean_over_group(self, kv_head: int, of) -> np.ndarray:
        return np.mean([of(head) for head in range(kv_head * self.group, (kv_head + 1) * self.group)], axis=0)


def snapkv(e: Evidence, kv_head: int, candidates: int) -> np.ndarray:
    seen = e.mean_over_group(kv_head, lambda h: e.weights(h, slice(e.n - WINDOW, e.n)).mean(axis=0))[:candidates]
    return np.convolve(seen, np.ones(5) / 5, mode="same")


def h2o(e: Evidence, kv_head: int, candidates: int) -> np.ndarray:
    return e.mean_over_group(kv_head, lambda h: e.weights(h, slice(0, e.n)).sum(axis=0))[:candidates]


def tova(e: Evidence, kv_head: int, candidates: int) -> np.ndarray:
    del kv_head  # all heads agree
    return np.mean([e.weights(h, slice(e.n - 1, e.n))[0] for h in range(e.q.shape[1])], axis=0)[:candidates]


def knorm(e: Evidence, kv_head: int, candidates: int) -> np.ndarray:
    return -np.linalg.norm(e.k[:candidates, kv_head], axis=-1)


def keydiff(e: Evidence, kv_head: int, candidates: int) -> np.ndarray:
    unit = e.k[:, kv_head] / np.linalg.norm(e.k[:, kv_head], axis=-1, keepdims=True)
    mean = unit.mean(axis=0)
    return -(unit[:candidates] @ mean) / np.linalg.norm(mean)


def expected(e: Evidence, kv_head: int, candidates: int) -> np.ndarray:
    """E[exp(s q.k)] for normal q, turned by the mean rotation of the next 512 positions."""
    size = e.k.shape[2]
    future = np.arange(e.n, e.n + 512)
    # Row i of `rotation` is where the unit vector i goes on average, so x @ rotation turns x.
    rotation = np.stack([e.turn(np.broadcast_to(unit, (512, 1, size)), future).mean(axis=0)[0] for unit in np.eye(size)])

    def of(head):
        queries = e.plain_q[SINKS:, head].astype(np.float64)
        mean = queries.mean(axis=0) @ rotation
        spread = rotation.T @ np.cov(queries.T, bias=True) @ rotation
        key = e.k[:, kv_head].astype(np.float64)
        return softmax(e.scale * key @ mean + e.scale**2 / 2 * np.einsum("nd,de,ne->n", key, spread, key))

    return (e.mean_over_group(kv_head, of) * np.linalg.norm(e.v[:, kv_head], axis=-1))[:candidates]


SCORES = {"h2o": h2o, "tova": tova, "snapkv": snapkv, "pyramidkv": snapkv, "adakv": snapkv, "knorm": knorm, "keydiff": keydiff,
          "expected": expected, "recent": lambda e, kv_head, candidates: np.arange(candidates)}


def layer_budget(policy: str, budget: int, e: Evidence) -> int:
    """PyramidKV: equal steps from the first layer to the last, which keeps a twentieth of the mean beside the window."""
    if policy != "pyramidkv":
        return budget
    mean = budget - WINDOW
    least, most = mean / 20, 2 * mean - mean / 20
    if most > e.n - WINDOW:
        most, least = e.n - WINDOW, 2 * mean - (e.n - WINDOW)
    return WINDOW + round(most - (most - least) / (e.layers - 1) * e.layer)


def ada_counts(ranked: list[np.ndarray], each: int) -> list[int]:
    """Ada-KV: the best of all heads together, but for a fifth of an even share that every head has anyway."""
    floor = int(0.2 * each)
    rest = sorted(((score, head) for head, scores in enumerate(ranked) for score in np.sort(scores)[::-1][floor:]), reverse=True)
    counts = [floor] * len(ranked)
    for _, head in rest[: len(ranked) * (each - floor)]:
        counts[head] += 1
    return counts


def kept(policy: str, budget: int, e: Evidence) -> np.ndarray:
    """[KVH, n]: which tokens each head keeps."""
    budget = layer_budget(policy, budget, e)
    recent = max(WINDOW, budget // 2) if policy == "h2o" else WINDOW
    candidates = (e.n - recent) // PAGE * PAGE  # whole pages that lie behind the recent tokens
    sinks = 0 if policy == "recent" else SINKS
    each = max(0, budget - sinks - (e.n - candidates))
    ranked = [SCORES[policy](e, head, candidates)[sinks:] for head in range(e.kv_heads)]
    counts = ada_counts(ranked, each) if policy == "adakv" else [each] * e.kv_heads
    keep = np.zeros((e.kv_heads, e.n), bool)
    keep[:, :sinks] = keep[:, candidates:] = True
    for head, (scores, count) in enumerate(zip(ranked, counts)):
        keep[head, sinks + np.argsort(-scores, kind="stable")[:count]] = True
    return keep


class ForgetfulModel(Model):
    """Logits of a text whose first `first` tokens are brought down to `budget` by `policy`."""

    def start(self, policy: str | None, first: int, budget: int) -> None:
        self.policy, self.first, self.budget = policy, first, budget

    def dropped(self) -> int:
        """StreamingLLM: whole pages behind the first one. What a window sees stays, because all layers number alike."""
        if self.policy != "streaming":
            return 0
        least = self.config.window + 2 * PAGE if any(self.config.is_local) else 0
        return max(0, -((max(self.budget, least) - self.first) // PAGE) * PAGE)

    def block(self, layer: int, x: np.ndarray, positions: np.ndarray, context: int) -> np.ndarray:
        c, prefix = self.config, f"blk.{layer}."
        frequency, magnitude = self.layer_rotation(layer, context)
        h = self.norm(prefix + "attn_norm", x)
        plain_q, plain_k, v = self.query_key_value(layer, h)
        o = self.attend(layer, plain_q, plain_k, v, lambda t, at: rotate(t, at, frequency, magnitude, c.neox_pairs))
        o = self.linear(prefix + "attn_output", o.reshape(len(x), -1))
        if prefix + "post_attention_norm.weight" in self:
            o = self.norm(prefix + "post_attention_norm", o)
        x = x + o
        y = self.feed_forward(layer, self.norm(prefix + "ffn_norm", x))
        return x + (self.norm(prefix + "post_ffw_norm", y) if prefix + "post_ffw_norm.weight" in self else y)

    def attend(self, layer: int, plain_q, plain_k, v, turn) -> np.ndarray:
        c, n, count = self.config, self.first, len(plain_q)
        at = np.arange(count)
        q, k = turn(plain_q, at), turn(plain_k, at)
        mask = np.broadcast_to(visible(at, c.window if c.is_local[layer] else 0), (k.shape[1], count, count)).copy()
        late_q, late_k = q, k
        if self.policy == "streaming":  # in all layers alike
            moved = np.where(at < PAGE, at, at - self.dropped())
            late_q, late_k = turn(plain_q, moved), turn(plain_k, moved)
            mask[:, n:, PAGE : PAGE + self.dropped()] = False
        elif self.policy is not None and not c.is_local[layer]:
            full = [i for i in range(c.layers) if not c.is_local[i]]
            e = Evidence(q[:n], k[:n], v[:n], plain_q[:n], turn, c.attn_scale, c.attn_soft_cap, full.index(layer), len(full))
            mask[:, n:, :n] &= kept(self.policy, self.budget, e)[:, None, :]
        out = np.empty_like(q)
        group = q.shape[1] // k.shape[1]
        for head in range(q.shape[1]):
            kv = head // group
            for rows, queries, keys in ((slice(0, n), q, k), (slice(n, None), late_q, late_k)):
                scores = soft_cap(queries[rows, head] @ keys[:, kv].T * c.attn_scale, c.attn_soft_cap)
                out[rows, head] = softmax(np.where(mask[kv, rows], scores, -np.inf)) @ v[:, kv]
        return out
