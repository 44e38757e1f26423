#include "text/prefix_trie.h"

#include <utility>

namespace kvasir::text {

PrefixTrie::PrefixTrie() : edges_(16), ids_(1, kNone) {
  first_.fill(kNone);
}

int32_t PrefixTrie::AddNode() {
  ids_.push_back(kNone);
  return static_cast<int32_t>(ids_.size() - 1);
}

void PrefixTrie::Grow() {
  std::vector<Edge> old = std::exchange(edges_, std::vector<Edge>(edges_.size() * 2));
  for (const Edge& edge : old) {
    if (edge.key != 0) edges_[Locate(edge.key)] = edge;
  }
}

void PrefixTrie::Insert(std::string_view word, int32_t id) {
  int32_t node = kRoot;
  for (const char byte : word) {
    int32_t next = Step(node, byte);
    if (next == kNone) {
      next = AddNode();
      if (node == kRoot) {
        first_[static_cast<uint8_t>(byte)] = next;
      } else {
        if (ids_.size() * 2 > edges_.size()) Grow();
        const uint64_t key = KeyOf(node, static_cast<uint8_t>(byte));
        edges_[Locate(key)] = {key, next};
      }
    }
    node = next;
  }
  ids_[static_cast<size_t>(node)] = id;
}

PrefixTrie::Match PrefixTrie::Longest(std::string_view text) const {
  Match best;
  int32_t node = kRoot;
  for (size_t i = 0; i < text.size(); ++i) {
    node = Step(node, text[i]);
    if (node == kNone) break;
    if (IdAt(node) != kNone) best = {IdAt(node), i + 1};
  }
  return best;
}

}  // namespace kvasir::text
