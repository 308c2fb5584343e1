"""Compares training steps of language models on one GPU with PyTorch's compiled ones: tokens per second and MFU.

    language_gpu.py PATH/TO/train_step_bench [--rate TFLOPS] [--pairs 3] [--steps 5] [--models gpt2-124m ...]
                    [--without-pytorch]

Runs the two in alternation, PAIRS times STEPS steps each, and prints a Markdown table: medians, the ratio of the
medians with the least and greatest ratio of a pair, the share of the time between steps in which the GPU had no work,
and
    MFU = tokens/s x (6 N + 6 L C T) / peak
with N the parameters, L the layers, C the width, T the tokens of a sequence, and as peak 989 TFLOP/s (the data
sheet's dense bf16 of an H100 or H200) and, with --rate, the best matrix rate measured in the same run.
"""

import argparse
import pathlib
import statistics
import sys

from gpt2_cpu import Worker

PEAK = 989e12
CONTEXT = 1024
VOCABULARY = 50304  # GPT-2's 50257 rounded up to a multiple of 128, as tensor cores want it, for both
MODELS = {  # samples of a micro-batch, micro-batches of a step
    "gpt2-124m": (64, 1),
    "gpt2-350m": (32, 1),
    "gpt2-1558m": (16, 1),
    "llama-1b": (16, 1),
}


def commands(bench, model):
    micro, accumulation = MODELS[model]
    ours = [bench, f"--model.preset={model}", f"--model.vocab_size={VOCABULARY}", "--train.device=cuda",
            "--train.dtype=bf16", f"--data.seq_len={CONTEXT}", f"--train.micro_batch={micro}",
            f"--train.global_batch={micro * accumulation}"]
    theirs = [sys.executable, str(pathlib.Path(__file__).with_name("language_pytorch.py")), "--device=cuda",
              "--compile", "--dtype=bf16", f"--preset={model}", f"--vocabulary={VOCABULARY}", f"--context={CONTEXT}",
              f"--batch={micro}", f"--accumulation={accumulation}"]
    return ours, theirs


def measure(args, model):
    """One row of the table."""
    ours, theirs = commands(args.bench, model)
    workers = [Worker(ours)] + ([] if args.without_pytorch else [Worker(theirs)])
    for worker in workers:
        worker.take(4)  # the first steps compile, choose kernels and capture
    micro, accumulation = MODELS[model]
    tokens = micro * accumulation * CONTEXT
    rows = []  # of each pair: tokens per second of each worker
    for _ in range(args.pairs):
        answers = [worker.take(args.steps)[0] for worker in workers]
        rows.append([tokens / statistics.median(answer["seconds"]) for answer in answers])
    answer = answers[0]
    for worker in workers:
        worker.close()
    medians = [statistics.median(column) for column in zip(*rows)]
    flops = medians[0] * answer["flops_per_token"]
    idle = 1 - sum(answer["kernel_seconds"]) / sum(answer["seconds"])
    row = [model, f"{micro} x {accumulation} x {CONTEXT}", f"{medians[0]:,.0f}", f"{100 * flops / PEAK:.1f} %",
           f"{100 * flops / args.rate / 1e12:.1f} %" if args.rate else "", f"{100 * idle:.1f} %",
           f"{answer['planned_bytes'] / 2**30:.1f} GiB"]
    if not args.without_pytorch:
        ratios = [a / b for a, b in rows]
        row += [f"{medians[1]:,.0f}", f"{medians[0] / medians[1]:.2f} ({min(ratios):.2f}-{max(ratios):.2f})"]
    return "| " + " | ".join(row) + " |"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bench")
    parser.add_argument("--rate", type=float, help="TFLOP/s that bf16 products reach on this card")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--without-pytorch", action="store_true")
    args = parser.parse_args()
    heads = ["model, bf16", "batch", "tokens/s", "MFU of 989", "MFU of measured", "GPU idle", "arena"]
    heads += [] if args.without_pytorch else ["PyTorch tokens/s", "Fusor / PyTorch"]
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for model in args.models:
        print(measure(args, model), flush=True)


if __name__ == "__main__":
    main()
