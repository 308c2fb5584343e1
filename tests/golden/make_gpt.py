"""Writes gpt2.safetensors and llama.safetensors beside this file: what PyTorch makes of two small GPTs.

    python3 tests/golden/make_gpt.py        needs Python with PyTorch 2 and NumPy

Each file holds, all f32 but for the i32 tokens and targets:
    WEIGHT           the initial weights; y = x w^T + b, so a weight is [outputs, inputs]
    grad.WEIGHT      the gradient of the first step's loss, before clipping
    tokens           [steps, batch, T + 1]; the model reads tokens[..., :T]
    targets          [steps, batch, T]: tokens[..., 1:], or -1 where the target is ignored
    logits           [batch, T, V] of the first step
    losses           [steps]: mean cross-entropy over the targets that count, before that step's update
    grad_norms       [steps]: global norm before clipping
Shapes and hyperparameters stand in the file's metadata. Weight decay is on matrices only, embeddings included.
In "gpt2" the gradients of attn.k.bias are zero but for rounding: softmax ignores what is added to a whole row.
"""

import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from golden import write_safetensors

STEPS, BATCH, T, V, LAYERS, C, HEADS = 20, 4, 16, 96, 2, 32, 4
COMMON = dict(steps=STEPS, batch=BATCH, context=T, vocabulary=V, layers=LAYERS, width=C, heads=HEADS, norm_eps=1e-5,
              lr=1e-3, beta1=0.9, beta2=0.95, adam_eps=1e-8, weight_decay=0.1, clip_norm=1.0)
SHAPES = {"gpt2": dict(COMMON, kv_heads=HEADS, hidden=4 * C),
          "llama": dict(COMMON, kv_heads=2, hidden=88, rope_theta=10000.0)}


def make_weights(shape, llama, rng):
    """Name -> f32 array. Gains and biases are random too, so that none of them can be left out unseen."""
    weights = {}

    def add(name, *dims, scale=0.15, mean=0.0):
        weights[name] = (mean + scale * rng.standard_normal(dims)).astype(np.float32)

    def add_linear(name, rows, cols):
        add(f"{name}.weight", rows, cols)
        if not llama:
            add(f"{name}.bias", rows)

    def add_norm(name):
        add(f"{name}.gain", C, mean=1.0)
        if not llama:
            add(f"{name}.bias", C)

    kv_width = C // HEADS * shape["kv_heads"]
    add("embed.weight", V, C)
    if not llama:
        add("positions.weight", T, C)
    for i in range(LAYERS):
        add_norm(f"block.{i}.norm1")
        add_linear(f"block.{i}.attn.q", C, C)
        add_linear(f"block.{i}.attn.k", kv_width, C)
        add_linear(f"block.{i}.attn.v", kv_width, C)
        add_linear(f"block.{i}.attn.out", C, C)
        add_norm(f"block.{i}.norm2")
        if llama:
            add_linear(f"block.{i}.mlp.gate", shape["hidden"], C)
        add_linear(f"block.{i}.mlp.up", shape["hidden"], C)
        add_linear(f"block.{i}.mlp.down", C, shape["hidden"])
    add_norm("final_norm")
    if llama:
        add("head.weight", V, C)
    return weights


def make_tokens(rng):
    """Arithmetic sequences mod V with a tenth of the tokens replaced, and a fifth of the targets ignored."""
    start, stride = rng.integers(V, size=(STEPS, BATCH, 1)), rng.integers(1, 4, size=(STEPS, BATCH, 1))
    tokens = (start + stride * np.arange(T + 1)) % V
    tokens = np.where(rng.random(tokens.shape) < 0.1, rng.integers(V, size=tokens.shape), tokens)
    targets = np.where(rng.random((STEPS, BATCH, T)) < 0.2, -1, tokens[..., 1:])
    return tokens.astype(np.int32), targets.astype(np.int32)


def rotate(x, theta):
    """Rotary positions of x [B, heads, T, D]: pairs (i, i + D/2) turn by position * theta^(-2i/D)."""
    half = x.shape[-1] // 2
    frequency = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(x.shape[-2], dtype=torch.float64)[:, None] * frequency  # [T, D/2]
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def logits_of(w, tokens, shape, llama):
    """tokens [B, T] -> logits [B, T, V]."""
    eps = shape["norm_eps"]

    def linear(x, name):
        return F.linear(x, w[f"{name}.weight"], w.get(f"{name}.bias"))

    def norm(x, name):
        if llama:
            return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * w[f"{name}.gain"]
        return F.layer_norm(x, (C,), w[f"{name}.gain"], w[f"{name}.bias"], eps)

    def heads(x):  # [B, T, n D] -> [B, n, T, D]
        return x.unflatten(-1, (-1, C // HEADS)).transpose(1, 2)

    def attention(x, name):
        q, k, v = (heads(linear(x, f"{name}.{part}")) for part in "qkv")
        if llama:
            q, k = rotate(q, shape["rope_theta"]), rotate(k, shape["rope_theta"])
        k, v = (y.repeat_interleave(HEADS // shape["kv_heads"], dim=1) for y in (k, v))
        scores = q @ k.transpose(-1, -2) / math.sqrt(C // HEADS)  # [B, n, T, T]
        future = torch.ones(T, T, dtype=torch.bool).triu(1)
        y = scores.masked_fill(future, -math.inf).softmax(-1) @ v
        return linear(y.transpose(1, 2).flatten(-2), f"{name}.out")

    def mlp(x, name):
        up = linear(x, f"{name}.up")
        hidden = F.silu(linear(x, f"{name}.gate")) * up if llama else F.gelu(up, approximate="tanh")
        return linear(hidden, f"{name}.down")

    x = w["embed.weight"][tokens]
    if not llama:
        x = x + w["positions.weight"]
    for i in range(LAYERS):
        x = x + attention(norm(x, f"block.{i}.norm1"), f"block.{i}.attn")
        x = x + mlp(norm(x, f"block.{i}.norm2"), f"block.{i}.mlp")
    return F.linear(norm(x, "final_norm"), w["head.weight" if llama else "embed.weight"])


def train(weights, tokens, targets, shape, llama, dtype):
    """The golden tensors that a run in dtype gives."""
    w = {name: torch.tensor(value, dtype=dtype, requires_grad=True) for name, value in weights.items()}
    matrices, vectors = [p for p in w.values() if p.dim() == 2], [p for p in w.values() if p.dim() == 1]
    optimizer = torch.optim.AdamW([dict(params=matrices, weight_decay=shape["weight_decay"]),
                                   dict(params=vectors, weight_decay=0.0)],
                                  lr=shape["lr"], betas=(shape["beta1"], shape["beta2"]), eps=shape["adam_eps"])
    golden, losses, norms = {}, [], []
    for step in range(STEPS):
        logits = logits_of(w, torch.tensor(tokens[step, :, :T]).long(), shape, llama)
        loss = F.cross_entropy(logits.flatten(0, 1), torch.tensor(targets[step]).long().flatten(), ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            golden = {f"grad.{name}": p.grad.numpy().copy() for name, p in w.items()}
            golden["logits"] = logits.detach().numpy()
        norms.append(torch.nn.utils.clip_grad_norm_(w.values(), shape["clip_norm"]).item())
        optimizer.step()
        losses.append(loss.item())
    return dict(golden, losses=np.array(losses), grad_norms=np.array(norms))


def largest_error(a, b):
    """Largest difference as a share of the largest element."""
    return np.abs(a - b).max() / np.abs(b).max()


def main():
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for name, shape in SHAPES.items():
        rng = np.random.default_rng(1)
        llama = name == "llama"
        weights, (tokens, targets) = make_weights(shape, llama, rng), make_tokens(rng)
        golden, exact = (train(weights, tokens, targets, shape, llama, d) for d in (torch.float32, torch.float64))
        golden = {key: value.astype(np.float32) for key, value in golden.items()}
        write_safetensors(pathlib.Path(__file__).with_name(f"{name}.safetensors"),
                          dict(weights, **golden, tokens=tokens, targets=targets), dict(shape, shape=name))
        print(f"{name}: loss {golden['losses'][0]:.6f} -> {golden['losses'][-1]:.6f}, "
              f"gradient norm {golden['grad_norms'].min():.3f} to {golden['grad_norms'].max():.3f}")
        errors = {key: largest_error(golden[key], exact[key]) for key in golden if not key.endswith("attn.k.bias")}
        worst = max(errors, key=errors.get)
        print(f"  f32 against f64: losses {errors['losses']:.1e}, worst of all {errors[worst]:.1e} ({worst})")


if __name__ == "__main__":
    main()
