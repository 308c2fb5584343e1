"""Writes confusion.json beside this file: what scikit-learn tells of some predictions.

    python3 tests/golden/make_confusion.py        needs Python with scikit-learn and NumPy
"""

import json
import pathlib

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

rng = np.random.default_rng(3)
rows = []
for classes, samples, wrong in ((3, 50, 0.4), (5, 17, 0.9), (8, 6, 0.5), (2, 30, 0.0)):
    truth = rng.integers(0, classes, samples)
    told = np.where(rng.random(samples) < wrong, rng.integers(0, classes, samples), truth)
    averages = {kind: list(precision_recall_fscore_support(truth, told, average=kind, zero_division=0)[:3])
                for kind in ("macro", "micro")}
    each = precision_recall_fscore_support(truth, told, labels=range(classes), average=None, zero_division=0)
    rows.append({"classes": classes, "truth": truth.tolist(), "told": told.tolist(),
                 "matrix": confusion_matrix(truth, told, labels=range(classes)).tolist(),
                 "accuracy": accuracy_score(truth, told), "each": [list(x) for x in zip(*each[:3])], **averages})
pathlib.Path(__file__).with_name("confusion.json").write_text(json.dumps(rows, separators=(",", ":")) + "\n")
