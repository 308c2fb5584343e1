"""Writes speech_transformer.safetensors and speech_lstm.safetensors beside this file: what PyTorch makes of two small
speech recognisers.

    python3 tests/golden/make_speech.py     needs Python with PyTorch 2 and NumPy

Weights are named and shaped as in models/speech.h, all f32; computed in f64:
    features      [samples, T, bins]; frames past a sample's are noise, which nothing may hear
    counts, labels, label_counts            i32, as speech_batch() says; one text has too many labels
    logits        [samples, T', labels], 0 past a sample's count
    loss          [1]: the sum of CTC's losses that are not infinite
    grad.WEIGHT   the gradients of that sum
"""

import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from golden import write_safetensors

SAMPLES, T, BINS, LABELS, WIDTH, HEADS, HIDDEN, CHANNELS, LAYERS = 4, 31, 10, 6, 8, 2, 20, 3, 2
FRAMES, LABEL_COUNTS = [31, 20, 23, 27], [2, 1, 9, 0]


def subsampled(n):
    return ((n - 1) // 2 - 1) // 2


class Weights(dict):
    def __init__(self):
        self.rng = np.random.default_rng(1)

    def make(self, name, *shape, scale=0.4, mean=0.0):
        self[name] = (mean + scale * self.rng.standard_normal(shape)).astype(np.float32)

    def linear(self, name, out, inputs):
        self.make(f"{name}.weight", out, inputs)
        self.make(f"{name}.bias", out)

    def norm(self, name):
        self.make(f"{name}.gain", WIDTH, mean=1.0)
        self.make(f"{name}.bias", WIDTH)


def make_weights(lstm):
    w = Weights()
    for i, channels in ((1, 1), (2, CHANNELS)):
        w.make(f"conv{i}.weight", CHANNELS, 3, 3, channels)
        w.make(f"conv{i}.bias", CHANNELS)
    w.linear("join", WIDTH, subsampled(BINS) * CHANNELS)
    if not lstm:
        w.make("positions.weight", subsampled(T), WIDTH)
    for i in range(LAYERS):
        name = f"block.{i}"
        if lstm:
            w.linear(f"{name}.input", 4 * WIDTH, WIDTH)
            w.make(f"{name}.state.weight", 4 * WIDTH, WIDTH // 2)
            continue
        w.norm(f"{name}.norm1")
        w.norm(f"{name}.norm2")
        for part in ("q", "k", "v", "out"):
            w.linear(f"{name}.attn.{part}", WIDTH, WIDTH)
        w.linear(f"{name}.mlp.up", HIDDEN, WIDTH)
        w.linear(f"{name}.mlp.down", WIDTH, HIDDEN)
    w.norm("norm")
    w.linear("head", LABELS, WIDTH)
    return w


def linear(w, x, name):
    return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])


def norm(w, x, name):
    return F.layer_norm(x, (WIDTH,), w[f"{name}.gain"], w[f"{name}.bias"], 1e-5)


def transformer(w, x, name):
    y = norm(w, x, f"{name}.norm1")
    q, k, v = (linear(w, y, f"{name}.attn.{part}").unflatten(-1, (HEADS, -1)).transpose(-3, -2) for part in "qkv")
    y = F.scaled_dot_product_attention(q, k, v).transpose(-3, -2).flatten(-2)
    x = x + linear(w, y, f"{name}.attn.out")
    return x + linear(w, F.gelu(linear(w, norm(w, x, f"{name}.norm2"), f"{name}.mlp.up")), f"{name}.mlp.down")


def lstm_layer(w, x, name):
    ways = []
    for way in (0, 1):
        rows, state = slice(2 * WIDTH * way, 2 * WIDTH * (way + 1)), (x.new_zeros(WIDTH // 2), x.new_zeros(WIDTH // 2))
        out = []
        for row in x.flip(0) if way else x:
            gates = (w[f"{name}.input.weight"][rows] @ row + w[f"{name}.input.bias"][rows]
                     + w[f"{name}.state.weight"][rows] @ state[0])
            i, f, g, o = gates.chunk(4)
            c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
            state = (o.sigmoid() * c.tanh(), c)
            out.append(state[0])
        ways.append(torch.stack(out[::-1] if way else out))
    return torch.cat(ways, 1)


def logits_of(w, x, lstm):
    """Of one sample [frames, bins], alone: no other, and no padding, has a part in it."""
    x = x[None, None]
    for i in (1, 2):
        x = F.relu(F.conv2d(x, w[f"conv{i}.weight"].permute(0, 3, 1, 2), w[f"conv{i}.bias"], stride=2))
    x = linear(w, x[0].permute(1, 2, 0).flatten(1), "join")
    if not lstm:
        x = x + w["positions.weight"][:len(x)]
    for i in range(LAYERS):
        x = (lstm_layer if lstm else transformer)(w, x, f"block.{i}")
    return linear(w, norm(w, x, "norm"), "head")


def golden(lstm):
    weights, rng = make_weights(lstm), np.random.default_rng(2)
    w = {name: torch.tensor(value, dtype=torch.float64, requires_grad=True) for name, value in weights.items()}
    features = rng.standard_normal((SAMPLES, T, BINS)).astype(np.float32)
    labels = rng.integers(1, LABELS, (SAMPLES, max(LABEL_COUNTS))).astype(np.int32)
    logits, loss = torch.zeros(SAMPLES, subsampled(T), LABELS, dtype=torch.float64), 0
    for n in range(SAMPLES):
        x = logits_of(w, torch.tensor(features[n, :FRAMES[n]], dtype=torch.float64), lstm)
        logits[n, :len(x)] = x.detach()
        of = F.ctc_loss(x.log_softmax(-1), torch.tensor(labels[n, :LABEL_COUNTS[n]]), (len(x),), (LABEL_COUNTS[n],),
                        reduction="sum")
        loss = loss + of if of.isfinite() else loss
    loss.backward()
    tensors = {"features": features, "counts": np.array([subsampled(n) for n in FRAMES], np.int32), "labels": labels,
               "label_counts": np.array(LABEL_COUNTS, np.int32), "logits": logits.numpy(),
               "loss": loss.detach().numpy().reshape(1)}
    return {**weights, **tensors, **{f"grad.{name}": value.grad.numpy() for name, value in w.items()}}


if __name__ == "__main__":
    for name in ("transformer", "lstm"):
        write_safetensors(pathlib.Path(__file__).with_name(f"speech_{name}.safetensors"), golden(name == "lstm"))
