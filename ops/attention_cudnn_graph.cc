#include "ops/attention_cudnn_graph.h"

#include <cudnn_frontend.h>

#include <cmath>

#include "ops/cudnn_frontend_link.h"
#include "runtime/error.h"

namespace fusor::ops {
namespace {

namespace fe = cudnn_frontend;
using Node = std::shared_ptr<fe::graph::Tensor_attributes>;

void check(const fe::error_t& error, const char* what) {
  require(error.is_good(), "cuDNN's attention, ", what, ": ", error.err_msg);
}

// Names of tensors, in the order of AttentionGraph::Tensors.
enum Uid : std::int64_t { kQ, kK, kV, kY, kLogSumExp, kDy, kDq, kDk, kDv };

struct Layout {
  std::vector<std::int64_t> dims, strides;  // sequence, head, position, element
};

// What a part takes of a tensor [batch * positions, columns] with `heads` heads, that of the whole
// shape.
Layout heads_layout(const AttentionShape& s, const AttentionPart& part, std::int64_t heads,
                    std::int64_t positions, std::int64_t columns) {
  return {{part.sequences, heads * part.kv_heads / s.kv_heads, positions, s.head_dim},
          {positions * columns, s.head_dim, columns, 1}};
}

fe::DataType_t type_of(DType dtype) {
  return dtype == DType::f16 ? fe::DataType_t::HALF : fe::DataType_t::BFLOAT16;
}

// The graph of one pass. Stats are cuDNN's name for the log-sum-exp, natural and f32.
struct Builder {
  fe::graph::Graph& graph;
  const AttentionShape& s;
  const AttentionPart& part;
  fe::DataType_t type;  // of all but the stats
  float scale = 1 / std::sqrt(static_cast<float>(s.head_dim));

  Layout q() const { return heads_layout(s, part, s.heads, s.seq_len, q_columns(s)); }
  Layout kv() const { return heads_layout(s, part, s.kv_heads, keys_of(s), kv_columns(s)); }
  Layout y() const { return heads_layout(s, part, s.heads, s.seq_len, s.heads * s.head_dim); }
  Layout stats() const {
    const std::int64_t heads = q().dims[1];  // dense, as cuDNN before 9.26 reads it
    return {{part.sequences, heads, s.seq_len, 1}, {heads * s.seq_len, s.seq_len, 1, 1}};
  }

  Node input(Uid uid, const Layout& layout) const { return input(uid, layout, type); }
  Node input(Uid uid, const Layout& layout, fe::DataType_t of) const {
    return graph.tensor(fe::graph::Tensor_attributes()
                            .set_uid(uid)
                            .set_dim(layout.dims)
                            .set_stride(layout.strides)
                            .set_data_type(of));
  }
  void output(const Node& node, Uid uid, const Layout& layout) const {
    output(node, uid, layout, type);
  }
  static void output(const Node& node, Uid uid, const Layout& layout, fe::DataType_t of) {
    node->set_output(true)
        .set_uid(uid)
        .set_dim(layout.dims)
        .set_stride(layout.strides)
        .set_data_type(of);
  }

  void forward() const {
    const auto options = fe::graph::SDPA_attributes()
                             .set_name("attention")
                             .set_attn_scale(scale)
                             .set_causal_mask(s.causal)
                             .set_generate_stats(true);
    const auto [to_y, to_stats] =
        graph.sdpa(input(kQ, q()), input(kK, kv()), input(kV, kv()), options);
    output(to_y, kY, y());
    output(to_stats, kLogSumExp, stats(), fe::DataType_t::FLOAT);
  }
  void backward() const {
    const auto options = fe::graph::SDPA_backward_attributes()
                             .set_name("attention_backward")
                             .set_attn_scale(scale)
                             .set_causal_mask(s.causal)
                             .set_deterministic_algorithm(true);
    const auto [dq, dk, dv] = graph.sdpa_backward(
        input(kQ, q()), input(kK, kv()), input(kV, kv()), input(kY, y()), input(kDy, y()),
        input(kLogSumExp, stats(), fe::DataType_t::FLOAT), options);
    output(dq, kDq, q());
    output(dk, kDk, kv());
    output(dv, kDv, kv());
  }
};

void describe(fe::graph::Graph& graph, const CudnnSetup& on, DType dtype, const AttentionShape& s,
              const AttentionPart& part, AttentionPass pass) {
  link_cudnn_frontend();
  graph.set_io_data_type(type_of(dtype))
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT)
      .set_sm_version(on.capability);
  const Builder builder{graph, s, part, type_of(dtype)};
  pass == AttentionPass::forward ? builder.forward() : builder.backward();
  check(graph.validate(), "the graph");
}

}  // namespace

struct AttentionGraph::Impl {
  fe::graph::Graph graph;
};

AttentionGraph::AttentionGraph(cudnnHandle_t handle, const CudnnSetup& on, DType dtype,
                               const AttentionShape& s, AttentionPass pass)
    : impl_(std::make_unique<Impl>()), part_(cudnn_part(on, s, pass)), pass_(pass) {
  fe::graph::Graph& graph = impl_->graph;
  describe(graph, on, dtype, s, part_, pass);
  check(graph.build_operation_graph(handle), "its operations");
  check(graph.create_execution_plans({fe::HeurMode_t::A}), "a kernel");
  check(graph.check_support(), "a kernel");
  check(graph.build_plans(), "a kernel");
  std::int64_t bytes = 0;
  check(graph.get_workspace_size(bytes), "its workspace");
  workspace_ = static_cast<std::size_t>(bytes);
}

AttentionGraph::~AttentionGraph() = default;
AttentionGraph::AttentionGraph(AttentionGraph&&) noexcept = default;

void AttentionGraph::run(cudnnHandle_t handle, Tensors tensors, std::byte* workspace) const {
  const int count = pass_ == AttentionPass::forward ? kLogSumExp + 1 : kDv + 1;
  check(impl_->graph.execute(handle, tensors.data(), count, workspace), "a call");
}

void check_attention_graph(const std::string& device, const CudnnSetup& on, DType dtype,
                           const AttentionShape& s, AttentionPass pass) {
  fe::graph::Graph graph;
  describe(graph, on, dtype, s, cudnn_part(on, s, pass), pass);
  const auto properties = std::make_shared<fe::DeviceProperties>();
  check(properties->deserialize({device.begin(), device.end()}), "the description of a GPU");
  graph.set_device_properties(properties);
  check(graph.build_operation_graph(), "its operations");
}

}  // namespace fusor::ops
