#pragma once
#include "launch/keys_bert.h"
#include "launch/keys_gpt.h"
#include "launch/keys_image.h"
#include "launch/keys_speech.h"

namespace fusor {

// clang-format off
template <class C, class F>
void visit_model_keys(C& c, F&& f) {
  f(fixed_key("model.preset", "named shape that the other model keys override; it tells the family"), c.preset);
  if (c.family == Family::gpt) visit_gpt_model_keys(c, f);
  if (c.family == Family::resnet) visit_resnet_model_keys(c, f);
  if (c.family == Family::vit) visit_vit_model_keys(c, f);
  if (c.family == Family::speech) visit_speech_model_keys(c, f);
  if (c.family == Family::bert) visit_bert_model_keys(c, f);
}

template <class C, class F>
void visit_data_keys(C& c, F&& f) {
  f(key("data.path", "dataset folder, as fusor data writes it"), c.data.path);
  if (c.family == Family::gpt) visit_gpt_data_keys(c, f);
  if (c.family == Family::resnet || c.family == Family::vit) visit_image_data_keys(c, f);
  if (c.family == Family::speech) visit_speech_data_keys(c, f);
  if (c.family == Family::bert) visit_bert_data_keys(c, f);
  f(key("data.loader_threads", "threads that read shards, per rank", 1, 1 << 10), c.data.loader_threads);
  f(key("data.prefetch", "micro-batches in memory, the one in use included", 2, 1 << 20), c.data.prefetch);
  f(key("data.verify", "check the shards' checksums before training"), c.data.verify);
}

template <class C, class F>
void visit_parallel_keys(C& c, F&& f) {
  auto& p = c.parallel;
  f(key("parallel.dp", "data-parallel size (0: what the other axes leave of the ranks)", 0, 1 << 20), p.dp);
  f(key("parallel.tp", "tensor-parallel size", 1, 1 << 14), p.tp);
  f(key("parallel.sequence", "split activations over tp between the layers that tp splits"), p.sequence);
  f(key("parallel.pp", "pipeline ranks", 1, 1 << 12), p.pp);
  f(key("parallel.schedule", "order of the pipeline's work; a zero-bubble one splits the backward pass"), p.schedule);
  f(key("parallel.stages", "pipeline stages on each rank (interleaved: 2 or more; zb_v: 2)", 1, 1 << 12), p.stages);
  f(key("parallel.split", "parts of each stage: embed..block.3 | block.4..head, or 5,3 (empty: by cost)"), p.split);
  f(key("parallel.recompute", "activations that backward computes again: none, attention's, all"), p.recompute);
  f(key("parallel.recompute_layers", "blocks that do so, from the first on (0: all)", 0, 1 << 14), p.recompute_layers);
  f(key("parallel.cp", "context-parallel size", 1, 1 << 14), p.cp);
  f(key("parallel.ep", "expert-parallel size; divides dp", 1, 1 << 20), p.ep);
  f(key("parallel.zero", "what ranks with equal weights split: 1 optimizer state, 2 gradients too, 3 weights too", 0, 4), p.zero);
  f(key("parallel.shard", "ranks that split one copy of these (0: all with equal weights)", 0, 1 << 20), p.shard);
  f(key("parallel.reduce", "gradient sums: fast, or exact: the same bits whatever dp, pp and zero are"), p.reduce);
  f(key("parallel.bucket_mb", "gradients reduced together, in MiB", 0, 1 << 20), p.bucket_mb);
  f(key("parallel.transport", "between GPUs: nccl, mpi through host memory, auto: nccl where each rank has its own"), p.transport);
  f(key("parallel.threads", "compute threads per rank (0: cores / ranks of the node)", 0, 1 << 14), p.threads);
}

template <class C, class F>
void visit_optimizer_keys(C& c, F&& f) {
  auto& o = c.optimizer;
  f(key("optimizer.lr", "peak learning rate"), o.lr);
  f(key("optimizer.min_lr", "learning rate at the end of the decay"), o.min_lr);
  f(key("optimizer.schedule", "decay after the warm-up"), o.schedule);
  f(key("optimizer.warmup_steps", "steps of linear warm-up"), o.warmup_steps);
  f(key("optimizer.beta1", "decay of the gradient's mean", 0, 1), o.beta1);
  f(key("optimizer.beta2", "decay of the gradient's square", 0, 1), o.beta2);
  f(key("optimizer.eps", "added to the denominator of the update"), o.eps);
  f(key("optimizer.weight_decay", "decoupled weight decay of matrices"), o.weight_decay);
  f(key("optimizer.clip", "largest global gradient norm (0: off)"), o.clip);
}

template <class C, class F>
void visit_train_keys(C& c, F&& f) {
  auto& t = c.train;
  f(key("train.steps", "optimizer steps (0: from train.tokens, else 1000)"), t.steps);
  f(key("train.tokens", "tokens to train on, in place of train.steps"), t.tokens);
  f(key("train.global_batch", "samples per step over all ranks (0: derived)", 0, 1 << 30), t.global_batch);
  f(key("train.micro_batch", "samples per forward pass of a rank (0: derived)", 0, 1 << 20), t.micro_batch);
  f(key("train.accumulation", "micro-batches per rank and step (0: derived)", 0, 1 << 20), t.accumulation);
  f(fixed_key("train.seed", "of weights, data order and dropout"), t.seed);
  f(fixed_key("train.dtype", "of activations; master weights and sums are at least f32"), t.dtype);
  f(key("train.loss_scale", "f16 alone: what the loss is multiplied by for its gradient (0: found as the run goes)"), t.loss_scale);
  f(key("train.device", "where ranks compute; auto: on this rank's GPU if there is one, else on the CPU"), t.device);
  f(key("train.cuda_graph", "on a GPU, queue a step with one call where that is possible"),
    t.cuda_graph);
  f(key("train.eval_every", "steps between evaluations (0: none)"), t.eval_every);
  f(key("train.eval_batches", "global batches per evaluation (0: all)"), t.eval_batches);
  f(key("train.sample_every", "steps between samples of text (0: none)"), t.sample_every);
  f(key("train.sample_prompt", "what a sample goes on from"), t.sample_prompt);
  f(key("train.sample_tokens", "tokens of a sample", 1), t.sample_tokens);
  f(key("train.freeze", "regular expression of parameters' names that are not trained"), t.freeze);
  f(key("train.early_stop_patience", "evaluations without improvement (0: off)"), t.early_stop_patience);
  f(key("train.early_stop_min_delta", "smallest drop in loss that counts"), t.early_stop_min_delta);
}

// The one table of recipe keys: calls f(Key, field) for each, in the order they are printed.
// Parsing, range checks, defaults, help and printing are all visits of it. C is Config, const or not,
// whose family tells which keys there are of the model and its data.
template <class C, class F>
void visit_keys(C& c, F&& f) {
  visit_model_keys(c, f);
  visit_data_keys(c, f);
  visit_parallel_keys(c, f);
  visit_optimizer_keys(c, f);
  visit_train_keys(c, f);
  f(key("checkpoint.every", "steps between checkpoints; there is one at the end too"), c.checkpoint.every);
  f(key("checkpoint.keep_last", "newest checkpoints kept (0: all)"), c.checkpoint.keep_last);
  f(key("checkpoint.keep_every", "checkpoints at multiples of this step are kept for good (0: none)"),
    c.checkpoint.keep_every);
  f(key("checkpoint.resume", "auto, never, must, or the folder of a checkpoint"), c.checkpoint.resume);
  f(key("checkpoint.begin_with", "checkpoint or run whose weights a new run begins with"), c.checkpoint.begin_with);
  f(key("checkpoint.rename", "PATTERN=>TEXT; ... makes a weight's name here its name there, by regular expressions"), c.checkpoint.rename);
  f(key("checkpoint.on_mismatch", "a weight that is not there, or of another shape: fail, or fresh: as drawn"), c.checkpoint.on_mismatch);
  f(key("log.dir", "folder of the run (empty: runs/ and the recipe's name)"), c.log.dir);
  f(key("log.every", "steps between lines of metrics.jsonl", 1), c.log.every);
  f(key("log.trace", "file for the spans of every rank, as Perfetto shows them; empty: none"), c.log.trace);
}
// clang-format on

}  // namespace fusor
