// Context shift: making room at the end of a full context without computing anything anew.
//
// The idea (StreamingLLM, arXiv:2309.17453): keep the first tokens, on which attention rests, and the recent ones, and
// drop whole pages in between. The model must not see the gap, so what remains moves down: RoPE encodes a position as a
// rotation, and rotating a stored key by minus the gap is as if the token had been at its new place. Values carry no
// position. The result is an approximation (the kept keys and values still know of what is gone), which is why moved
// blocks get new hashes. Whole pages only: every page stays aligned to its span, and no token moves between pages.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "kvcache/kv_sequence.h"

namespace kvasir::kvcache {

using kernels::kPageTokens;

namespace {

// Where the number `block` of a first block comes to lie when `count` blocks from `gap` on vanish.
int32_t MovedBlock(int32_t block, int32_t gap, int32_t count) {
  return block <= gap ? block : std::max(gap, block - count);
}

}  // namespace

Result<int32_t> KvSequence::ShiftContext(int32_t sinks, int32_t drop_tokens, const RotateKey& rotate) {
  KV_TRY(CheckShift(sinks, drop_tokens));
  const auto kept = static_cast<int32_t>(BlocksFor(sinks));
  const auto dropped = static_cast<int32_t>(BlocksFor(drop_tokens));
  const int32_t delta = -dropped * kPageTokens;
  KV_ASSIGN(std::vector<Page> copies, AllocateCopies(kept + dropped, Write::kRotation));
  // Beyond this point nothing can fail.
  Unshare(kept + dropped, Write::kRotation, std::move(copies));
  MoveOrigins(kept, dropped);
  DropBlocks(kept, dropped);
  tokens_.erase(tokens_.begin() + kept * kPageTokens, tokens_.begin() + (kept + dropped) * kPageTokens);
  committed_ = length();
  compact_end_ = std::max(compact_end_ - dropped, 0);
  RefreshRefs(kept);
  AdjustFloors(kept, dropped);
  RotateKeysFrom(kept, delta, rotate);
  while (static_cast<int32_t>(sealed_.size() + 1) * kPageTokens <= committed_)
    sealed_.push_back(HashOf(sealed_.size()));
  return -delta;
}

Status KvSequence::CheckShift(int32_t sinks, int32_t drop_tokens) const {
  if (committed_ != length()) {
    return Fail(ErrorCode::kInvalidArgument, "cannot shift the context while a step is in progress: commit it first");
  }
  if (evicted()) {
    return Fail(ErrorCode::kInvalidArgument, "cannot shift the context of a sequence from which tokens were evicted");
  }
  if (sinks < 0 || drop_tokens <= 0) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("cannot shift the context by {} tokens behind {} sinks: the first must be positive, the "
                            "second not negative",
                            drop_tokens, sinks));
  }
  const int64_t kept = BlocksFor(sinks) * kPageTokens;
  const int64_t droppable = std::max<int64_t>(0, length() - kept - options_.recent) / kPageTokens * kPageTokens;
  if (BlocksFor(drop_tokens) * kPageTokens <= droppable) return {};
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("cannot drop {} tokens from a context of {}: {} sinks (whole pages of {}) and the last {} "
                          "tokens stay, so at most {} can go",
                          drop_tokens, length(), kept, kPageTokens, options_.recent, droppable));
}

// Removes `count` blocks from `first_block` on from every table, as far as they are held.
void KvSequence::DropBlocks(int32_t first_block, int32_t count) {
  for (int layer = 0; layer < shape_.layers; ++layer) {
    int32_t& held_from = first_block_[static_cast<size_t>(layer)];
    const int32_t begin = std::max(first_block, held_from) - held_from;
    const int32_t end = std::max(first_block + count, held_from) - held_from;
    for (int head = 0; head < shape_.kv_heads; ++head) {
      std::vector<Page>& pages = tables_[index(layer, head)].pages;
      pages.erase(pages.begin() + begin, pages.begin() + end);
    }
    held_from = MovedBlock(held_from, first_block, count);
  }
}

// A layer with a window may have released the sinks long ago. After the shift its queries would reach them again, but
// they are gone: from now on nobody expects them.
void KvSequence::AdjustFloors(int32_t kept, int32_t dropped) {
  for (int layer = 0; layer < shape_.layers; ++layer) {
    int32_t& floor = shift_floor_[static_cast<size_t>(layer)];
    floor = MovedBlock(floor, kept, dropped);
    const int32_t held_from = first_block_[static_cast<size_t>(layer)];
    if (held_from > NeededBlock(layer, committed_)) floor = held_from;
  }
}

// The tables are those after the move: a page's keys were computed `delta` before where it now stands.
void KvSequence::RotateKeysFrom(int32_t first_block, int32_t delta, const RotateKey& rotate) {
  for (int layer = 0; layer < shape_.layers; ++layer) {
    for (int head = 0; head < shape_.kv_heads; ++head) {
      const HeadTable& held = tables_[index(layer, head)];
      for (size_t i = 0; i < held.pages.size(); ++i) {
        const kernels::PageRef& ref = held.refs[i];  // nothing is packed where a context is shifted
        if (ref.first_position < first_block * kPageTokens) continue;
        const Page& page = held.pages[i];
        if (page.compact()) {
          RotateCompact(layer, head, page, ref.first_position, delta, rotate);
        } else {
          RotateOpen(layer, page, ref.count, delta, rotate);
        }
      }
    }
  }
}

void KvSequence::RotateOpen(int layer, const Page& page, int count, int32_t delta, const RotateKey& rotate) {
  const kernels::KernelTable& table = kernels::TableOf(kernels::ChosenIsa());
  std::vector<float> key(static_cast<size_t>(shape_.head_dim));
  std::vector<float> value(key.size());
  for (int slot = 0; slot < count; ++slot) {
    codec_->Load(table, page.data(), shape_.head_dim, slot, key.data(), value.data());
    rotate(layer, key.data(), delta);
    codec_->Store(table, page.data(), shape_.head_dim, slot, key.data(), value.data());
  }
}

void KvSequence::RotateCompact(int layer, int kv_head, const Page& page, int32_t position, int32_t delta,
                               const RotateKey& rotate) {
  const CompactStore& store = *options_.compact;
  if (store.position_free(layer)) return;  // where it stands now says all
  const auto d = static_cast<size_t>(shape_.head_dim);
  std::vector<float> keys(static_cast<size_t>(kPageTokens) * d);
  std::vector<float> values(keys.size());
  store.Decode(layer, kv_head, position - delta, page.data(), keys, values);
  for (size_t slot = 0; slot < kPageTokens; ++slot) rotate(layer, keys.data() + slot * d, delta);
  store.Encode(layer, kv_head, position, keys, values, page.data());
}

// Notes where the blocks behind the gap come from. Call before the tokens move.
void KvSequence::MoveOrigins(int32_t kept, int32_t dropped) {
  const auto gap_begin = static_cast<size_t>(kept);
  const auto gap_end = static_cast<size_t>(kept + dropped);
  const auto num_before = static_cast<size_t>(num_blocks());
  origins_.resize(num_before);
  for (size_t block = gap_end; block < num_before; ++block) {
    const int32_t tokens = std::min(kPageTokens, length() - static_cast<int32_t>(block) * kPageTokens);
    origins_[block] = OriginAfterShift(origins_[block], ParentOf(block), -dropped * kPageTokens, tokens);
  }
  origins_.erase(origins_.begin() + kept, origins_.begin() + kept + dropped);
  sealed_.resize(gap_begin);
}

}  // namespace kvasir::kvcache
