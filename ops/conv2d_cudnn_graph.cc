#include "ops/conv2d_cudnn_graph.h"

#include <cudnn_frontend.h>

#include <utility>

#include "ops/cudnn_frontend_link.h"
#include "runtime/error.h"

namespace fusor::ops {
namespace {

namespace fe = cudnn_frontend;
using kernels::Conv2dCall;
using kernels::Conv2dPass;
using kernels::Conv2dShape;
using Node = std::shared_ptr<fe::graph::Tensor_attributes>;

void check(const fe::error_t& error, const char* what) {
  require(error.is_good(), "cuDNN's convolution, ", what, ": ", error.err_msg);
}

// Names of tensors, in the order of Conv2dGraph::Tensors.
enum Uid : std::int64_t { kA, kB, kC, kBias };

struct Layout {
  std::vector<std::int64_t> dims, strides;  // in the order of cuDNN: channels before rows
};

// Of what lies [n, h, w, c].
Layout channels_last(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) {
  return {{n, c, h, w}, {h * w * c, 1, w * c, c}};
}

fe::DataType_t type_of(DType dtype) {
  if (dtype == DType::bf16) return fe::DataType_t::BFLOAT16;
  return dtype == DType::f16 ? fe::DataType_t::HALF : fe::DataType_t::FLOAT;
}

struct Builder {
  fe::graph::Graph& graph;
  const Conv2dCall& call;
  const Conv2dShape& s = call.shape;

  Layout x() const { return channels_last(s.n, s.h, s.w, s.c); }
  Layout y() const { return channels_last(s.n, s.p, s.q, s.k); }
  Layout w() const { return channels_last(s.k, s.r, s.s, s.group_c()); }

  Node input(Uid uid, const Layout& layout) const {
    return graph.tensor(fe::graph::Tensor_attributes()
                            .set_uid(uid)
                            .set_dim(layout.dims)
                            .set_stride(layout.strides)
                            .set_data_type(type_of(call.dtype)));
  }
  void output(const Node& node, const Layout& layout, DType dtype) const {
    node->set_output(true)
        .set_uid(kC)
        .set_dim(layout.dims)
        .set_stride(layout.strides)
        .set_data_type(type_of(dtype));
  }
  template <class Attributes>
  Attributes window(const char* name) const {
    Attributes options;
    options.set_name(name);
    options.set_pre_padding({s.before.h, s.before.w})
        .set_post_padding({s.after.h, s.after.w})
        .set_stride({s.stride.h, s.stride.w})
        .set_dilation({s.dilation.h, s.dilation.w});
    return options;
  }

  void forward() const {
    Node result = graph.conv_fprop(input(kA, x()), input(kB, w()),
                                   window<fe::graph::Conv_fprop_attributes>("conv2d"));
    const auto then = [&](fe::PointwiseMode_t mode) {
      return fe::graph::Pointwise_attributes().set_mode(mode).set_compute_data_type(
          fe::DataType_t::FLOAT);
    };
    if (call.bias)
      result = graph.pointwise(result, input(kBias, channels_last(1, 1, 1, s.k)),
                               then(fe::PointwiseMode_t::ADD));
    if (call.relu) result = graph.pointwise(result, then(fe::PointwiseMode_t::RELU_FWD));
    output(result, y(), call.dtype);
  }
  void data() const {
    output(graph.conv_dgrad(input(kA, y()), input(kB, w()),
                            window<fe::graph::Conv_dgrad_attributes>("conv2d_data")),
           x(), call.dtype);
  }
  void weights() const {
    output(graph.conv_wgrad(input(kA, y()), input(kB, x()),
                            window<fe::graph::Conv_wgrad_attributes>("conv2d_weights")),
           w(), acc_dtype(call.dtype));
  }
};

void describe(fe::graph::Graph& graph, const CudnnSetup& on, const Conv2dCall& call) {
  link_cudnn_frontend();
  graph.set_io_data_type(type_of(call.dtype))
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT)
      .set_sm_version(on.capability);
  const Builder builder{graph, call};
  switch (call.pass) {
    case Conv2dPass::forward:
      builder.forward();
      break;
    case Conv2dPass::data:
      builder.data();
      break;
    case Conv2dPass::weights:
      builder.weights();
      break;
  }
  check(graph.validate(), "the graph");
}

// What an algorithm must not do: add in an order of the moment's, or lose digits that the dtype
// has.
std::vector<fe::NumericalNote_t> refused_notes(DType dtype) {
  using Note = fe::NumericalNote_t;
  std::vector<Note> notes{Note::NONDETERMINISTIC, Note::REDUCED_PRECISION_REDUCTION};
  if (dtype == DType::f32)
    notes.insert(notes.end(),
                 {Note::DOWN_CONVERT_INPUTS, Note::FFT, Note::WINOGRAD, Note::WINOGRAD_TILE_4x4,
                  Note::WINOGRAD_TILE_6x6, Note::WINOGRAD_TILE_13x13});
  return notes;
}

}  // namespace

struct Conv2dGraph::Impl {
  fe::graph::Graph graph;
};

Conv2dGraph::Conv2dGraph(cudnnHandle_t handle, const CudnnSetup& on, const Conv2dCall& call)
    : impl_(std::make_unique<Impl>()), tensors_(call.bias ? kBias + 1 : kC + 1) {
  fe::graph::Graph& graph = impl_->graph;
  describe(graph, on, call);
  check(graph.build_operation_graph(handle), "its operations");
  check(graph.create_execution_plans({fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}), "a kernel");
  graph.deselect_numeric_notes(refused_notes(call.dtype));
  check(graph.check_support(), "a kernel");
  check(graph.build_plans(), "a kernel");
  std::int64_t bytes = 0;
  check(graph.get_workspace_size(bytes), "its workspace");
  workspace_ = static_cast<std::size_t>(bytes);
}

Conv2dGraph::~Conv2dGraph() = default;
Conv2dGraph::Conv2dGraph(Conv2dGraph&&) noexcept = default;

void Conv2dGraph::run(cudnnHandle_t handle, Tensors tensors, std::byte* workspace) const {
  check(impl_->graph.execute(handle, tensors.data(), tensors_, workspace), "a call");
}

void check_conv2d_graph(const std::string& device, const CudnnSetup& on, const Conv2dCall& call) {
  fe::graph::Graph graph;
  describe(graph, on, call);
  const auto properties = std::make_shared<fe::DeviceProperties>();
  check(properties->deserialize({device.begin(), device.end()}), "the description of a GPU");
  graph.set_device_properties(properties);
  check(graph.build_operation_graph(), "its operations");
}

}  // namespace fusor::ops
