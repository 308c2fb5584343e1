"""GPT-2 124M training steps on the CPU in PyTorch: the rival of train_step_bench, asked through the same protocol.

    gpt2_pytorch.py --batch 4 --context 256 --dtype f32|bf16 [--compile] [--clip 1.0] [--vocabulary 50257]

Reads lines from standard input; each holds a number of steps to take. Answers each with one line of JSON:
{"seconds": [of each step], "loss": of the last}. Threads: OMP_NUM_THREADS. A step is forward, backward, clipping of
the global norm and AdamW, on weights and optimizer state in f32; with bf16 the products run in bf16 by autocast.

Set up as PyTorch runs this fastest: one product for q, k and v, scaled_dot_product_attention, fused AdamW, gradients
set to None, no dropout.
"""

import argparse
import json
import os
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

WIDTH, HEADS, LAYERS, POSITIONS = 768, 12, 12, 1024


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x):  # [B, T, C]
        heads = (y.unflatten(-1, (HEADS, -1)).transpose(1, 2) for y in self.qkv(self.norm1(x)).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(*heads, is_causal=True)  # [B, heads, T, C / heads]
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.embed, self.positions = nn.Embedding(vocabulary, WIDTH), nn.Embedding(POSITIONS, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.final_norm = nn.LayerNorm(WIDTH)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=0.02)

    def forward(self, tokens, targets):  # [B, T] each -> the mean loss
        x = self.embed(tokens) + self.positions.weight[:tokens.shape[1]]
        logits = F.linear(self.final_norm(self.blocks(x)), self.embed.weight)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def make_optimizer(model):
    groups = [dict(params=[p for p in model.parameters() if p.dim() == 2], weight_decay=0.1),
              dict(params=[p for p in model.parameters() if p.dim() == 1], weight_decay=0.0)]
    return torch.optim.AdamW(groups, lr=3e-4, betas=(0.9, 0.95), fused=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--context", type=int, default=64)
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--clip", type=float, default=1.0, help="0: no clipping")
    parser.add_argument("--vocabulary", type=int, default=50257)
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count())))
    torch.manual_seed(1)
    model = Gpt2(args.vocabulary)
    optimizer = make_optimizer(model)
    loss_of = torch.compile(model, dynamic=False) if args.compile else model
    batches = torch.randint(50257, (8, args.batch, args.context + 1))

    def step(i):
        tokens = batches[i % len(batches)]
        with torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bf16"):
            loss = loss_of(tokens[:, :-1], tokens[:, 1:])
        loss.backward()
        if args.clip > 0:
            nn.utils.clip_grad_norm_(model.parameters(), args.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

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
