#include "tests/jobs.h"

#include <deque>
#include <map>
#include <optional>

#include "runtime/launch.h"

namespace fusor::testing {
namespace {

constexpr int kLayers = 3;
constexpr std::int64_t kSize = 64;

// One rank on the meta device.
struct Rank {
  Rank(const MeshShape& shape, int rank)
      : meta(Device::meta(trace)),
        mesh(Mesh::over(meta_group(trace, rank, shape.size(), "world"), shape)) {}

  Tensor tensor(std::int64_t n = kSize, Owner owner = Owner::activations) {
    const Owned owned(meta, owner);
    return Tensor({n}, DType::f32, meta);
  }
  void op(const char* name, double flops = 1) {
    launch(meta, name, {.flops = flops, .bytes = 1}, [](auto) {});
  }
  // A layer's matter: what it takes passes.
  void layer(const char* name) {
    const Tensor passing = tensor(2 * kSize, Owner::workspace);
    op(name);
  }
  void update() {
    const Tensor norm = tensor(1);
    op("sum_squares");
    if (mesh.world.size() > 1) mesh.world->all_reduce(norm, ReduceOp::sum, "grad_norm").wait();
    op("adamw");
  }

  Trace trace;
  Device meta;
  Mesh mesh;
};

std::string numbered(const char* name, int i) { return name + std::to_string(i); }

// A job of one program a rank, which `step` writes.
template <class Step>
Job job_of(const MeshShape& shape, Step&& step) {
  Job job;
  job.communicators = communicators_of(shape);
  for (int r = 0; r < shape.size(); ++r) {
    Rank rank(shape, r);
    step(rank);
    job.script_of_rank.push_back(r);
    job.scripts.push_back(script_of(rank.trace));
  }
  return job;
}

// Stage `pp` of a pipeline. What F keeps, and what travels, lives in programs of its own.
class Stage {
 public:
  Stage(const MeshShape& shape, int r, bool blocking) : rank_(shape, r), blocking_(blocking) {
    const int stage = rank_.mesh.place.pp, stages = shape.pp;
    up_ = stage - 1;
    down_ = stage + 1 < stages ? stage + 1 : -1;
    weights_ = rank_.tensor(kSize, Owner::weights);
    rehearse();
  }

  Script script(int micros) {
    Script script{
        .programs = script_of(rank_.trace).programs, .runs = {{.program = 0}}, .arena = 0};
    const auto run = [&](const char* name, int micro) {
      for (std::size_t i = 1; i < script.programs.size(); ++i)
        if (script.programs[i].name == name) script.runs.push_back({static_cast<int>(i), micro});
    };
    const int ahead = std::min(micros, rank_.mesh.shape.pp - 1 - rank_.mesh.place.pp);
    int forward = 0, backward = 0;
    const auto f = [&] {
      for (const char* name : {"receive.F", "F", "send.F"}) run(name, forward);
      ++forward;
    };
    const auto b = [&] {
      for (const char* name : {"receive.B", "B", "send.B"}) run(name, backward);
      ++backward;
    };
    while (forward < ahead) f();
    while (forward < micros) f(), b();
    while (backward < micros) b();
    for (int i = 0; i < micros; ++i) run("end", i);
    run("update", -1);
    return script;
  }

 private:
  void program(const char* name, auto&& body) {
    const Program running(rank_.meta, name);
    body();
  }
  void receive(Tensor& into, int from, const char* what) {
    into = rank_.tensor();
    rank_.mesh.pp->recv(into, from, what).wait();
  }
  Pending send(const Tensor& t, int to, const char* what) {
    Pending sent = rank_.mesh.pp->send(t, to, what);
    if (blocking_) sent.wait();
    return sent;
  }
  void rehearse() {
    Rank& r = rank_;
    Tensor x, y, dx, dy;
    Pending sent_y, sent_dx;
    if (up_ >= 0) program("receive.F", [&] { receive(x, up_, "activation"); });
    program("F", [&] {
      for (int i = 0; i < kLayers; ++i) {
        const std::string name = numbered("block.", i);
        const Scope scope(r.meta, name);
        r.layer("forward");
        if (r.mesh.tp.size() > 1) r.mesh.tp->all_reduce(r.tensor(), ReduceOp::sum, "join").wait();
      }
      y = r.tensor();
    });
    if (down_ >= 0) {
      program("send.F", [&] { sent_y = send(y, down_, "activation"); });
      program("receive.B", [&] { receive(dy, down_, "gradient"); });
    }
    program("B", [&] {
      sent_y.wait();
      for (int i = kLayers - 1; i >= 0; --i) {
        const std::string name = numbered("block.", i);
        const Scope scope(r.meta, name);
        r.op("backward", 2);
        if (r.mesh.tp.size() > 1) r.mesh.tp->all_reduce(r.tensor(), ReduceOp::sum, "fork").wait();
      }
      y = dy = x = {};
      dx = r.tensor();
    });
    if (up_ >= 0) program("send.B", [&] { sent_dx = send(dx, up_, "gradient"); });
    program("end", [&] { sent_dx.wait(), dx = {}; });
    program("update", [&] {
      if (r.mesh.data.size() > 1)
        r.mesh.data->all_reduce(weights_, ReduceOp::sum, "gradients").wait();
      r.update();
    });
  }

  Rank rank_;
  bool blocking_;
  int up_ = -1, down_ = -1;
  Tensor weights_;
};

}  // namespace

Job data_parallel_job(int dp) {
  return job_of({.dp = dp}, [](Rank& r) {
    const Tensor gradients = r.tensor(kLayers * kSize, Owner::gradients);
    for (int i = 0; i < kLayers; ++i) r.layer("forward");
    std::vector<Pending> sums;
    for (int i = 0; i < kLayers; ++i) {
      r.layer("backward");
      // Buckets are of different sizes, as parameters are.
      const Tensor bucket = gradients.slice(i * kSize, {kSize - i});
      sums.push_back(
          r.mesh.data->all_reduce(bucket, ReduceOp::sum, numbered("gradients/bucket.", i)));
    }
    for (Pending& sum : sums) sum.wait();
    r.update();
    r.mesh.world->broadcast(r.tensor(2), 0, "stop");
    r.mesh.world->barrier("step");
  });
}

Job tensor_parallel_job(int tp, int dp) {
  return job_of({.dp = dp, .tp = tp}, [](Rank& r) {
    const Tensor weights = r.tensor(kSize, Owner::weights);
    for (int i = 0; i < kLayers; ++i) {
      const std::string name = numbered("block.", i);
      const Scope scope(r.meta, name);
      const Tensor y = r.tensor(kSize), all = r.tensor(kSize * r.mesh.shape.tp);
      r.layer("column_linear");
      r.mesh.tp->all_gather(y, all, "gather_rows").wait();
      r.layer("row_linear");
      r.mesh.tp->reduce_scatter(all, y, "scatter_rows").wait();
    }
    r.mesh.tp->all_reduce(r.tensor(16), ReduceOp::max, "cross_entropy/max").wait();
    r.mesh.tp->all_reduce(r.tensor(16), ReduceOp::sum, "cross_entropy/sum").wait();
    if (r.mesh.data.size() > 1) r.mesh.data->all_reduce(weights, ReduceOp::sum, "gradients").wait();
    r.update();
  });
}

Job ring_job(int cp) {
  return job_of({.cp = cp}, [](Rank& r) {
    const int size = r.mesh.cp.size(), mine = r.mesh.cp.rank();
    for (int layer = 0; layer < kLayers; ++layer) {
      const std::string name = numbered("block.", layer);
      const Scope scope(r.meta, name);
      Tensor kv = r.tensor();
      for (int step = 1; step < size; ++step) {
        Tensor next = r.tensor();
        const std::string what = numbered("kv.", step);
        Pending sent = r.mesh.cp->send(kv, (mine + 1) % size, what);
        Pending received = r.mesh.cp->recv(next, (mine + size - 1) % size, what);
        r.layer("attention");
        received.wait();
        sent.wait();
        kv = next;
      }
    }
    r.update();
  });
}

Job sharded_job(int dp) {
  return job_of({.dp = dp}, [dp](Rank& r) {
    const Tensor shards = r.tensor(kLayers * kSize, Owner::weights);
    const Tensor gradients = r.tensor(kLayers * kSize, Owner::gradients);
    std::deque<std::pair<Tensor, Pending>> gathered;
    const auto gather = [&](int i) {
      const Tensor full = r.tensor(dp * kSize, Owner::weights);
      gathered.emplace_back(full, r.mesh.data->all_gather(shards.slice(i * kSize, {kSize}), full,
                                                          numbered("weights/block.", i)));
    };
    gather(0);
    for (int i = 0; i < kLayers; ++i) {
      if (i + 1 < kLayers) gather(i + 1);
      gathered.front().second.wait();
      r.layer("forward_backward");
      gathered.pop_front();
      const Tensor full = r.tensor(dp * kSize, Owner::gradients);
      r.mesh.data
          ->reduce_scatter(full, gradients.slice(i * kSize, {kSize}),
                           numbered("gradients/block.", i))
          .wait();
    }
    r.mesh.data->all_to_all(r.tensor(4 * dp), r.tensor(4 * dp), "exchange").wait();
    r.update();
  });
}

Job pipeline_job(int pp, int micros, int dp, int tp, bool blocking) {
  const MeshShape shape{.dp = dp, .tp = tp, .pp = pp};
  Job job;
  job.communicators = communicators_of(shape);
  for (int r = 0; r < shape.size(); ++r) {
    job.script_of_rank.push_back(r);
    job.scripts.push_back(Stage(shape, r, blocking).script(micros));
  }
  return job;
}

}  // namespace fusor::testing
