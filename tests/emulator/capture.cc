#include <algorithm>
#include <set>

#include "tests/emulator/machine.h"

namespace fusor::emulator {
namespace {

void forget(Machine& m, const std::shared_ptr<Capture>& capture) {
  for (CUstream_st* const stream : capture->streams)
    if (m.streams.contains(stream)) {
      stream->capture = nullptr;
      stream->last.clear();
    }
  std::erase(m.captures, capture);
}

// Whether every node comes before what the origin would do next.
bool joined(const Capture& capture) {
  std::set<std::size_t> ends;
  for (std::size_t i = 0; i < capture.nodes.size(); ++i) ends.insert(i);
  for (const Node& node : capture.nodes)
    for (const std::size_t before : node.after) ends.erase(before);
  return std::ranges::includes(capture.origin->last, ends);
}

// A graph as one piece of work: its nodes in an order that the dependencies allow, that of the
// calls or, reversed, the latest node first.
class Replay {
 public:
  Replay(std::shared_ptr<const std::vector<Node>> nodes, bool reversed)
      : nodes_(std::move(nodes)), reversed_(reversed) {
    for (std::size_t i = 0; i < nodes_->size(); ++i) {
      open_.push_back((*nodes_)[i].after);
      if (open_[i].empty()) ready_.insert(i);
    }
  }
  // Runs what can run. Returns whether all has.
  bool operator()() {
    for (bool moved = true; moved && !ready_.empty();) {
      moved = false;
      const std::vector<std::size_t> order(ready_.begin(), ready_.end());
      for (std::size_t k = 0; k < order.size() && !moved; ++k)
        moved = run(order[reversed_ ? order.size() - 1 - k : k]);
    }
    return ready_.empty();
  }

 private:
  bool run(std::size_t i) {
    const Node& node = (*nodes_)[i];
    if (node.meet && !node.meet()) return false;
    if (node.run) node.run();
    ready_.erase(i);
    for (std::size_t next = i + 1; next < nodes_->size(); ++next)
      if (open_[next].erase(i) && open_[next].empty()) ready_.insert(next);
    return true;
  }

  std::shared_ptr<const std::vector<Node>> nodes_;
  bool reversed_;
  std::vector<std::set<std::size_t>> open_;
  std::set<std::size_t> ready_;
};

template <class T>
T& known(const std::set<T*>& all, T* handle, const char* text) {
  if (!all.contains(handle)) fail(cudaErrorInvalidValue, text);
  return *handle;
}

}  // namespace

void invalidate(Capture& capture) { capture.valid = false; }

void refuse_capturing(CUstream_st& stream, const char* what) {
  if (!stream.capture) return;
  invalidate(*stream.capture);
  fail(cudaErrorStreamCaptureUnsupported,
       std::string(what) + " of a stream that is being captured");
}

namespace {

void queue(CUstream_st& stream, Item item) {
  if (!stream.capture) {
    stream.items.push_back(std::move(item));
    return;
  }
  if (!stream.capture->valid)
    fail(cudaErrorStreamCaptureInvalidated, "the capture of this stream has been invalidated");
  std::vector<Node>& nodes = stream.capture->nodes;
  nodes.push_back({std::move(item.run), std::move(item.meet), std::move(stream.last)});
  stream.last = {nodes.size() - 1};
}

}  // namespace

void queue(CUstream_st& stream, std::function<void()> run) {
  queue(stream, Item{.run = std::move(run), .meet = {}, .record = {}, .wait = {}});
}
void queue_meeting(CUstream_st& stream, std::function<bool()> meet) {
  queue(stream, Item{.run = {}, .meet = std::move(meet), .record = {}, .wait = {}});
}

}  // namespace fusor::emulator

using namespace fusor::emulator;

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return call(During::allowed, [=](Machine& m) {
    CUstream_st& s = stream_of(m, stream);
    if (!stream) fail(cudaErrorStreamCaptureUnsupported, "the null stream cannot be captured");
    expect(!s.capture, "a stream that is being captured already");
    s.capture = std::make_shared<Capture>(Capture{.origin = &s,
                                                  .mode = mode,
                                                  .thread = std::this_thread::get_id(),
                                                  .nodes = {},
                                                  .streams = {&s}});
    s.last.clear();
    m.captures.push_back(s.capture);
  });
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return call(During::allowed, [=](Machine& m) {
    *graph = nullptr;
    const std::shared_ptr<Capture> capture = stream_of(m, stream).capture;
    expect(capture != nullptr, "a stream that is not being captured");
    if (capture->origin != stream)
      fail(cudaErrorStreamCaptureUnmatched, "the capture began on another stream");
    if (capture->mode != cudaStreamCaptureModeRelaxed &&
        capture->thread != std::this_thread::get_id())
      fail(cudaErrorStreamCaptureWrongThread, "the capture began on another thread");
    const bool whole = joined(*capture);
    forget(m, capture);
    if (!capture->valid)
      fail(cudaErrorStreamCaptureInvalidated, "the capture has been invalidated");
    if (!whole)
      fail(cudaErrorStreamCaptureUnjoined,
           "the capture ends with work of other streams that its own does not wait for");
    *graph = new CUgraph_st{std::move(capture->nodes)};
    m.graphs.insert(*graph);
  });
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return call(During::allowed, [=](Machine& m) {
    const auto& capture = stream_of(m, stream).capture;
    *status = !capture         ? cudaStreamCaptureStatusNone
              : capture->valid ? cudaStreamCaptureStatusActive
                               : cudaStreamCaptureStatusInvalidated;
  });
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* to, cudaGraph_t graph, unsigned long long) {
  return call(During::allowed, [=](Machine& m) {
    const CUgraph_st& g = known(m.graphs, graph, "a graph that does not exist");
    *to = new CUgraphExec_st{std::make_shared<const std::vector<Node>>(g.nodes)};
    m.graph_execs.insert(*to);
  });
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  return call(During::allowed, [=](Machine& m) {
    const auto& nodes = known(m.graph_execs, exec, "a graph that does not exist").nodes;
    queue_meeting(stream_of(m, stream), Replay(nodes, m.reversed));
  });
}
cudaError_t cudaGraphUpload(cudaGraphExec_t exec, cudaStream_t stream) {
  return call(During::allowed, [=](Machine& m) {
    known(m.graph_execs, exec, "a graph that does not exist");
    stream_of(m, stream);
  });
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return call(During::allowed, [=](Machine& m) {
    delete &known(m.graphs, graph, "a graph that does not exist");
    m.graphs.erase(graph);
  });
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return call(During::allowed, [=](Machine& m) {
    delete &known(m.graph_execs, exec, "a graph that does not exist");
    m.graph_execs.erase(exec);
  });
}

// The count alone: nodes have no handles.
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  return call(During::allowed, [=](Machine& m) {
    expect(nodes == nullptr, "nodes have no handles here");
    *count = known(m.graphs, graph, "a graph that does not exist").nodes.size();
  });
}
