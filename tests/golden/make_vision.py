"""Writes resnet.safetensors, resnet_small.safetensors and vit.safetensors beside this file: what PyTorch makes of small
networks that tell the class of images.

    python3 tests/golden/make_vision.py        needs Python with PyTorch 2 and NumPy

Each file holds, computed in f64 and stored in f32:
    WEIGHT                  the initial weights, filters as [out, rows, columns, in]; running statistics too
    grad.WEIGHT             the gradient of the mean loss, in training mode
    new.STATISTIC           running statistics after that pass
    image, label, other_label, label_share
    loss                    the mean, of labels mixed and smoothed by 0.1
    eval_loss               of the plain labels, by the running statistics from before the pass
"""

import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from golden import write_safetensors

BATCH, CLASSES, SMOOTHING, EPS = 6, 7, 0.1, 1e-5


class Weights(dict):
    def __init__(self, seed):
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def make(self, name, *shape, scale=0.3, mean=0.0):
        self[name] = (mean + scale * self.rng.standard_normal(shape)).astype(np.float32)

    def linear(self, name, out, inputs):
        self.make(f"{name}.weight", out, inputs)
        self.make(f"{name}.bias", out)

    def norm(self, name, width):
        self.make(f"{name}.weight", width, mean=1.0)
        self.make(f"{name}.bias", width)

    def batch_norm(self, name, width):
        self.norm(name, width)
        self.make(f"{name}.running_mean", width)
        self[f"{name}.running_var"] = self.rng.uniform(0.5, 2, width).astype(np.float32)


def conv(w, x, name, **options):
    return F.conv2d(x, w[f"{name}.weight"].permute(0, 3, 1, 2), w.get(f"{name}.bias"), **options)


def batch_norm(w, x, name, training):
    mean, var = (w[f"{name}.running_{s}"] for s in ("mean", "var"))
    return F.batch_norm(x, mean, var, w[f"{name}.weight"], w[f"{name}.bias"], training, 0.1, EPS)


def resnet_weights(small, width, stages):
    w, expansion = Weights(1), 1 if small else 4
    w.make("conv1.weight", width, *([3, 3, 3] if small else [7, 7, 3]))
    w.batch_norm("bn1", width)
    inputs = width
    for s in range(stages):
        name, inner, out = f"layer{s + 1}.0", width << s, (width << s) * expansion
        sizes = [(3, inputs, inner), (3, inner, out)] if small else [(1, inputs, inner), (3, inner, inner), (1, inner, out)]
        for i, (size, c, k) in enumerate(sizes):
            w.make(f"{name}.conv{i + 1}.weight", k, size, size, c)
            w.batch_norm(f"{name}.bn{i + 1}", k)
        if not small and (s > 0 or inputs != out):
            w.make(f"{name}.downsample.0.weight", out, 1, 1, inputs)
            w.batch_norm(f"{name}.downsample.1", out)
        inputs = out
    w.linear("fc", CLASSES, inputs)
    return w


def resnet(w, x, small, stages, training):
    x = F.relu(batch_norm(w, conv(w, x, "conv1", stride=1 if small else 2, padding=1 if small else 3), "bn1", training))
    if not small:
        x = F.max_pool2d(x, 3, 2, 1)
    for s in range(stages):
        name, stride, y, shortcut = f"layer{s + 1}.0", 2 if s > 0 else 1, x, x
        count = 2 if small else 3
        for i in range(count):
            size = w[f"{name}.conv{i + 1}.weight"].shape[1]
            step = stride if i == (0 if small else 1) else 1
            y = batch_norm(w, conv(w, y, f"{name}.conv{i + 1}", stride=step, padding=size // 2), f"{name}.bn{i + 1}", training)
            y = F.relu(y) if i + 1 < count else y
        if f"{name}.downsample.0.weight" in w:
            shortcut = batch_norm(w, conv(w, x, f"{name}.downsample.0", stride=stride), f"{name}.downsample.1", training)
        elif stride > 1:
            extra = (y.shape[1] - x.shape[1]) // 2
            shortcut = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, extra, extra))
        x = F.relu(y + shortcut)
    return F.linear(x.mean((2, 3)), w["fc.weight"], w["fc.bias"])


WIDTH, HEADS, LAYERS, PATCH = 16, 2, 2, 4


def vit_weights(size):
    w = Weights(2)
    w.make("patches.weight", WIDTH, PATCH, PATCH, 3)
    w.make("patches.bias", WIDTH)
    w.make("class_token", 1, WIDTH)
    w.make("positions.weight", (size // PATCH) ** 2 + 1, WIDTH)
    for i in range(LAYERS):
        for norm in ("norm1", "norm2"):
            w.make(f"block.{i}.{norm}.gain", WIDTH, mean=1.0)
            w.make(f"block.{i}.{norm}.bias", WIDTH)
        for part in "q", "k", "v", "out":
            w.linear(f"block.{i}.attn.{part}", WIDTH, WIDTH)
        w.linear(f"block.{i}.mlp.up", 4 * WIDTH, WIDTH)
        w.linear(f"block.{i}.mlp.down", WIDTH, 4 * WIDTH)
    w.make("norm.gain", WIDTH, mean=1.0)
    w.make("norm.bias", WIDTH)
    w.linear("head", CLASSES, WIDTH)
    return w


def vit(w, x):
    def norm(x, name):
        return F.layer_norm(x, (WIDTH,), w[f"{name}.gain"], w[f"{name}.bias"], 1e-6)

    def linear(x, name):
        return F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])

    x = conv(w, x, "patches", stride=PATCH).flatten(2).transpose(1, 2)
    x = torch.cat([w["class_token"].expand(len(x), 1, WIDTH), x], 1) + w["positions.weight"]
    for i in range(LAYERS):
        y = norm(x, f"block.{i}.norm1")
        q, k, v = (linear(y, f"block.{i}.attn.{part}").unflatten(2, (HEADS, -1)).transpose(1, 2) for part in "qkv")
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + linear(y, f"block.{i}.attn.out")
        x = x + linear(F.gelu(linear(norm(x, f"block.{i}.norm2"), f"block.{i}.mlp.up")), f"block.{i}.mlp.down")
    return linear(norm(x[:, 0], "norm"), "head")


def golden(weights, size, network):
    """network(weights, images, training) -> logits"""
    rng = np.random.default_rng(5)
    data = dict(image=rng.uniform(-2, 2, (BATCH, size, size, 3)).astype(np.float32),
                label=rng.integers(CLASSES, size=BATCH).astype(np.int32),
                other_label=rng.integers(CLASSES, size=BATCH).astype(np.int32),
                label_share=rng.random(BATCH, dtype=np.float32))
    x = torch.tensor(data["image"]).double().permute(0, 3, 1, 2)
    one_hot = lambda name: F.one_hot(torch.tensor(data[name]).long(), CLASSES).double()
    share = torch.tensor(data["label_share"]).double()[:, None]
    targets = (1 - SMOOTHING) * (share * one_hot("label") + (1 - share) * one_hot("other_label")) + SMOOTHING / CLASSES
    w = {name: torch.tensor(value).double().requires_grad_("running" not in name) for name, value in weights.items()}
    eval_loss = F.cross_entropy(network(w, x, False), one_hot("label"))
    loss = F.cross_entropy(network(w, x, True), targets)
    loss.backward()
    out = dict(loss=loss.detach().reshape(1), eval_loss=eval_loss.detach().reshape(1))
    out |= {(f"new.{name}" if "running" in name else f"grad.{name}"): p.detach() if p.grad is None else p.grad
            for name, p in w.items()}
    return dict(weights, **data, **{name: value.numpy().astype(np.float32) for name, value in out.items()})


def main():
    folder = pathlib.Path(__file__).parent
    for name, small, size, stages in (("resnet", False, 32, 2), ("resnet_small", True, 8, 3)):
        tensors = golden(resnet_weights(small, 4, stages), size, lambda w, x, t: resnet(w, x, small, stages, t))
        write_safetensors(folder / f"{name}.safetensors", tensors)
        print(name, tensors["loss"], tensors["eval_loss"])
    tensors = golden(vit_weights(8), 8, lambda w, x, t: vit(w, x))
    write_safetensors(folder / "vit.safetensors", tensors)
    print("vit", tensors["loss"], tensors["eval_loss"])


if __name__ == "__main__":
    main()
