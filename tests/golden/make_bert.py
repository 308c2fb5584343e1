"""Writes bert.safetensors beside this file: what Hugging Face's BERT makes of two small models.

    python3 tests/golden/make_bert.py        needs Python with PyTorch 2, transformers 4 and NumPy

All f64 but for the ids; "words." is BertForMaskedLM, "first." BertForSequenceClassification with its pooler:
    tokens, types    i32 [samples, T]
    lengths          i32 [samples]
    positions, targets  i32 [samples, predictions]: target -1 is ignored
    label            i32 [samples]
    MODEL.WEIGHT     "words.block.0.attn.q.weight", by Fusor's names; y = x w^T + b, so a weight is [outputs, inputs]
    MODEL.grad.WEIGHT
    MODEL.loss       [1]: the sum over targets
"""

import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from golden import write_safetensors
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification

WORDS, T, LENGTHS, CLASSES = 37, 9, [9, 5, 7], 3
CONFIG = dict(vocab_size=WORDS, hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24,
              hidden_act="gelu", hidden_dropout_prob=0, attention_probs_dropout_prob=0, max_position_embeddings=12,
              type_vocab_size=2, layer_norm_eps=1e-12, num_labels=CLASSES, attn_implementation="eager")

torch.manual_seed(5)
torch.set_default_dtype(torch.float64)


def names(layers):
    """Hugging Face's stem -> ours."""
    stems = {"bert.embeddings.word_embeddings": "embed", "bert.embeddings.position_embeddings": "positions",
             "bert.embeddings.token_type_embeddings": "types", "bert.embeddings.LayerNorm": "embed.norm",
             "bert.pooler.dense": "head.pooler", "classifier": "head",
             "cls.predictions.transform.dense": "head.dense", "cls.predictions.transform.LayerNorm": "head.norm",
             "cls.predictions": "head"}
    for i in range(layers):
        theirs, ours = f"bert.encoder.layer.{i}", f"block.{i}"
        for q in ("query", "key", "value"):
            stems[f"{theirs}.attention.self.{q}"] = f"{ours}.attn.{q[0]}"
        stems |= {f"{theirs}.attention.output.dense": f"{ours}.attn.out",
                  f"{theirs}.attention.output.LayerNorm": f"{ours}.norm1",
                  f"{theirs}.intermediate.dense": f"{ours}.mlp.up", f"{theirs}.output.dense": f"{ours}.mlp.down",
                  f"{theirs}.output.LayerNorm": f"{ours}.norm2"}
    return stems


def ours(name):
    stem, kind = name.rsplit(".", 1)
    norm = stem.endswith("LayerNorm")
    return f"{names(CONFIG['num_hidden_layers'])[stem]}.{'gain' if norm and kind == 'weight' else kind}"


tokens, types = torch.randint(0, WORDS, (3, T)), torch.randint(0, 2, (3, T))
mask = torch.arange(T) < torch.tensor(LENGTHS)[:, None]
positions = torch.tensor([[1, 4, 8, 0], [2, 3, 0, 0], [0, 6, 0, 0]])
targets = torch.tensor([[5, 36, 0, -1], [7, 7, -1, -1], [20, 3, -1, -1]])
label = torch.tensor([2, 0, 1])
tensors = {"tokens": tokens, "types": types, "lengths": torch.tensor(LENGTHS), "positions": positions, "targets": targets,
           "label": label}
tensors = {name: t.numpy().astype(np.int32) for name, t in tensors.items()}
for model_name, model in (("words", BertForMaskedLM(BertConfig(**CONFIG))),
                          ("first", BertForSequenceClassification(BertConfig(**CONFIG)))):
    for name, p in model.named_parameters():  # random gains and biases too, so that none can be left out unseen
        torch.nn.init.normal_(p, mean=1.0 if name.endswith("LayerNorm.weight") else 0.0, std=0.3)
    logits = model(input_ids=tokens, token_type_ids=types, attention_mask=mask).logits
    if model_name == "words":
        picked = logits.gather(1, positions[..., None].expand(-1, -1, WORDS))
        loss = F.cross_entropy(picked.reshape(-1, WORDS), targets.reshape(-1), ignore_index=-1, reduction="sum")
    else:
        loss = F.cross_entropy(logits, label, reduction="sum")
    loss.backward()
    tensors[f"{model_name}.loss"] = loss.detach().reshape(1).numpy()
    for name, p in model.named_parameters():
        tensors[f"{model_name}.{ours(name)}"] = p.detach().numpy()
        tensors[f"{model_name}.grad.{ours(name)}"] = p.grad.numpy()
write_safetensors(pathlib.Path(__file__).with_name("bert.safetensors"), tensors)
