#include "io/piece_trie.h"

#include <utility>

#include "runtime/error.h"

namespace fusor {

PieceTrie::PieceTrie() : slots_(1024), ids_{-1} {}

std::uint32_t PieceTrie::key_of(Node node, char byte) {
  return node << 8 | static_cast<unsigned char>(byte);
}

std::size_t PieceTrie::place_of(std::uint32_t key) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t place = (key * std::uint64_t{0x9E3779B97F4A7C15}) >> 32;  // Fibonacci hashing
  while (slots_[place & mask].key != key && slots_[place & mask].key != kNone) ++place;
  return place & mask;
}

PieceTrie::Node PieceTrie::make_child(Node node, char byte) {
  const std::uint32_t key = key_of(node, byte);
  if (const Node child = slots_[place_of(key)].child; child != kNone) return child;
  const auto child = static_cast<Node>(ids_.size());
  require(child < (Node{1} << 24) - 1, "the pieces of a vocabulary have too many bytes");
  ids_.push_back(-1);
  if (2 * ids_.size() > slots_.size()) {
    const std::vector<Slot> before = std::exchange(slots_, std::vector<Slot>(2 * slots_.size()));
    for (const Slot& slot : before)
      if (slot.key != kNone) slots_[place_of(slot.key)] = slot;
  }
  slots_[place_of(key)] = {key, child};
  return child;
}

std::int32_t PieceTrie::add(std::string_view piece, std::int32_t id) {
  Node node = kRoot;
  for (const char byte : piece) node = make_child(node, byte);
  if (ids_[node] < 0) ids_[node] = id;
  return ids_[node];
}

PieceTrie::Node PieceTrie::find(std::string_view prefix) const {
  Node node = kRoot;
  for (const char byte : prefix)
    if (node != kNone) node = child_of(node, byte);
  return node;
}

PieceTrie::Match PieceTrie::longest(Node node, std::string_view text) const {
  Match match;
  if (node == kNone) return match;
  for (std::size_t i = 0; i < text.size(); ++i) {
    node = child_of(node, text[i]);
    if (node == kNone) break;
    if (ids_[node] >= 0) match = {ids_[node], i + 1};
  }
  return match;
}

}  // namespace fusor
