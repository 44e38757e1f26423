"""The published recipe of a sentence encoder in numpy: BERT's forward pass, the mean over all tokens, length 1.

Written from the paper and the model card, in float64 over the same safetensors file, to be compared with the program. It
runs as a process of its own, because the peak memory of the tests is that of every program they start.

usage: bert_reference.py FOLDER     reads a JSON list of lists of ids, prints the list of their vectors
"""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np

erf = np.vectorize(math.erf, otypes=[float])


class Reference:
    """The recipe of the encoder in `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder

    def embed_all(self, lists: list[list[int]]) -> np.ndarray:
        out = subprocess.run([sys.executable, __file__, self.folder], input=json.dumps(lists), capture_output=True, text=True,
                             check=True).stdout
        return np.array(json.loads(out))

    def embed(self, ids: list[int]) -> np.ndarray:
        return self.embed_all([ids])[0]


class Encoder:
    def __init__(self, folder: Path):
        self.config = json.loads((folder / "config.json").read_text())
        data = (folder / "model.safetensors").read_bytes()
        start = 8 + int.from_bytes(data[:8], "little")
        self.tensors = {}
        for name, entry in json.loads(data[8:start]).items():
            if name != "__metadata__" and entry["dtype"] == "F32":
                begin, end = entry["data_offsets"]
                self.tensors[name] = np.frombuffer(data[start + begin:start + end], "<f4").astype(float).reshape(entry["shape"])

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.tensors[name + ".weight"].T + self.tensors[name + ".bias"]

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + self.config["layer_norm_eps"])
        return centred / deviation * self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def layer(self, name: str, x: np.ndarray) -> np.ndarray:
        heads = self.config["num_attention_heads"]
        q, k, v = (self.linear(f"{name}.attention.self.{part}", x).reshape(len(x), heads, -1).swapaxes(0, 1)
                   for part in ("query", "key", "value"))
        scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[-1])
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        attended = (weights / weights.sum(-1, keepdims=True) @ v).swapaxes(0, 1).reshape(x.shape)
        x = self.norm(f"{name}.attention.output.LayerNorm", x + self.linear(f"{name}.attention.output.dense", attended))
        hidden = self.linear(f"{name}.intermediate.dense", x)
        hidden = hidden * (1 + erf(hidden / math.sqrt(2))) / 2
        return self.norm(f"{name}.output.LayerNorm", x + self.linear(f"{name}.output.dense", hidden))

    def embed(self, ids: list[int]) -> np.ndarray:
        x = (self.tensors["embeddings.word_embeddings.weight"][ids]
             + self.tensors["embeddings.position_embeddings.weight"][: len(ids)]
             + self.tensors["embeddings.token_type_embeddings.weight"][0])
        x = self.norm("embeddings.LayerNorm", x)
        for i in range(self.config["num_hidden_layers"]):
            x = self.layer(f"encoder.layer.{i}", x)
        mean = x.mean(0)
        return mean / np.linalg.norm(mean)


if __name__ == "__main__":
    encoder = Encoder(Path(sys.argv[1]))
    print(json.dumps([encoder.embed(ids).tolist() for ids in json.load(sys.stdin)]))
