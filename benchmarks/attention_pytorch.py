"""Compares causal attention with PyTorch's scaled_dot_product_attention on the CPU, f32 and bf16.

    attention_pytorch.py PATH/TO/attention_bench [PAIRS]

Runs the two in alternation, PAIRS times for each shape, with the threads OMP_NUM_THREADS gives
them, and prints the median milliseconds of forward + backward and the ratio of the medians.
PyTorch starts, as our operator does, from the rows of one fused projection.
"""

import statistics
import subprocess
import sys
import time

import torch
import torch.nn.functional as F

BATCH, HEADS, HEAD_DIM = 4, 12, 64


def ours(bench, seq_len, dtype, repeats):
    shape = [BATCH, seq_len, HEADS, HEADS, HEAD_DIM, dtype, repeats]
    words = subprocess.run([bench, *map(str, shape)], check=True, capture_output=True, text=True).stdout.split()
    return float(words[words.index("both_ms") + 1])


def theirs(seq_len, dtype, repeats):
    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    qkv = torch.randn(BATCH * seq_len, 3 * HEADS * HEAD_DIM, dtype=kind, requires_grad=True)
    dy = torch.randn(BATCH * seq_len, HEADS * HEAD_DIM, dtype=kind)
    times = []
    for _ in range(repeats):
        qkv.grad = None
        begin = time.perf_counter()
        q, k, v = qkv.view(BATCH, seq_len, 3, HEADS, HEAD_DIM).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y.transpose(1, 2).reshape(BATCH * seq_len, HEADS * HEAD_DIM).backward(dy)
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e3


def main():
    bench, pairs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}")
    for dtype in ("f32", "bf16"):
        for seq_len, repeats in ((64, 200), (256, 40), (1024, 8)):
            runs = [(ours(bench, seq_len, dtype, repeats), theirs(seq_len, dtype, repeats)) for _ in range(pairs)]
            a, b = (statistics.median(side) for side in zip(*runs))
            print(f"{dtype} T {seq_len}: ours {a:.2f} ms, PyTorch {b:.2f} ms, ratio {b / a:.2f}", flush=True)


if __name__ == "__main__":
    main()
