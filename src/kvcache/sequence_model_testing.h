// For kv_sequence_model_test.cc: random operations, and whoever else holds on to the pages of sequences.
#pragma once

#include <rapidcheck.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <span>
#include <vector>

#include "kvcache/kv_sequence.h"
#include "kvcache/seal.h"
#include "kvcache/sequence_testing.h"

namespace kvasir::kvcache {

/// What is done to a sequence.
enum class Kind {
  kExtend,
  kExtendTwice,
  kGiveUp,
  kTruncate,
  kFork,
  kDrop,
  kShift,
  kRelease,
  kCompact,
  kEvict,
  kCreate,
  kHold,
  kAdopt
};

/// With numbers that each kind takes as it likes.
struct Operation {
  Kind kind;
  uint32_t sequence;
  int amount;
  int other;
};

inline std::ostream& operator<<(std::ostream& out, const Operation& op) {
  return out << "{" << static_cast<int>(op.kind) << ", " << op.sequence << ", " << op.amount << ", " << op.other << "}";
}

inline rc::Gen<Operation> AnyOperation() {
  using K = Kind;
  const auto kind = rc::gen::weightedElement<Kind>({{6, K::kExtend},
                                                    {1, K::kExtendTwice},
                                                    {1, K::kGiveUp},
                                                    {3, K::kTruncate},
                                                    {2, K::kFork},
                                                    {1, K::kDrop},
                                                    {2, K::kShift},
                                                    {2, K::kRelease},
                                                    {4, K::kCompact},
                                                    {2, K::kEvict},
                                                    {1, K::kCreate},
                                                    {2, K::kHold},
                                                    {4, K::kAdopt}});
  return rc::gen::build<Operation>(rc::gen::set(&Operation::kind, kind),
                                   rc::gen::set(&Operation::sequence, rc::gen::inRange<uint32_t>(0, 4)),
                                   rc::gen::set(&Operation::amount, rc::gen::inRange(0, 200)),
                                   rc::gen::set(&Operation::other, rc::gen::inRange(0, 100)));
}

/// Holds on to sealed blocks for a while, as a prefix index would, and checks that they never change.
class Keeper final : public SealObserver {
 public:
  struct Held {
    BlockHash parent;
    HeldBlock block;
    std::vector<KnownToken> known;
    std::vector<std::vector<std::byte>> bytes = {};  // of each page
    void Remember() {
      bytes.clear();
      for (const Page& page : block.pages) bytes.emplace_back(page.data(), page.data() + page.bytes());
    }
  };

  void OnSeal(const SealedBlock& block) override {
    ++num_sealed;
    if (to_hold == 0) return;
    --to_hold;
    held.push_back({.parent = block.parent,
                    .block = {.hash = block.hash,
                              .tokens = {block.tokens.begin(), block.tokens.end()},
                              .pages = {block.pages.begin(), block.pages.end()}},
                    .known = KnownOf(static_cast<size_t>(block.index))});
    held.back().Remember();
  }
  // Two sequences may write the same block with different serials, which real ones do not; those are left alone.
  void OnCompact(const BlockHash& hash, std::span<Page> pages) override {
    const auto sealed = sequence->sealed();
    const auto index = static_cast<size_t>(std::ranges::find(sealed, hash) - sealed.begin());
    for (Held& each : held) {
      if (each.block.hash != hash || each.known != KnownOf(index)) continue;
      for (size_t i = 0; i < pages.size(); ++i) {
        if (pages[i]) each.block.pages[i] = pages[i];
      }
      each.Remember();
    }
  }
  // The held blocks from the first of a text on, one behind the other, and what is in them: of the texts that end in
  // held[first], held[first + 1], ... the first one that is whole. None where there is no such text.
  [[nodiscard]] std::vector<HeldBlock> ChainFrom(size_t first, const BlockHash& root,
                                                 std::vector<KnownToken>* known) const {
    for (size_t i = 0; i < held.size(); ++i) {
      std::vector<HeldBlock> blocks = ChainTo(held[(first + i) % held.size()], root, known);
      if (!blocks.empty()) return blocks;
    }
    return {};
  }
  void Check() const {
    for (const Held& each : held) {
      for (size_t i = 0; i < each.bytes.size(); ++i) {
        RC_ASSERT(std::equal(each.bytes[i].begin(), each.bytes[i].end(), each.block.pages[i].data()));
      }
    }
  }

  std::vector<Held> held;
  int to_hold = 0;
  int num_sealed = 0;
  // Of the sequence that commits or compacts: its tokens, those of the step included.
  const KvSequence* sequence = nullptr;
  std::vector<KnownToken> tokens;

 private:
  [[nodiscard]] std::vector<HeldBlock> ChainTo(const Held& last, const BlockHash& root,
                                               std::vector<KnownToken>* known) const {
    std::vector<const Held*> chain = {&last};
    while (chain.back()->parent != root) {
      const auto parent =
          std::ranges::find(held, chain.back()->parent, [](const Held& each) { return each.block.hash; });
      if (parent == held.end()) return {};
      chain.push_back(&*parent);
    }
    std::vector<HeldBlock> blocks;
    for (auto each = chain.rbegin(); each != chain.rend(); ++each) {
      blocks.push_back((*each)->block);
      known->insert(known->end(), (*each)->known.begin(), (*each)->known.end());
    }
    return blocks;
  }
  [[nodiscard]] std::vector<KnownToken> KnownOf(size_t block) const {
    const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(block * kernels::kPageTokens);
    return {begin, begin + kernels::kPageTokens};
  }
};

}  // namespace kvasir::kvcache
