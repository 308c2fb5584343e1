#!/usr/bin/env python3
"""Predicted against measured step times of runs of two ranks on this machine.

  planned_steps.py FUSOR [STEPS]

FUSOR is the program. Calibrates this machine under mpirun, plans and trains a small Llama on made-up text
under layouts of two ranks, and prints a row for each: the median of the measured steps, what `fusor plan
--cluster` predicts, and the error. For a machine that does nothing else; a row is measured twice and its
calibration is repeated, so that a disturbance shows as two rows that disagree.
"""
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile

FUSOR = os.path.abspath(sys.argv[1])
STEPS = int(sys.argv[2]) if len(sys.argv) > 2 else 12
MODEL = ["preset = llama-tiny", "vocab_size = 256", "seq_len = 256", "layers = 6", "width = 384", "heads = 6",
         "kv_heads = 6", "mlp_hidden = 1024"]
TRAIN = [f"steps = {STEPS}", "global_batch = 16", "micro_batch = 4"]
LAYOUTS = {"dp 2": ["--parallel.dp=2"],
           "dp 2, zero 2": ["--parallel.dp=2", "--parallel.zero=2"],
           "dp 2, zero 3": ["--parallel.dp=2", "--parallel.zero=3"],
           "tp 2": ["--parallel.tp=2"],
           "tp 2, sequence": ["--parallel.tp=2", "--parallel.sequence=true"],
           "cp 2": ["--parallel.cp=2"],
           "pp 2, 1f1b": ["--parallel.pp=2"],
           "pp 2, recompute": ["--parallel.pp=2", "--parallel.recompute=full"]}
MPIRUN = ["mpirun", "--allow-run-as-root", "-np", "2"]


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def prepare():
    with open("recipe.ini", "w") as recipe:
        recipe.write("\n".join(["[model]", *MODEL, "[train]", *TRAIN]) + "\n")
    random.seed(1)
    with open("text", "w") as text:
        for _ in range(4000):
            text.write("".join(random.choices("abcdefgh ", k=100)) + "\n\n")
    run(FUSOR, "data", "text", "--input", "text", "--output", "data")


def measured(layout):
    run("rm", "-rf", "run")
    run(*MPIRUN, FUSOR, "train", "recipe.ini", "--data.path=data", "--log.dir=run", *layout)
    with open("run/metrics.jsonl") as lines:
        rows = [json.loads(line) for line in lines]
    steps = [row["seconds"] for row in rows if row["kind"] == "train"]
    return statistics.median(steps[2:])


def predicted(layout):
    plan = run(FUSOR, "plan", "recipe.ini", "-N", "2", "--parallel.threads=1", "--cluster", "here.ini", *layout)
    return float(re.search(r"^step (\S+) s:", plan, re.M).group(1))


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    prepare()
    print("| layout | measured, s | predicted, s | error |\n|---|---|---|---|")
    for _ in range(2):
        run(*MPIRUN, FUSOR, "bench", "--calibrate", "here.ini")
        for name, layout in LAYOUTS.items():
            truth, guess = measured(layout), predicted(layout)
            print(f"| {name} | {truth:.3f} | {guess:.3f} | {100 * (guess / truth - 1):+.1f} % |", flush=True)
