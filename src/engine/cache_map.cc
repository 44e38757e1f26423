// The problem: a cache holds thousands of blocks, and a picture of it must be small enough to be sent every second. The
// idea: the chained hashes make the blocks a forest, and what can be told apart in it are only the places where texts
// part and where the set of readers changes. Everything between two such places is one segment; so a picture has a few
// segments per text, however long the texts are (a radix tree, as in Zheng et al., "SGLang", NeurIPS 2024, made from
// blocks when somebody looks).

#include "engine/cache_map.h"

#include <algorithm>
#include <unordered_map>

namespace kvasir {
namespace {

using kernels::kPageTokens;
using kvcache::BlockHash;
using kvcache::HeldBlockInfo;

// A block of the forest. Indices are places in the list of held blocks: the lower, the later used.
struct Node {
  std::vector<size_t> children;
  std::vector<RequestId> readers;
  bool root = true;
};

struct Forest {
  std::vector<Node> nodes;
  std::unordered_map<BlockHash, size_t> places;
};

Forest MakeForest(std::span<const HeldBlockInfo> held) {
  Forest forest;
  forest.nodes.resize(held.size());
  for (size_t i = 0; i < held.size(); ++i) forest.places.emplace(held[i].hash, i);
  for (size_t i = 0; i < held.size(); ++i) {
    const auto parent = forest.places.find(held[i].parent);
    if (parent == forest.places.end()) continue;
    forest.nodes[i].root = false;
    forest.nodes[parent->second].children.push_back(i);
  }
  return forest;
}

// Notes who reads which block, and gives the last held block of each request's text (or the number of blocks for none).
std::vector<size_t> AddReaders(Forest& forest, std::span<const RequestBlocks> requests, std::vector<int>& held_blocks) {
  std::vector<size_t> ends;
  for (const RequestBlocks& request : requests) {
    size_t end = forest.nodes.size();
    int count = 0;
    for (const BlockHash& hash : request.blocks) {
      const auto place = forest.places.find(hash);
      if (place == forest.places.end()) break;
      end = place->second;
      forest.nodes[end].readers.push_back(request.id);
      ++count;
    }
    ends.push_back(end);
    held_blocks.push_back(count);
  }
  for (Node& node : forest.nodes) std::ranges::sort(node.readers);
  return ends;
}

// A segment, and when it or anything behind it was used last (as a place in the list: the lower, the later).
struct Ranked {
  CacheSegment segment;
  size_t used = 0;
  int depth = 0;
};

// Cuts the forest into segments. `segment_of` gets the index of each block's segment.
std::vector<Ranked> Cut(const Forest& forest, std::span<const HeldBlockInfo> held, std::vector<size_t>& segment_of) {
  struct Start {
    size_t block;
    size_t parent;  // index of a segment, or that of no segment
  };
  constexpr size_t kNone = SIZE_MAX;
  std::vector<Ranked> segments;
  std::vector<size_t> parents;
  std::vector<Start> open;
  for (size_t i = 0; i < held.size(); ++i) {
    if (forest.nodes[i].root) open.push_back({i, kNone});
  }
  segment_of.assign(held.size(), kNone);
  while (!open.empty()) {
    const Start start = open.back();
    open.pop_back();
    Ranked ranked{.segment = {.id = held[start.block].number, .requests = forest.nodes[start.block].readers},
                  .used = start.block};
    if (start.parent != kNone) {
      const Ranked& parent = segments[start.parent];
      ranked.segment.parent = parent.segment.id;
      ranked.segment.first_token = parent.segment.first_token + parent.segment.tokens;
      ranked.depth = parent.depth + 1;
    }
    size_t block = start.block;
    while (true) {
      ranked.segment.tokens += kPageTokens;
      ranked.segment.bytes += held[block].bytes;
      ranked.used = std::min(ranked.used, block);
      segment_of[block] = segments.size();
      const std::vector<size_t>& children = forest.nodes[block].children;
      if (children.size() != 1 || forest.nodes[children.front()].readers != ranked.segment.requests) break;
      block = children.front();
    }
    for (const size_t child : forest.nodes[block].children) open.push_back({child, segments.size()});
    segments.push_back(std::move(ranked));
    parents.push_back(start.parent);
  }
  // Parents come before their children here, so one pass from the back tells each of its latest descendant.
  for (size_t i = segments.size(); i-- > 0;) {
    if (parents[i] == kNone) continue;
    segments[parents[i]].used = std::min(segments[parents[i]].used, segments[i].used);
  }
  return segments;
}

// A parent has all readers of its children and was used no earlier, so it stands before them.
bool ShownBefore(const Ranked& a, const Ranked& b) {
  const bool a_read = !a.segment.requests.empty();
  const bool b_read = !b.segment.requests.empty();
  if (a_read != b_read) return a_read;
  if (a.used != b.used) return a.used < b.used;
  return a.depth < b.depth;
}

}  // namespace

CacheMap MakeCacheMap(std::span<const HeldBlockInfo> held, std::span<const RequestBlocks> requests, int max_segments) {
  Forest forest = MakeForest(held);
  std::vector<int> held_blocks;
  const std::vector<size_t> ends = AddReaders(forest, requests, held_blocks);
  std::vector<size_t> segment_of;
  std::vector<Ranked> segments = Cut(forest, held, segment_of);
  CacheMap map;
  for (size_t i = 0; i < requests.size(); ++i) {
    map.requests.push_back({.id = requests[i].id,
                            .segment = ends[i] < held.size() ? segments[segment_of[ends[i]]].segment.id : 0,
                            .tokens = std::max(0, requests[i].computed_tokens - held_blocks[i] * kPageTokens)});
  }
  std::ranges::stable_sort(segments, ShownBefore);
  for (Ranked& ranked : segments) {
    if (map.segments.size() < static_cast<size_t>(std::max(0, max_segments))) {
      map.segments.push_back(std::move(ranked.segment));
    } else {
      ++map.left_out_segments;
      map.left_out_bytes += ranked.segment.bytes;
    }
  }
  return map;
}

}  // namespace kvasir
