// Random operations on several sequences of one pool against a naive model, with every invariant checked after every
// step.
//
// The model of a sequence is a list of tokens, each with its write and its history (what context shifts did to it). A
// block's identity in the model is that whole list up to the block's end; hashes must be equal exactly where identities
// are.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kvcache/kv_sequence.h"
#include "kvcache/packed_store_testing.h"
#include "kvcache/sequence_model_testing.h"
#include "kvcache/sequence_testing.h"

namespace kvasir::kvcache {
namespace {

const KvShape kShape = {.layers = 2, .kv_heads = 2, .head_dim = 16, .windows = {0, 100}};
constexpr size_t kTables = 4;
constexpr size_t kBudgetPages = 120;
constexpr size_t kMaxSequences = 4;

struct Tracked {
  KvSequence sequence;
  std::vector<KnownToken> tokens;
  std::vector<int> histories;  // of each token, 0 = none
  bool shifted = false;
  // What each head of layer 0, which has no window, holds of the first evicted_blocks blocks, once it has evicted.
  std::vector<std::vector<int32_t>> held = {};
  int32_t evicted_blocks = 0;
  int evictions = 0;
};

class Machine {
 public:
  // `codec_error`: see ExpectContents.
  Machine(kernels::PageFormat format, std::shared_ptr<const CompactStore> compact, float codec_error = 0)
      : format_(format),
        compact_(std::move(compact)),
        codec_error_(codec_error),
        page_bytes_(kernels::PageBytes(format, kShape.head_dim)),
        pool_(PagePool::Create(kBudgetPages * page_bytes_).value()) {
    Create();
  }

  void Run(const Operation& op) {
    if (all_.empty()) Create();
    Tracked& chosen = all_[op.sequence % all_.size()];
    switch (op.kind) {
      case Kind::kExtend: Extend(chosen, {op.amount}); break;
      case Kind::kExtendTwice: Extend(chosen, {op.amount / 2, op.other / 2}); break;
      case Kind::kGiveUp: GiveUp(chosen, op.amount); break;
      case Kind::kTruncate: Truncate(chosen, op.amount); break;
      case Kind::kFork: Fork(chosen); break;
      case Kind::kDrop: all_.erase(all_.begin() + (&chosen - all_.data())); break;
      case Kind::kShift: Shift(chosen, op.other, op.amount + 1); break;
      case Kind::kRelease: Release(chosen); break;
      case Kind::kCompact: Compact(chosen); break;
      case Kind::kEvict: Evict(chosen, op.amount, op.other); break;
      case Kind::kCreate: Create(); break;
      case Kind::kHold:
        keeper_.held.clear();
        keeper_.to_hold = op.amount % 8;
        break;
      case Kind::kAdopt: Adopt(chosen, op.amount, static_cast<size_t>(op.other)); break;
    }
    Check();
  }

 private:
  Tracked NewSequence() { return {KvSequence::Create(*pool_, kShape, Options(), {&keeper_}).value(), {}, {}}; }
  [[nodiscard]] KvOptions Options() const { return {.format = format_, .compact = compact_, .recent = 10}; }

  void Create() {
    if (all_.size() < kMaxSequences) all_.push_back(NewSequence());
  }

  // A new sequence in the place of another one, which begins with blocks that are held.
  void Adopt(Tracked& tracked, int amount, size_t which) {
    std::vector<KnownToken> known;
    const std::vector<HeldBlock> blocks = keeper_.ChainFrom(which, RootHash(Options(), kShape), &known);
    if (blocks.empty()) return;
    tracked = NewSequence();
    const size_t live = pool_->stats().live_pages;
    const size_t length = known.size() - static_cast<size_t>(amount % 64);
    tracked.sequence.Adopt(blocks, static_cast<int32_t>(length));
    RC_ASSERT(pool_->stats().live_pages == live);
    known.resize(length);
    tracked.tokens = std::move(known);
    tracked.histories.resize(length, 0);
  }

  // Before observers hear of a sequence.
  void Introduce(const Tracked& tracked) {
    keeper_.sequence = &tracked.sequence;
    keeper_.tokens = tracked.tokens;
  }

  // Few different tokens, so that prefixes coincide between sequences.
  void Extend(Tracked& tracked, const std::vector<int>& counts) {
    std::vector<KnownToken> step;
    const int sealed_before = keeper_.num_sealed;
    const auto blocks_before = static_cast<int>(tracked.sequence.sealed().size());
    for (const int count : counts) {
      std::vector<int32_t> ids;
      for (int i = 0; i < count; ++i) {
        const int position = tracked.sequence.length() + i;
        ids.push_back(position % 64 == 17 ? (count % 3) : position % 7);
      }
      const size_t live = pool_->stats().live_bytes;
      if (!tracked.sequence.Extend(ids)) {
        const size_t wanted = (static_cast<size_t>(count) / 64 + 2) * kTables;  // at most, with copies
        RC_ASSERT(live + wanted * page_bytes_ > kBudgetPages * page_bytes_);
        RC_ASSERT(pool_->stats().live_bytes == live);
        break;
      }
      for (const int32_t id : ids) step.push_back({.id = id, .serial = ++serial_});
    }
    WriteStep(tracked.sequence, step);
    tracked.tokens.insert(tracked.tokens.end(), step.begin(), step.end());
    Introduce(tracked);
    tracked.sequence.Commit();
    tracked.histories.resize(tracked.tokens.size(), 0);
    const int told = tracked.held.empty() ? static_cast<int>(tracked.sequence.sealed().size()) - blocks_before : 0;
    RC_ASSERT(keeper_.num_sealed - sealed_before == told);
  }

  void GiveUp(Tracked& tracked, int amount) {
    const std::vector<int32_t> ids(static_cast<size_t>(amount), 3);
    if (tracked.sequence.Extend(ids)) RC_ASSERT(tracked.sequence.Truncate(tracked.sequence.committed()).has_value());
  }

  void Truncate(Tracked& tracked, int amount) {
    const int32_t length = std::max(0, tracked.sequence.length() - amount);
    const bool possible = tracked.sequence.CanTruncateTo(length);
    RC_ASSERT(tracked.sequence.Truncate(length).has_value() == possible);
    if (!possible) return;
    tracked.tokens.resize(static_cast<size_t>(length));
    tracked.histories.resize(static_cast<size_t>(length));
    if (length > 0) return;
    tracked.shifted = false;
    // Nothing is left of an eviction but the silence towards observers, of which the model knows by an empty list.
    for (auto& head : tracked.held) head.clear();
    tracked.evicted_blocks = 0;
  }

  void Fork(const Tracked& tracked) {
    if (all_.size() >= kMaxSequences) return;
    const size_t live = pool_->stats().live_pages;
    Tracked fork = {tracked.sequence.Fork(), tracked.tokens,   tracked.histories, tracked.shifted, tracked.held,
                    tracked.evicted_blocks,  tracked.evictions};
    RC_ASSERT(pool_->stats().live_pages == live);
    all_.push_back(std::move(fork));
  }

  void Shift(Tracked& tracked, int sinks, int drop) {
    const auto kept = static_cast<int>(BlocksFor(sinks) * 64);
    const auto gone = static_cast<int>(BlocksFor(drop) * 64);
    const bool possible = kept + gone <= tracked.sequence.length() - 10 && tracked.evicted_blocks == 0;
    const auto dropped = tracked.sequence.ShiftContext(sinks, drop, AddToPosition);
    if (!dropped) {
      RC_ASSERT((dropped.error().code == ErrorCode::kInvalidArgument) == !possible);
      return;
    }
    RC_ASSERT(possible);
    RC_ASSERT(*dropped == gone);
    const int seen = Identity(tracked, static_cast<size_t>(kept + gone));
    for (size_t i = static_cast<size_t>(kept + gone); i < tracked.histories.size(); ++i) {
      tracked.histories[i] = Intern({-1, gone, seen, tracked.histories[i]});
    }
    tracked.tokens.erase(tracked.tokens.begin() + kept, tracked.tokens.begin() + kept + gone);
    tracked.histories.erase(tracked.histories.begin() + kept, tracked.histories.begin() + kept + gone);
    tracked.shifted = true;
  }

  void Release(Tracked& tracked) {
    tracked.sequence.ReleaseOutsideWindow();
    if (tracked.shifted || tracked.evicted_blocks > 0) return;
    const size_t open = BytesAt(kShape, format_, tracked.sequence.length());
    const size_t bytes = tracked.sequence.bytes();
    if (compact_) {
      RC_ASSERT(bytes <= open);
    } else {
      RC_ASSERT(bytes == open);
    }
  }

  void Compact(Tracked& tracked) {
    const size_t before = tracked.sequence.bytes();
    Introduce(tracked);
    tracked.sequence.Compact(threads_);
    RC_ASSERT(tracked.sequence.bytes() <= before);
  }

  // Each head of layer 0 keeps a share of its own of the tokens before a block.
  void Evict(Tracked& tracked, int amount, int other) {
    const int32_t end = tracked.sequence.EvictableBlocks(amount);
    // A context shift in between has no list of positions in the model.
    if (tracked.shifted || end < std::max(tracked.evicted_blocks, 1)) return;
    std::vector<std::vector<int32_t>> places(static_cast<size_t>(kShape.kv_heads));
    std::vector<std::vector<int32_t>> held(places.size());
    for (size_t head = 0; head < places.size(); ++head) {
      std::vector<int32_t> before = tracked.held.empty() ? std::vector<int32_t>{} : tracked.held[head];
      for (int32_t position = tracked.evicted_blocks * 64; position < end * 64; ++position) before.push_back(position);
      const int step = 1 + (other + static_cast<int>(head)) % 5;
      for (size_t place = static_cast<size_t>(other % 3); place < before.size(); place += static_cast<size_t>(step)) {
        places[head].push_back(static_cast<int32_t>(place));
        held[head].push_back(before[place]);
      }
    }
    const size_t live = pool_->stats().live_bytes;
    if (!tracked.sequence.Evict(0, end, places)) {
      RC_ASSERT(pool_->stats().live_bytes == live);
      return;
    }
    tracked.held = std::move(held);
    tracked.evicted_blocks = end;
    ++tracked.evictions;
  }

  // What layer 0 of a sequence holds after an eviction, token by token.
  static void ExpectHeld(const Tracked& tracked, float error) {
    const KvSequence& sequence = tracked.sequence;
    const auto blocks = static_cast<int32_t>(BlocksFor(sequence.committed()));
    for (int head = 0; head < kShape.kv_heads; ++head) {
      std::vector<int32_t> positions = tracked.held[static_cast<size_t>(head)];
      for (int32_t p = tracked.evicted_blocks * 64; p < sequence.committed(); ++p) positions.push_back(p);
      RC_ASSERT(sequence.HeldPositions(0, head, blocks) == positions);
      std::vector<float> keys, values;
      sequence.ReadHead(0, head, blocks, &keys, &values);
      const auto d = static_cast<size_t>(kShape.head_dim);
      RC_ASSERT(keys.size() == positions.size() * d);
      for (size_t i = 0; i < positions.size(); ++i) {
        const KnownToken& token = tracked.tokens[static_cast<size_t>(positions[i])];
        RC_ASSERT(std::abs(keys[i * d] - static_cast<float>(positions[i])) <= error);
        RC_ASSERT(std::abs(keys[i * d + 1] - static_cast<float>(token.id)) <= error);
        RC_ASSERT(std::abs(values[i * d] - static_cast<float>(token.serial)) <= error);
      }
    }
  }

  int Intern(const std::vector<int>& key) {
    return interned_.emplace(key, static_cast<int>(interned_.size()) + 1).first->second;
  }

  int Identity(const Tracked& tracked, size_t length) {
    std::vector<int> key;
    for (size_t i = 0; i < length; ++i) {
      key.push_back(tracked.tokens[i].id);
      key.push_back(tracked.histories[i]);
    }
    return Intern(key);
  }

  void Check() {
    std::map<const std::byte*, size_t> pages;
    const auto count = [&](const Page& page) { pages.emplace(page.data(), page.bytes()); };
    for (const Tracked& tracked : all_) {
      const Status status = tracked.sequence.CheckIntegrity();
      if (!status) RC_FAIL(status.error().message);
      if (tracked.evicted_blocks > 0) {
        const float once = ReadBackError(format_) + codec_error_;  // packing rounds anew
        ExpectHeld(tracked, static_cast<float>(1 + tracked.evictions) * once);
      } else {
        ExpectContents(tracked.sequence, tracked.tokens, !tracked.shifted, codec_error_);
      }
      RC_ASSERT(!testing::Test::HasFatalFailure());
      RC_ASSERT(tracked.sequence.CanTruncateTo(tracked.sequence.length()));
      tracked.sequence.ForEachPage(count);
      for (size_t block = 0; block < tracked.sequence.sealed().size(); ++block) {
        const BlockHash& hash = tracked.sequence.sealed()[block];
        const int identity = Identity(tracked, (block + 1) * 64);
        RC_ASSERT(by_identity_.emplace(identity, hash).first->second == hash);
        RC_ASSERT(by_hash_.emplace(hash, identity).first->second == identity);
      }
    }
    keeper_.Check();
    for (const Keeper::Held& held : keeper_.held) std::ranges::for_each(held.block.pages, count);
    const PoolStats stats = pool_->stats();
    RC_ASSERT(stats.live_pages == pages.size());
    size_t bytes = 0;
    for (const auto& [data, size] : pages) bytes += size;
    RC_ASSERT(stats.live_bytes == bytes);
    RC_ASSERT(stats.live_bytes <= stats.budget_bytes);
  }

  kernels::PageFormat format_;
  std::shared_ptr<const CompactStore> compact_;
  float codec_error_;
  base::ThreadPool threads_{1};
  size_t page_bytes_;
  std::unique_ptr<PagePool> pool_;
  Keeper keeper_;
  std::vector<Tracked> all_;
  int serial_ = 0;
  std::map<std::vector<int>, int> interned_;
  std::map<int, BlockHash> by_identity_;
  std::map<BlockHash, int> by_hash_;
};

RC_GTEST_PROP(KvSequenceModelTest, AgreesWithTheModelAfterEveryOperation, ()) {
  const auto operations = *rc::gen::container<std::vector<Operation>>(AnyOperation());
  std::shared_ptr<const CompactStore> compact;
  if (*rc::gen::arbitrary<bool>()) {
    const CompactRule rule = {.recent = *rc::gen::element(0, 64, 100), .sinks = *rc::gen::element(0, 4)};
    compact = std::make_shared<CompactStoreForTest>(rule, *rc::gen::arbitrary<bool>());
  }
  Machine machine(*rc::gen::element(kernels::PageFormat::kF32, kernels::PageFormat::kQ8), compact);
  for (const Operation& operation : operations) machine.Run(operation);
}

// The codecs that users name. With 8 bits what is read back says which token it is, as in q8's open pages; keys by
// channel before RoPE with 4 bits do not, for numbers as large as positions, so there it is all the rest that is
// checked: which pages are held, by whom, and their bytes.
RC_GTEST_PROP(KvSequenceModelTest, AgreesWithTheModelWithRealCodecs, ()) {
  constexpr int kLongest = 1 << 14;
  const auto operations = *rc::gen::container<std::vector<Operation>>(AnyOperation());
  const bool bytes = *rc::gen::arbitrary<bool>();
  const CompactRule rule = {.recent = *rc::gen::element(0, 64), .sinks = *rc::gen::element(0, 4)};
  const auto store = PackedStoreForTest(bytes ? "q8" : "ch4", kShape, kernels::PageFormat::kF32, rule, kLongest);
  Machine machine(kernels::PageFormat::kF32, store,
                  bytes ? ReadBackError(kernels::PageFormat::kQ8) : std::numeric_limits<float>::infinity());
  for (const Operation& operation : operations) machine.Run(operation);
}

}  // namespace
}  // namespace kvasir::kvcache
