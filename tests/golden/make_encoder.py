"""Writes encoder.safetensors beside this file: what PyTorch makes of three transformer blocks.

    python3 tests/golden/make_encoder.py        needs Python with PyTorch 2 and NumPy

All f64 but for the lengths; the blocks are "pre" and "post" (norms before and after: nn.TransformerEncoderLayer) and
"cross" (attention to a context by nn.MultiheadAttention, norms before), each with the erf form of GELU:
    x, dy            [samples, T, width]; dy, the gradient of a block's result, is zero on padding
    lengths          i32 [samples]
    context          [samples, T of it, its width], with context_lengths
    BLOCK.WEIGHT     "pre.attn.q.weight": y = x w^T + b, so a weight is [outputs, inputs]
    BLOCK.y          like x, zero on padding
    BLOCK.grad.NAME  of each weight, of "x" and, for "cross", of "context"
"""

import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from golden import write_safetensors
from torch import nn

WIDTH, HEADS, HIDDEN, EPS, CONTEXT_WIDTH = 16, 4, 24, 1e-6, 12
LENGTHS, CONTEXT_LENGTHS, T, CONTEXT_T = [7, 4, 1], [2, 5, 3], 7, 5

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)


class Cross(nn.Module):
    """x + attention(norm(x) to context), then that + mlp(norm(that))."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, EPS), nn.LayerNorm(WIDTH, EPS)
        self.self_attn = nn.MultiheadAttention(WIDTH, HEADS, kdim=CONTEXT_WIDTH, vdim=CONTEXT_WIDTH, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def forward(self, x, context, hidden):
        x = x + self.self_attn(self.norm1(x), context, context, key_padding_mask=hidden, need_weights=False)[0]
        return x + self.linear2(F.gelu(self.linear1(self.norm2(x))))


def named(block):
    """Our name -> a view of the block's parameter, or its gradient if that is asked for."""
    attention, names = block.self_attn, {}
    for kind in ("weight", "bias"):
        whole = getattr(attention, f"in_proj_{kind}")
        for i, part in enumerate("qkv"):
            own = getattr(attention, f"{part}_proj_weight") if whole is None else None
            names[f"attn.{part}.{kind}"] = (own, slice(None)) if own is not None else (
                whole, slice(i * WIDTH, (i + 1) * WIDTH))
        names[f"attn.out.{kind}"] = (getattr(attention.out_proj, kind), slice(None))
        names[f"mlp.up.{kind}"] = (getattr(block.linear1, kind), slice(None))
        names[f"mlp.down.{kind}"] = (getattr(block.linear2, kind), slice(None))
        for i in (1, 2):
            names[f"norm{i}.{'gain' if kind == 'weight' else 'bias'}"] = (
                getattr(getattr(block, f"norm{i}"), kind), slice(None))
    return names


def padding(lengths, positions):
    return torch.arange(positions) >= torch.tensor(lengths)[:, None]


x, context = torch.randn(3, T, WIDTH), torch.randn(3, CONTEXT_T, CONTEXT_WIDTH)
hidden, hidden_context = padding(LENGTHS, T), padding(CONTEXT_LENGTHS, CONTEXT_T)
dy = torch.randn(3, T, WIDTH) * ~hidden[..., None]
tensors = {"x": x, "dy": dy, "context": context}
blocks = {"cross": Cross()}
for name, first in (("pre", True), ("post", False)):
    blocks[name] = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, dropout=0, activation="gelu", layer_norm_eps=EPS,
                                              batch_first=True, norm_first=first)
for name, block in blocks.items():
    for p in block.parameters():  # random gains and biases too, so that none can be left out unseen
        nn.init.normal_(p, mean=1.0 if p is block.norm1.weight or p is block.norm2.weight else 0.0, std=0.3)
    xs, contexts = x.clone().requires_grad_(), context.clone().requires_grad_()
    y = block(xs, contexts, hidden_context) if name == "cross" else block(xs, src_key_padding_mask=hidden)
    y.backward(dy)
    tensors[f"{name}.y"], tensors[f"{name}.grad.x"] = y * ~hidden[..., None], xs.grad
    if name == "cross":
        tensors["cross.grad.context"] = contexts.grad
    for ours, (parameter, rows) in named(block).items():
        tensors[f"{name}.{ours}"], tensors[f"{name}.grad.{ours}"] = parameter[rows], parameter.grad[rows]

arrays = {name: tensor.detach().numpy() for name, tensor in tensors.items()}
arrays |= {"lengths": np.array(LENGTHS, np.int32), "context_lengths": np.array(CONTEXT_LENGTHS, np.int32)}
write_safetensors(pathlib.Path(__file__).with_name("encoder.safetensors"), arrays,
                  dict(heads=HEADS, hidden=HIDDEN, norm_eps=EPS))
