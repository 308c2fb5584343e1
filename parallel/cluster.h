#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/dtype.h"

namespace fusor {

// A share of some peak rate that is reached, by the size of the work. Between two points the share
// is linear in log(size); below the first point the work takes as long as at that point; above the
// last the share stays.
struct Curve {
  struct Point {
    double size, share;
    bool operator==(const Point&) const = default;
  };
  std::vector<Point> points;  // by ascending size; not empty

  double at(double size) const;
  bool operator==(const Curve&) const = default;
};

// A rank's way to other ranks.
struct Link {
  double bandwidth = 0;        // bytes/s that a rank sends, while it receives as many
  double latency = 0;          // seconds from one rank to the next
  double start = 0;            // seconds of a call before its first byte moves
  Curve efficiency{{{1, 1}}};  // share of the bandwidth, by the bytes of a rank's operand

  bool operator==(const Link&) const = default;
};

// The hardware that a run is planned for, one processor (GPU, or the cores of a CPU rank) a rank.
// A plain value; launch/cluster_file.h reads one.
struct Cluster {
  std::string name;
  std::int64_t ranks_per_node = 1;

  double memory = 0;                                 // bytes a rank may use
  double bandwidth = 0;                              // bytes/s between a processor and its memory
  double peak_f64 = 0, peak_f32 = 0, peak_bf16 = 0;  // flop/s of dense matrix products
  double vector = 0;                                 // flop/s of everything else
  Curve gemm{{{1, 1}}};       // share of the peak, by the flops of a matrix product
  Curve attention{{{1, 1}}};  // the same for a fused attention kernel
  Curve streaming{{{1, 1}}};  // share of the bandwidth, by the bytes an operator moves
  double unaligned = 1;       // what is left of `gemm` where a row does not begin at 16 bytes
  // Seconds in which the host issues an operator or a collective. It runs ahead of the processor,
  // which idles where the operators are shorter. 0 where the host is the processor.
  double launch = 0, call = 0;

  Link inside, between;  // nodes

  bool operator==(const Cluster&) const = default;
  double peak(DType dtype) const;  // of matrix products; f16 is as fast as bf16
};

}  // namespace fusor
