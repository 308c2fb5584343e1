#!/usr/bin/env python3
"""Fits the efficiencies of launch/clusters/a100-node.ini to measured runs, by least squares.

  fit_cluster.py PLANNER_BENCH FOLDER START.ini > FITTED.ini

Only a100-node-calibrate.csv and the all-reduce files of FOLDER are read (see planner_bench.cc). What
is fitted has a meaning of its own: the largest share of the peak and the flops at which half of it
is reached, the same for memory, the host's time per kernel and call, and the share of the links'
bandwidth. Nothing is fitted per row or per shape. Needs scipy.
"""
import subprocess
import sys
import tempfile

import numpy as np
from scipy.optimize import least_squares

BENCH, FOLDER, START = sys.argv[1:4]
GEMM = [10**e for e in np.arange(8, 13.1, 0.5)]
STREAM = [10**e for e in np.arange(5, 9.6, 0.5)]
MESSAGES = [2**e for e in range(20, 31, 2)]

# A100s reach about 270 of 312 Tflop/s in their best products, and 92 % of their memory's bandwidth.
#        gemm.most gemm.half  stream.most stream.half unaligned launch call
LEAST = [0.50, 1e7, 0.50, 1e5, 0.1, 5e-6, 5e-6]
MOST = [0.80, 1e10, 0.92, 3e7, 1.0, 2e-4, 5e-4]
FIRST = [0.75, 2e9, 0.80, 5e6, 0.5, 5e-5, 5e-5]


def curve(sizes, most, half):
    return " ".join(f"{x:.4g}:{most * x / (x + half):.7g}" for x in sizes)


def with_values(text, values):
    """The INI text with `section.key` set to each value; comments stay."""
    section, lines = "", []
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        key = section + "." + line.split("=")[0].strip()
        lines.append(f"{line.split('=')[0]}= {values[key]}" if "=" in line and key in values else line)
    return "\n".join(lines) + "\n"


def rows(text, file):
    """log(predicted / measured) of each row of a file."""
    with tempfile.NamedTemporaryFile("w", suffix=".ini") as ini:
        ini.write(text), ini.flush()
        out = subprocess.run([BENCH, FOLDER, "--cluster", ini.name, "--file", file, "--rows"],
                             capture_output=True, text=True, check=True).stdout
    pairs = np.array([line.split() for line in out.splitlines()[:-1]], float)
    return np.log(pairs[:, 1] / pairs[:, 0])


def link(x):
    return {"inside.latency": f"{x[0]:.7g}", "inside.start": f"{x[1]:.7g}",
            "inside.efficiency": " ".join(f"{s}:{e:.7g}" for s, e in zip(MESSAGES, x[2:]))}


def rank(x):
    return {"rank.gemm": curve(GEMM, *x[0:2]), "rank.streaming": curve(STREAM, *x[2:4]),
            "rank.unaligned": f"{x[4]:.7g}", "host.launch": f"{x[5]:.7g}", "host.call": f"{x[6]:.7g}"}


def fit(first, least, most, values, text, files, **how):
    """Of log(x), so that all are of one scale."""
    def residuals(x):
        now = with_values(text, values(np.exp(x)))
        return np.concatenate([rows(now, f) for f in files])
    best = least_squares(residuals, np.log(first), bounds=(np.log(least), np.log(most)),
                         diff_step=1e-2, loss="soft_l1", f_scale=0.05, **how)
    return with_values(text, values(np.exp(best.x)))


with open(START) as file:
    ini = file.read()
ini = fit([2e-6, 3e-5] + [0.5] * 6, [1e-7, 1e-6] + [0.1] * 6, [1e-5, 1e-4] + [0.95] * 6, link, ini,
          [f"a100-node-allreduce-{n}.csv" for n in (2, 4, 8)])
ini = fit(FIRST, LEAST, MOST, rank, ini, ["a100-node-calibrate.csv"], max_nfev=12)
sys.stdout.write(ini)
