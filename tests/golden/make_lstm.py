"""Writes lstm.safetensors beside this file: what PyTorch's torch.nn.LSTM makes of a batch of sequences, both ways.

    python3 tests/golden/make_lstm.py       needs Python with PyTorch 2 and NumPy

All f64 but for the counts. Weights of the two directions stand one below the other, gates in the order i, f, g, o:
    x        [samples, T, inputs]       counts  i32 [samples]
    u        [2 4 hidden, inputs]       w       [2 4 hidden, hidden]
    b        [2 4 hidden]: the sum of PyTorch's two
    y        [samples, T, 2 hidden], 0 past a sample's count
    dy       like y; grad.x, grad.u, grad.w, grad.b: the gradients of sum(dy y)
"""

import pathlib

import numpy as np
import torch
from golden import write_safetensors
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

SAMPLES, T, INPUTS, HIDDEN = 3, 6, 4, 5
COUNTS = [6, 1, 4]

torch.manual_seed(1)
lstm = torch.nn.LSTM(INPUTS, HIDDEN, batch_first=True, bidirectional=True, dtype=torch.float64)
x = torch.randn(SAMPLES, T, INPUTS, dtype=torch.float64, requires_grad=True)
dy = torch.randn(SAMPLES, T, 2 * HIDDEN, dtype=torch.float64)
packed = pack_padded_sequence(x, COUNTS, batch_first=True, enforce_sorted=False)
y = pad_packed_sequence(lstm(packed)[0], batch_first=True, total_length=T)[0]
(dy * y).sum().backward()


def both(name, of=lambda p: p.detach()):
    return torch.cat([of(getattr(lstm, name + end)) for end in ("_l0", "_l0_reverse")]).numpy()


def grad(p):
    return p.grad


write_safetensors(pathlib.Path(__file__).with_name("lstm.safetensors"), {
    "x": x.detach().numpy(), "counts": np.array(COUNTS, np.int32), "u": both("weight_ih"), "w": both("weight_hh"),
    "b": both("bias_ih") + both("bias_hh"), "y": y.detach().numpy(), "dy": dy.numpy(), "grad.x": x.grad.numpy(),
    "grad.u": both("weight_ih", grad), "grad.w": both("weight_hh", grad), "grad.b": both("bias_ih", grad)})
