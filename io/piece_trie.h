#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace fusor {

// Strings of bytes, each with an id, that can be asked for the longest one a text begins with.
class PieceTrie {
 public:
  using Node = std::uint32_t;
  static constexpr Node kRoot = 0, kNone = 0xffffffff;

  PieceTrie();
  // The id that `piece` has: `id`, or the one it was added with before.
  std::int32_t add(std::string_view piece, std::int32_t id);
  // Where the pieces that begin with `prefix` go on; kNone where there are none.
  Node find(std::string_view prefix) const;

  struct Match {
    std::int32_t id = -1;    // none
    std::size_t length = 0;  // bytes
  };
  // The longest piece, of one byte or more from `from` on, that `text` begins with.
  Match longest(Node from, std::string_view text) const;

 private:
  // Children are looked up by node and byte, in an open hash table that is at most half full.
  struct Slot {
    std::uint32_t key = kNone;
    Node child = kNone;
  };
  static std::uint32_t key_of(Node node, char byte);
  std::size_t place_of(std::uint32_t key) const;
  Node child_of(Node node, char byte) const { return slots_[place_of(key_of(node, byte))].child; }
  Node make_child(Node node, char byte);

  std::vector<Slot> slots_;        // a power of two
  std::vector<std::int32_t> ids_;  // [nodes] of the piece that ends there, or -1
};

}  // namespace fusor
