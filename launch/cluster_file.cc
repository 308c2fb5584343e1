#include "launch/cluster_file.h"

#include <cerrno>
#include <fstream>
#include <sstream>

#include "launch/ini.h"

namespace fusor {

// As text: "1e6:0.3 1e9:0.8", by ascending size.
static bool parse_value(std::string_view text, Curve& curve) {
  std::istringstream pairs{std::string(text)};
  Curve parsed{{}};
  for (std::string pair; pairs >> pair;) {
    const std::size_t colon = pair.find(':');
    Curve::Point point{};
    if (colon == pair.npos || !parse_value(pair.substr(0, colon), point.size) ||
        !parse_value(pair.substr(colon + 1), point.share))
      return false;
    const double least = parsed.points.empty() ? 0 : parsed.points.back().size;
    if (point.size <= least || point.share <= 0 || point.share > 1) return false;
    parsed.points.push_back(point);
  }
  if (parsed.points.empty()) return false;
  curve = parsed;
  return true;
}

static std::string expected(const Curve&) {
  return "a curve: size:share pairs of ascending sizes and shares above 0 and at most 1";
}

static std::string to_text(const Curve& curve) {
  std::string text;
  for (const Curve::Point& p : curve.points)
    text += (text.empty() ? "" : " ") + to_text(p.size) + ':' + to_text(p.share);
  return text;
}

namespace {

constexpr double kLeast = std::numeric_limits<double>::min();  // more than nothing

// clang-format off
// names: of bandwidth, latency, start and efficiency.
template <class L, class F>
void visit_link_keys(const std::array<std::string_view, 4>& names, L& link, F&& f) {
  f(key(names[0], "bytes/s that a rank sends while it receives as many", kLeast), link.bandwidth);
  f(key(names[1], "seconds from one rank to the next"), link.latency);
  f(key(names[2], "seconds of a call before its first byte moves"), link.start);
  f(key(names[3], "share of the bandwidth, by the bytes of a rank's operand"), link.efficiency);
}

// The one table of the keys of a cluster file. C is Cluster, const or not.
template <class C, class F>
void visit_cluster_keys(C& c, F&& f) {
  f(key("cluster.name", "the system, for people"), c.name);
  f(key("cluster.ranks_per_node", "processors of a node, one rank each", 1, 1 << 20), c.ranks_per_node);
  f(key("rank.memory", "bytes a rank may use", kLeast), c.memory);
  f(key("rank.bandwidth", "bytes/s between a processor and its memory", kLeast), c.bandwidth);
  f(key("rank.peak_f64", "flop/s of dense matrix products in f64", kLeast), c.peak_f64);
  f(key("rank.peak_f32", "in f32, at f32's accuracy", kLeast), c.peak_f32);
  f(key("rank.peak_bf16", "in bf16 and f16", kLeast), c.peak_bf16);
  f(key("rank.vector", "flop/s of all other arithmetic", kLeast), c.vector);
  f(key("rank.gemm", "share of the peak, by the flops of a matrix product"), c.gemm);
  f(key("rank.attention", "share of the peak, by the flops of a fused attention"), c.attention);
  f(key("rank.streaming", "share of rank.bandwidth, by the bytes an operator moves"), c.streaming);
  f(key("rank.unaligned", "what is left of rank.gemm where rows do not begin at 16 bytes", kLeast, 1.0001), c.unaligned);
  f(key("host.launch", "seconds in which the host issues an operator (0: it is the processor)"), c.launch);
  f(key("host.call", "seconds in which the host issues a collective"), c.call);
  visit_link_keys({"inside.bandwidth", "inside.latency", "inside.start", "inside.efficiency"}, c.inside, f);
  visit_link_keys({"between.bandwidth", "between.latency", "between.start", "between.efficiency"}, c.between, f);
}
// clang-format on

}  // namespace

Cluster parse_cluster(std::istream& text, const std::string& name) {
  const KeyValues entries = read_ini(text, name);
  Cluster cluster;
  const auto visit = [&](auto&& f) { visit_cluster_keys(cluster, f); };
  set_fields(entries, name, "launch/clusters/ has examples of all", visit);
  visit([&](const Key& key, const auto&) {
    require(entries.contains(std::string(key.name)), name, ": ", key.name,
            " is missing: ", key.help);
  });
  return cluster;
}

Cluster read_cluster(const std::filesystem::path& file) {
  require(!std::filesystem::is_directory(file), file.string(), ": is a folder, not a cluster file");
  errno = 0;
  std::ifstream text(file);
  check_errno(text.is_open(), "cluster file " + file.string());
  return parse_cluster(text, file.string());
}

std::string to_ini(const Cluster& cluster) {
  std::ostringstream ini;
  std::string_view section;
  visit_cluster_keys(cluster, [&](const Key& key, const auto& value) {
    const std::size_t dot = key.name.find('.');
    if (key.name.substr(0, dot) != section) {
      section = key.name.substr(0, dot);
      ini << (ini.tellp() > 0 ? "\n" : "") << '[' << section << "]\n";
    }
    ini << "# " << key.help << '\n' << key.name.substr(dot + 1) << " = " << to_text(value) << '\n';
  });
  return ini.str();
}

}  // namespace fusor
