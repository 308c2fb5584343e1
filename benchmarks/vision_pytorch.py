"""Compares convolutions and training steps of ResNets with PyTorch on the CPU.

    vision_pytorch.py PATH/TO/vision_bench [PAIRS]

Each case runs the two in alternation, PAIRS times (default 5) after one that is not counted, with the threads
OMP_NUM_THREADS gives them. Prints the median milliseconds of each and the ratio of the medians. Convolutions are
forward + backward, of input and filters, images channels last on both sides; steps end with AdamW.
"""

import statistics
import subprocess
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
# n, h, w, c, k, size, stride: layers of ResNet-20 and ResNet-50
LAYERS = [(128, 32, 32, 3, 16, 3, 1), (128, 32, 32, 16, 16, 3, 1), (128, 32, 32, 16, 32, 3, 2), (128, 8, 8, 64, 64, 3, 1),
          (16, 224, 224, 3, 64, 7, 2), (16, 56, 56, 64, 64, 1, 1), (16, 56, 56, 64, 64, 3, 1), (16, 56, 56, 64, 256, 1, 1),
          (16, 28, 28, 128, 128, 3, 1), (16, 14, 14, 256, 1024, 1, 1), (16, 14, 14, 256, 256, 3, 1), (16, 7, 7, 512, 512, 3, 1)]


class Ours:
    def __init__(self, *command):
        self.program = subprocess.Popen([*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, repeats):
        print(repeats, file=self.program.stdin, flush=True)
        return statistics.median(map(float, self.program.stdout.readline().split()))


def timed(step):
    def run(repeats):
        times = []
        for _ in range(repeats):
            begin = time.perf_counter()
            step()
            times.append(time.perf_counter() - begin)
        return statistics.median(times)
    return run


def convolution(n, h, w, c, k, size, stride, dtype):
    x = torch.randn(n, c, h, w, dtype=TYPES[dtype]).to(memory_format=torch.channels_last).requires_grad_()
    filters = torch.randn(k, c, size, size, dtype=TYPES[dtype]).to(memory_format=torch.channels_last).requires_grad_()
    dy = torch.randn_like(F.conv2d(x, filters, None, stride, size // 2))

    def step():
        x.grad = filters.grad = None
        F.conv2d(x, filters, None, stride, size // 2).backward(dy)
    return timed(step)


class Block(nn.Module):
    def __init__(self, inputs, width, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.stride, self.extra = stride, (width - inputs) // 2

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra, self.extra))
        return F.relu(x + y)


def resnet20(samples):
    blocks = [Block(inputs, width, stride) for width, first in ((16, 16), (32, 16), (64, 32))
              for inputs, stride in ((first, 1 if width == 16 else 2), (width, 1), (width, 1))]
    model = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), *blocks,
                          nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4, foreach=True)
    x = torch.randn(samples, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.arange(samples) % 10

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), labels).backward()
        optimizer.step()
    return timed(step)


def compare(name, ours, theirs, repeats, pairs):
    ours(1), theirs(1)
    a, b = (statistics.median(side) for side in zip(*((ours(repeats), theirs(repeats)) for _ in range(pairs))))
    ours.program.communicate()
    print(f"{name}: ours {a * 1e3:.2f} ms, PyTorch {b * 1e3:.2f} ms, ratio {b / a:.2f}", flush=True)


def main():
    bench, pairs = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}")
    compare("ResNet-20, a step of 128", Ours(bench, "resnet", "resnet20", 128, "f32"), resnet20(128), 5, pairs)
    for dtype in TYPES:
        for layer in LAYERS:
            name = "{} conv {} x {} x {} x {}, {} filters of {}, stride {}".format(dtype, *layer)
            compare(name, Ours(bench, "conv2d", *layer, dtype), convolution(*layer, dtype), 10, pairs)


if __name__ == "__main__":
    main()
