"""Writes ctc.safetensors beside this file: what PyTorch makes of a batch for connectionist temporal classification.

    python3 tests/golden/make_ctc.py        needs Python with PyTorch 2 and NumPy

    logits        f64 [samples, T, V]
    labels        i32 [samples, L], 0 past a sample's count; none is the blank, which is 3
    label_counts  i32 [samples]
    frame_counts  i32 [samples]
    losses        f64 [samples], inf where a sample has too few frames
    grad          f64 like logits, of the sum of the losses that are not inf
"""

import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from golden import write_safetensors

T, V, L, BLANK = 12, 6, 5, 3
LABELS = [[1, 1, 0, 5, 2], [4, 0, 0, 0, 0], [0, 0, 0, 0, 0], [2, 2, 2, 2, 2], [5, 4, 5, 4, 5], [1, 2, 0, 0, 0]]
LABEL_COUNTS, FRAME_COUNTS = [5, 1, 0, 5, 5, 2], [12, 1, 7, 8, 5, 10]  # the fourth needs nine frames

torch.manual_seed(5)
logits = (3 * torch.randn(len(LABELS), T, V, dtype=torch.float64)).requires_grad_()
losses = F.ctc_loss(logits.log_softmax(-1).transpose(0, 1), torch.tensor(LABELS), torch.tensor(FRAME_COUNTS),
                    torch.tensor(LABEL_COUNTS), blank=BLANK, reduction="none")
losses[losses.isfinite()].sum().backward()
grad = torch.where(losses.isfinite()[:, None, None], logits.grad, 0)
write_safetensors(pathlib.Path(__file__).with_name("ctc.safetensors"), {
    "logits": logits.detach().numpy(), "labels": np.array(LABELS, np.int32),
    "label_counts": np.array(LABEL_COUNTS, np.int32), "frame_counts": np.array(FRAME_COUNTS, np.int32),
    "losses": losses.detach().numpy(), "grad": grad.numpy()})
