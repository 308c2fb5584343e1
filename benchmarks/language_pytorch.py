"""Training steps of a language model in PyTorch: the rival of train_step_bench, asked through the same protocol.

    language_pytorch.py [--preset gpt2-124m|gpt2-350m|gpt2-1558m|llama-1b] --batch 4 --context 256 --dtype f32|bf16
                        [--accumulation 1] [--device cpu|cuda] [--compile] [--clip 1.0] [--vocabulary 50257]

Reads lines from standard input; each holds a number of steps to take. Answers each with one line of JSON:
{"seconds": [of each step], "loss": of the last}. Threads: OMP_NUM_THREADS. A step is forward, backward, clipping of
the global norm and AdamW, on weights and optimizer state in f32; with bf16 the products run in bf16 by autocast.

Set up as PyTorch runs this fastest: one product for q, k and v, scaled_dot_product_attention (flash attention on a
GPU), fused AdamW, gradients set to None, no dropout.
"""

import argparse
import dataclasses
import json
import os
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclasses.dataclass
class Shape:
    layers: int
    width: int
    heads: int
    kv_heads: int
    hidden: int
    llama: bool = False  # RMSNorm, rotary positions, SwiGLU, no biases, untied head; else GPT-2
    positions: int = 1024


PRESETS = {
    "gpt2-124m": Shape(12, 768, 12, 12, 3072),
    "gpt2-350m": Shape(24, 1024, 16, 16, 4096),
    "gpt2-1558m": Shape(48, 1600, 25, 25, 6400),
    "llama-1b": Shape(16, 2048, 32, 8, 8192, llama=True),
}


def rotary(x, positions):  # [B, heads, T, C]
    half = x.shape[-1] // 2
    turn = positions[:, None] * 10000.0 ** (-torch.arange(half, device=x.device) / half)  # [T, C / 2]
    cos, sin = turn.cos().to(x.dtype), turn.sin().to(x.dtype)
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Block(nn.Module):
    def __init__(self, s):
        super().__init__()
        self.shape, self.head_dim = s, s.width // s.heads
        norm = nn.RMSNorm if s.llama else nn.LayerNorm
        self.norm1, self.norm2 = norm(s.width, eps=1e-5), norm(s.width, eps=1e-5)
        self.qkv = nn.Linear(s.width, (s.heads + 2 * s.kv_heads) * self.head_dim, bias=not s.llama)
        self.out = nn.Linear(s.width, s.width, bias=not s.llama)
        self.up = nn.Linear(s.width, 2 * s.hidden if s.llama else s.hidden, bias=not s.llama)
        self.down = nn.Linear(s.hidden, s.width, bias=not s.llama)

    def attend(self, x):
        s = self.shape
        sizes = (s.heads * self.head_dim, s.kv_heads * self.head_dim, s.kv_heads * self.head_dim)
        q, k, v = (y.unflatten(-1, (-1, self.head_dim)).transpose(1, 2) for y in self.qkv(x).split(sizes, dim=-1))
        if s.llama:
            positions = torch.arange(x.shape[1], device=x.device, dtype=torch.float32)
            q, k = rotary(q, positions), rotary(k, positions)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=s.kv_heads != s.heads)
        return self.out(y.transpose(1, 2).flatten(2))

    def mlp(self, x):
        if self.shape.llama:
            gate, up = self.up(x).chunk(2, dim=-1)
            return self.down(F.silu(gate) * up)
        return self.down(F.gelu(self.up(x), approximate="tanh"))

    def forward(self, x):  # [B, T, C]
        x = x + self.attend(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Model(nn.Module):
    def __init__(self, s, vocabulary):
        super().__init__()
        self.shape = s
        self.embed = nn.Embedding(vocabulary, s.width)
        self.positions = None if s.llama else nn.Embedding(s.positions, s.width)
        self.blocks = nn.Sequential(*[Block(s) for _ in range(s.layers)])
        self.final_norm = (nn.RMSNorm if s.llama else nn.LayerNorm)(s.width, eps=1e-5)
        self.head = nn.Linear(s.width, vocabulary, bias=False) if s.llama else None
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, tokens, targets):  # [B, T] each -> the mean loss
        x = self.embed(tokens)
        if self.positions is not None:
            x = x + self.positions.weight[:tokens.shape[1]]
        weight = self.head.weight if self.head is not None else self.embed.weight
        logits = F.linear(self.final_norm(self.blocks(x)), weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def make_optimizer(model):
    groups = [dict(params=[p for p in model.parameters() if p.dim() == 2], weight_decay=0.1),
              dict(params=[p for p in model.parameters() if p.dim() == 1], weight_decay=0.0)]
    return torch.optim.AdamW(groups, lr=3e-4, betas=(0.9, 0.95), fused=True)


def parse_arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--preset", choices=PRESETS, default="gpt2-124m")
    parser.add_argument("--batch", type=int, default=4, help="samples of a micro-batch")
    parser.add_argument("--accumulation", type=int, default=1, help="micro-batches of a step")
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--clip", type=float, default=1.0, help="0: no clipping")
    parser.add_argument("--vocabulary", type=int, default=50257)
    return parser.parse_args()


def main():
    args = parse_arguments()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
    torch.manual_seed(1)
    with torch.device(args.device):
        model = Model(PRESETS[args.preset], args.vocabulary)
        batches = torch.randint(min(50257, args.vocabulary), (8, args.batch, args.context + 1))
    optimizer = make_optimizer(model)
    loss_of = torch.compile(model, dynamic=False) if args.compile else model

    def step(i):
        losses = []
        for micro in range(args.accumulation):
            tokens = batches[(i * args.accumulation + micro) % len(batches)]
            with torch.autocast(args.device, torch.bfloat16, enabled=args.dtype == "bf16"):
                loss = loss_of(tokens[:, :-1], tokens[:, 1:]) / args.accumulation
            loss.backward()
            losses.append(loss.detach())
        if args.clip > 0:
            nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return sum(loss.item() for loss in losses)

    done = 0
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            loss = step(done)
            seconds.append(time.perf_counter() - start)
            done += 1
        print(json.dumps({"seconds": seconds, "loss": loss}), flush=True)


if __name__ == "__main__":
    main()
