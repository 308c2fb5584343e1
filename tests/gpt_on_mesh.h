#pragma once
#include <map>
#include <string>
#include <vector>

#include "models/gpt.h"

// A small GPT on any mesh, for comparing layouts: the loss and every gradient of a few
// micro-batches, with dropout.
namespace fusor::gpt_on_mesh {

constexpr std::int64_t kSamples = 2, kSeqLen = 24, kFirstSample = 4, kWords = 51;

GptConfig classic();  // learned positions, LayerNorm, GELU, biases, tied embeddings
GptConfig modern();   // rotary positions, RMSNorm, SwiGLU, grouped heads
GptConfig sparse();   // modern with experts, who drop tokens

// Gives a parameter memory, and weights that are a function of names and global indices.
void bind(Parameter& p, DType dtype, const Device& device);

// What a rank that holds such rows reads of its micro-batch.
Batch batch_of(const RowMap& rows, const Device& device);

// Forward and backward of a micro-batch, by its index, on this rank of a mesh.
double train(Gpt& gpt, const Mesh& mesh, const Device& device, int micro = 0);

struct Result {
  double loss = 0;
  std::map<std::string, std::vector<double>> gradients;  // of whole tensors, by piece
};
// Adds what this rank holds of a parameter's gradient; first_rank: of tp. Ranks take turns.
void gather(Parameter& p, bool first_rank, Result& result);

// Over all ranks of a mesh of tp, cp, dp and ep, as threads; dp divides the micro-batches.
Result run(const GptConfig& config, DType dtype, const MeshShape& shape, bool sequence = false,
           int micros = 1);

// Expects `many` to be `one`, but for rounding, as a fraction of each tensor's largest gradient.
void expect_same(const Result& many, const Result& one, double within);

}  // namespace fusor::gpt_on_mesh
