"""Compares a training step of GPT-2 124M on the CPU with PyTorch's: time and peak memory.

    gpt2_cpu.py PATH/TO/train_step_bench [--pairs 5] [--steps 3] [--batch 4] [--context 64 256]
                [--dtype f32 bf16] [--pytorch eager compiled] [--cpu-time]      needs Python with PyTorch 2

Runs the two in alternation, PAIRS times STEPS steps each, with the threads OMP_NUM_THREADS gives them, and prints
a table: the median step of each, the ratio of the medians with the least and greatest ratio of a pair, and the peak
resident memory of the measured steps. --cpu-time takes the CPU time of the process instead of the step's: with one
thread, a machine that does other work hardly disturbs it.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys


class Worker:
    """A process that takes training steps when asked."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def take(self, steps):
        """Takes steps; returns the worker's answer and the CPU seconds of its process."""
        before = self.cpu_seconds()
        print(steps, file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"{self.process.args} ended with status {self.process.wait()}")
        return json.loads(line), self.cpu_seconds() - before

    def step_seconds(self, steps, cpu_time):
        answer, cpu_seconds = self.take(steps)
        return cpu_seconds / steps if cpu_time else statistics.median(answer["seconds"])

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # user and system

    def reset_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")  # proc(5): resets VmHWM

    def peak_gib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 2**20

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure(args, context, dtype, mode):
    """One row of the table."""
    fusor = Worker([args.bench, f"--train.global_batch={args.batch}", f"--train.micro_batch={args.batch}",
                    f"--data.seq_len={context}", f"--train.dtype={dtype}"])
    rival = Worker([sys.executable, str(pathlib.Path(__file__).with_name("language_pytorch.py")), f"--batch={args.batch}",
                    f"--context={context}", f"--dtype={dtype}"] + ["--compile"] * (mode == "compiled"))
    workers = (fusor, rival)
    for worker in workers:
        worker.take(2)
        worker.reset_peak()
    pairs = [[worker.step_seconds(args.steps, args.cpu_time) for worker in workers] for _ in range(args.pairs)]
    ours, theirs = (statistics.median(times) for times in zip(*pairs))
    ratios = [b / a for a, b in pairs]
    memory = [worker.peak_gib() for worker in workers]
    for worker in workers:
        worker.close()
    return (f"| {dtype} | {args.batch} x {context} | {mode} | {1e3 * ours:.0f} ms | {1e3 * theirs:.0f} ms "
            f"| {theirs / ours:.2f} ({min(ratios):.2f}-{max(ratios):.2f}) | {memory[0]:.2f} GiB | {memory[1]:.2f} GiB |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bench")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--context", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--dtype", nargs="+", default=["f32", "bf16"])
    parser.add_argument("--pytorch", nargs="+", choices=["eager", "compiled"], default=["eager", "compiled"])
    parser.add_argument("--cpu-time", action="store_true")
    args = parser.parse_args()
    print("| dtype | batch | PyTorch | Fusor step | PyTorch step | PyTorch / Fusor | Fusor memory | PyTorch memory |\n"
          "|---|---|---|---|---|---|---|---|")
    for dtype in args.dtype:
        for context in args.context:
            for mode in args.pytorch:
                print(measure(args, context, dtype, mode), flush=True)


if __name__ == "__main__":
    main()
