"""A forward pass that forgets: every eviction policy, written from its paper's formulas in numpy.

All tokens before `first` are computed with everything in sight. Then each (layer, KV head) keeps the places that the policy chooses among them, and
the tokens from `first` on see those and each other. What a policy may look at (queries, keys and values of the tokens before `first`) is what the
program's policies look at. Nothing here calls the program's code.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from forward import Model, attention, rotate, soft_cap, visible

PAGE = 64
SINKS = 4
WINDOW = 64  # rows that SnapKV and its relatives look at
POLICIES = ("streaming", "recent", "h2o", "tova", "snapkv", "pyramidkv", "adakv", "knorm", "keydiff", "expected")


def softmax(x: np.ndarray) -> np.ndarray:
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def attention_by_head(q, k, v, scale: float, cap: float, mask: np.ndarray) -> np.ndarray:
    """As attention, with a mask [KVH, T, S] for each KV head."""
    group = q.shape[1] // k.shape[1]
    each = [attention(q[:, h * group : (h + 1) * group], k[:, h : h + 1], v[:, h : h + 1], scale, cap, mask[h]) for h in range(k.shape[1])]
    return np.concatenate(each, axis=1)


class Evidence:
    """What is known of one layer: q, k, v of the rows before `first`, rotated, and q before RoPE; rotation and scale."""

    def __init__(self, q, k, v, plain_q, turn, scale, cap, layer, layers):
        self.q, self.k, self.v, self.plain_q, self.turn = q, k, v, plain_q, turn
        self.scale, self.cap, self.layer, self.layers = scale, cap, layer, layers
        self.n, self.kv_heads = k.shape[:2]
        self.group = q.shape[1] // self.kv_heads

    @cached_property
    def mean_rotation(self) -> np.ndarray:
        """[D, D]: row i is where the unit vector i goes on average over the next 512 positions, so that x @ it turns x."""
        future, units = np.arange(self.n, self.n + 512), np.eye(self.k.shape[2])
        return self.turn(np.broadcast_to(units, (len(future), *units.shape)), future).mean(axis=0)

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
    rotation = e.mean_rotation

    def of(head):
        queries = e.plain_q[SINKS:, head].astype(np.float64)
        mean = queries.mean(axis=0) @ rotation
        spread = rotation.T @ np.cov(queries.T, bias=True) @ rotation
        key = e.k[:, kv_head].astype(np.float64)
        logits = e.scale * key @ mean + e.scale**2 / 2 * np.einsum("nd,de,ne->n", key, spread, key)
        return np.concatenate([np.zeros(SINKS), softmax(logits[SINKS:])])  # the sinks stay anyway

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
    """What follows a beginning of `first` tokens, once for each policy (None: nothing is forgotten), which cuts the beginning to `budget`.

    The beginning is computed once. All that is done row by row is done for the rows of all policies together.
    """

    def branches(self, tokens, first: int, budget: int, policies) -> np.ndarray:
        """Logits [policies, T - first, V] behind the tokens from `first` on."""
        self.first, self.late, self.budget, self.policies = first, len(tokens) - first, budget, policies
        logits = self.forward([*tokens[:first], *tokens[first:] * len(policies)], rows=slice(first, None))
        return logits.reshape(len(policies), self.late, -1)

    def dropped(self) -> int:
        """StreamingLLM: whole pages behind the first one, but not the recent ones. What a window sees stays, because all layers number alike."""
        least = self.config.window + 2 * PAGE if any(self.config.is_local) else 0
        over = -((max(self.budget, least) - self.first) // PAGE) * PAGE
        return max(0, min(over, (self.first - PAGE - WINDOW) // PAGE * PAGE))

    def block(self, layer: int, x: np.ndarray, positions: np.ndarray, context: int) -> np.ndarray:
        c, prefix = self.config, f"blk.{layer}."
        frequency, magnitude = self.layer_rotation(layer, context)
        h = self.norm(prefix + "attn_norm", x)
        q, k, v = self.query_key_value(layer, h)
        o = self.attend(layer, q, k, v, lambda t, at: rotate(t, at, frequency, magnitude, c.neox_pairs))
        o = self.linear(prefix + "attn_output", o.reshape(len(x), -1))
        if prefix + "post_attention_norm.weight" in self:
            o = self.norm(prefix + "post_attention_norm", o)
        x = x + o
        y = self.feed_forward(layer, self.norm(prefix + "ffn_norm", x))
        return x + (self.norm(prefix + "post_ffw_norm", y) if prefix + "post_ffw_norm.weight" in self else y)

    def attend(self, layer: int, plain_q, plain_k, v, turn) -> np.ndarray:
        """Attention of the beginning, and of each policy's rows to what it keeps of the beginning and to themselves."""
        c, n = self.config, self.first
        full = [i for i in range(c.layers) if not c.is_local[i]]
        at = np.arange(n + self.late)
        mask = visible(at, c.window if c.is_local[layer] else 0)
        begin = np.arange(n)
        q, k = turn(plain_q[:n], begin), turn(plain_k[:n], begin)
        out = [attention(q, k, v[:n], c.attn_scale, c.attn_soft_cap, mask[:n, :n])]
        for index, policy in enumerate(self.policies):
            rows = slice(n + index * self.late, n + (index + 1) * self.late)
            heads = np.broadcast_to(mask[n:], (k.shape[1], self.late, n + self.late)).copy()
            moved = at
            if policy == "streaming":  # in all layers alike
                moved = np.where(at < PAGE, at, at - self.dropped())
                heads[:, :, PAGE : PAGE + self.dropped()] = False
            elif policy is not None and not c.is_local[layer]:
                e = Evidence(q, k, v[:n], plain_q[:n], turn, c.attn_scale, c.attn_soft_cap, full.index(layer), len(full))
                heads[:, :, :n] &= kept(policy, self.budget, e)[:, None, :]
            queries = turn(plain_q[rows], moved[n:])
            keys = turn(np.concatenate([plain_k[:n], plain_k[rows]]), moved)
            values = np.concatenate([v[:n], v[rows]])
            out.append(attention_by_head(queries, keys, values, c.attn_scale, c.attn_soft_cap, heads))
        return np.concatenate(out)
