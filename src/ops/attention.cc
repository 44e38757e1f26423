// Attention of a batch over pages.
//
// The problem: one query row may see tens of thousands of keys (decode at depth) and one prompt may bring hundreds of
// rows (prefill); both must keep all threads busy, and neither the split nor the number of threads may change a bit of
// the result. The idea: the pages of a head are cut into spans, a function of position alone (kvcache/span.h). Each
// span gives (o, lse); the spans of a row are merged in ascending order. Decode hands out spans, prefill hands out
// tiles of rows and walks their spans in order: the same merges in the same order, hence the same bits. Whoever
// finishes the last span of some rows merges them, so that nobody waits for a second round. Source: split-K decoding
// ("flash decoding").

#include <algorithm>
#include <atomic>

#include "base/check.h"
#include "ops/attention_probe.h"
#include "ops/operators.h"

namespace kvasir::ops {
namespace {

// Rows (tokens x grouped heads) up to which a sequence's attention is split by span instead of by rows.
constexpr int kSplitRows = 16;

}  // namespace

void Operators::PrepareHeads(const Batch& batch, const AttentionSpec& spec, const HeadPreparation& preparation,
                             float* q, float* k, const float* v) {
  const int d = spec.head_dim;
  const RopeTable& rope = ropes_[static_cast<size_t>(preparation.rope)];
  const auto prepare = [&](float* heads, int count, std::span<const float> norm, const float* cos, const float* sin) {
    for (int h = 0; h < count; ++h) {
      float* head = heads + static_cast<int64_t>(h) * d;
      if (!norm.empty()) kernels_.rms_norm(head, norm.data(), d, preparation.eps, head);
      kernels_.rope(head, cos, sin, rope.n_rot, rope.neox);
    }
  };
  const auto rows = [&](const SequenceRows& sequence, int64_t begin, int64_t end) {
    const auto store = kernels_.store_kv[static_cast<size_t>(sequence.kv->format)];
    for (int64_t i = begin; i < end; ++i) {
      const int64_t b = sequence.first_row + i;
      const float* cos = rope.cos.data() + b * (rope.n_rot / 2);
      const float* sin = rope.sin.data() + b * (rope.n_rot / 2);
      float* key = k + b * spec.kv_heads * d;
      const float* value = v + b * spec.kv_heads * d;
      prepare(q + b * spec.heads * d, spec.heads, preparation.q_norm, cos, sin);
      prepare(key, spec.kv_heads, preparation.k_norm, cos, sin);
      for (int h = 0; h < spec.kv_heads; ++h) {
        const kvcache::WriteSlot slot = sequence.kv->slot(spec.layer, h, static_cast<int>(i));
        store(slot.page, d, slot.slot, key + h * d, value + h * d);
      }
    }
  };
  const auto rows_of_batch = [&](int64_t begin, int64_t end) {
    for (const SequenceRows& sequence : batch.sequences) {
      const int64_t first = sequence.first_row;
      rows(sequence, std::max<int64_t>(begin - first, 0), std::min<int64_t>(end - first, sequence.num_rows));
    }
  };
  const auto count = static_cast<int64_t>(batch.tokens.size());
  if (count < 4) {
    rows_of_batch(0, count);
  } else {
    pool_.For(count, 1, [&](int64_t begin, int64_t end, int) { rows_of_batch(begin, end); });
  }
  if (batch.probe != nullptr) batch.probe->OnKeys(batch, spec, k, v);
}

// Fills items_ and merges_, and makes room for the partials.
void Operators::PlanAttend(const Batch& batch, const AttentionSpec& spec) {
  const int group = spec.heads / spec.kv_heads;
  items_.clear();
  merges_.clear();
  int64_t partial_size = 0;
  for (size_t s = 0; s < batch.sequences.size(); ++s) {
    const SequenceRows& sequence = batch.sequences[s];
    const bool split = sequence.num_rows * group <= kSplitRows;
    const int tile = split ? sequence.num_rows : std::max(1, kernels::kAttendBlockRows / group);
    for (int h = 0; h < spec.kv_heads; ++h) {
      const auto pages = sequence.kv->pages(spec.layer, h).refs;
      for (int row = 0; row < sequence.num_rows; row += tile) {
        const int row_end = std::min(row + tile, sequence.num_rows);
        const size_t first_row = static_cast<size_t>(sequence.first_row + row);
        const size_t last_row = static_cast<size_t>(sequence.first_row + row_end - 1);
        const kvcache::SpanRange spans =
            kvcache::VisibleSpans(pages, batch.positions[first_row], batch.positions[last_row], spec.window);
        if (!split || spans.size() <= 1) {
          items_.push_back({static_cast<int>(s), h, row, row_end, spans});
          continue;
        }
        const auto first = static_cast<int64_t>(items_.size());
        const auto merge = static_cast<int32_t>(merges_.size());
        merges_.push_back({.first = first, .last = first + spans.size(), .unfinished = spans.size()});
        for (int32_t span = spans.begin; span < spans.end; ++span) {
          items_.push_back({static_cast<int>(s), h, row, row_end, {span, span + 1}, partial_size, merge});
          partial_size += static_cast<int64_t>(row_end - row) * group * (spec.head_dim + 1);
        }
      }
    }
  }
  if (static_cast<int64_t>(partials_.size()) < partial_size) partials_.resize(static_cast<size_t>(partial_size));
}

void Operators::Attend(const Batch& batch, const AttentionSpec& spec, const float* q, float* out) {
  PlanAttend(batch, spec);
  const auto first_page = [&](int64_t i) {
    const AttendItem& item = items_[static_cast<size_t>(i)];
    const auto& kv = *batch.sequences[static_cast<size_t>(item.sequence)].kv;
    const auto refs = kvcache::PagesOfSpan(kv.pages(spec.layer, item.kv_head).refs, item.spans.begin);
    return refs.empty() ? nullptr : refs.front().data;
  };
  pool_.ForDynamic(static_cast<int64_t>(items_.size()), 1, [&](int64_t begin, int64_t end, int thread) {
    for (int64_t i = begin; i < end; ++i) {
      const AttendItem& item = items_[static_cast<size_t>(i)];
      const std::byte* next = i + 1 < end ? first_page(i + 1) : nullptr;
      RunAttendItem(spec, batch.sequences[static_cast<size_t>(item.sequence)], item, next, q, batch, out, thread);
      if (item.merge < 0) continue;
      AttendMerge& merge = merges_[static_cast<size_t>(item.merge)];
      // What the other threads wrote of their items must be visible to the one that merges.
      if (std::atomic_ref(merge.unfinished).fetch_sub(1, std::memory_order_acq_rel) == 1) {
        MergePartials(batch, spec, merge, out);
      }
    }
  });
  if (batch.probe != nullptr) batch.probe->OnAttention(batch, spec, q, out);
}

// The buffers of one item, cut from a thread's scratch: R rows of D features.
struct Operators::AttendBuffers {
  AttendBuffers(std::vector<float>& scratch, int rows, int head_dim) {
    constexpr size_t kKernelFloats = kernels::kAttendScratchBytes / sizeof(float);
    constexpr size_t kLineFloats = base::kCacheLineBytes / sizeof(float);
    const auto r = static_cast<size_t>(rows);
    const size_t block = r * static_cast<size_t>(head_dim);
    const size_t needed = kLineFloats + kKernelFloats + 4 * block + 7 * r;
    if (scratch.size() < needed) scratch.resize(needed);
    const size_t misplaced = reinterpret_cast<uintptr_t>(scratch.data()) / sizeof(float) % kLineFloats;
    kernel = scratch.data() + (kLineFloats - misplaced) % kLineFloats;
    queries = kernel + kKernelFloats;
    part = queries + block;
    piece = part + block;
    total = piece + block;
    part_lse = total + block;
    piece_lse = part_lse + r;
    states = reinterpret_cast<kvcache::MergeState*>(piece_lse + r);
    piece_states = states + r;
    positions = reinterpret_cast<int32_t*>(piece_states + r);
  }

  float* kernel;   // what the kernels want
  float* queries;  // [R, D] scaled
  float* part;     // [R, D] and [R]: the result over a span
  float* part_lse;
  float* piece;  // alike: over the pages of one format in a span that has two
  float* piece_lse;
  float* total;                       // [R, D]: over all spans
  kvcache::MergeState* states;        // [R] of total
  kvcache::MergeState* piece_states;  // [R] of a span that has two formats
  int32_t* positions;                 // [R]
};

// Attention over the pages of one span: (o, lse) into `out` and `lse`. Pages of different formats are merged within the
// span, so that a span's result has the same bits wherever it is wanted.
void Operators::AttendSpan(const AttentionSpec& spec, const kvcache::KvView& kv,
                           std::span<const kernels::PageRef> pages, kernels::AttendArgs args,
                           const AttendBuffers& buffers, float* out, float* lse) {
  const auto attend = [&](std::span<const kernels::PageRef> alike, float* o, float* o_lse) {
    args.pages = alike.data();
    args.num_pages = static_cast<int>(alike.size());
    args.out = o;
    args.lse = o_lse;
    if (!alike.empty() && alike.front().compact) {
      kernels_.attend_compact(args, kv.compact[static_cast<size_t>(spec.layer)]);
    } else {
      kernels_.attend[static_cast<size_t>(kv.format)](args);
    }
  };
  size_t alike = kvcache::FirstOfOneFormat(pages);
  if (alike == pages.size()) return attend(pages, out, lse);
  const int d = spec.head_dim;
  std::fill(buffers.piece_states, buffers.piece_states + args.rows, kvcache::MergeState{});
  for (; !pages.empty(); alike = kvcache::FirstOfOneFormat(pages)) {
    attend(pages.first(alike), buffers.piece, buffers.piece_lse);
    pages = pages.subspan(alike);
    for (int64_t r = 0; r < args.rows; ++r) {
      kvcache::MergePartial(out + r * d, &buffers.piece_states[r], buffers.piece + r * d, buffers.piece_lse[r], d);
    }
  }
  for (int64_t r = 0; r < args.rows; ++r) {
    kvcache::FinishMerge(out + r * d, buffers.piece_states[r], d);
    lse[r] = kvcache::LseOf(buffers.piece_states[r]);
  }
}

void Operators::RunAttendItem(const AttentionSpec& spec, const SequenceRows& sequence, const AttendItem& item,
                              const std::byte* next, const float* q, const Batch& batch, float* out, int thread) {
  const int d = spec.head_dim;
  const int group = spec.heads / spec.kv_heads;
  const int tokens = item.row_end - item.row_begin;
  const int rows = tokens * group;
  const AttendBuffers buffers(attend_scratch_[static_cast<size_t>(thread)], rows, d);
  for (int t = 0; t < tokens; ++t) {
    const int64_t b = sequence.first_row + item.row_begin + t;
    const float* source = q + (b * spec.heads + static_cast<int64_t>(item.kv_head) * group) * d;
    float* target = buffers.queries + static_cast<int64_t>(t) * group * d;
    std::copy(source, source + static_cast<int64_t>(group) * d, target);
    kernels_.scale(target, spec.scale, static_cast<int64_t>(group) * d);
    std::fill_n(buffers.positions + t * group, group, batch.positions[static_cast<size_t>(b)]);
  }

  const auto pages = sequence.kv->pages(spec.layer, item.kv_head).refs;
  const kernels::AttendArgs args{.q = buffers.queries,
                                 .row_positions = buffers.positions,
                                 .rows = rows,
                                 .head_dim = d,
                                 .window = spec.window,
                                 .softcap = spec.softcap,
                                 .next = next,
                                 .scratch = reinterpret_cast<std::byte*>(buffers.kernel)};
  if (item.partial >= 0) {
    float* partial = partials_.data() + item.partial;
    AttendSpan(spec, *sequence.kv, kvcache::PagesOfSpan(pages, item.spans.begin), args, buffers, partial,
               partial + static_cast<int64_t>(rows) * d);
    return;
  }

  std::fill(buffers.states, buffers.states + rows, kvcache::MergeState{});
  for (int32_t span = item.spans.begin; span < item.spans.end; ++span) {
    AttendSpan(spec, *sequence.kv, kvcache::PagesOfSpan(pages, span), args, buffers, buffers.part, buffers.part_lse);
    for (int64_t r = 0; r < rows; ++r) {
      kvcache::MergePartial(buffers.total + r * d, &buffers.states[r], buffers.part + r * d, buffers.part_lse[r], d);
    }
  }
  for (int64_t r = 0; r < rows; ++r) kvcache::FinishMerge(buffers.total + r * d, buffers.states[r], d);
  for (int t = 0; t < tokens; ++t) {
    const int64_t b = sequence.first_row + item.row_begin + t;
    const float* source = buffers.total + static_cast<int64_t>(t) * group * d;
    std::copy(source, source + static_cast<int64_t>(group) * d,
              out + (b * spec.heads + static_cast<int64_t>(item.kv_head) * group) * d);
  }
}

void Operators::MergePartials(const Batch& batch, const AttentionSpec& spec, const AttendMerge& merge, float* out) {
  const int d = spec.head_dim;
  const int group = spec.heads / spec.kv_heads;
  const AttendItem& head = items_[static_cast<size_t>(merge.first)];
  const int rows = (head.row_end - head.row_begin) * group;
  const int first_row = batch.sequences[static_cast<size_t>(head.sequence)].first_row + head.row_begin;
  for (int r = 0; r < rows; ++r) {
    const int64_t b = first_row + r / group;
    float* o = out + ((b * spec.heads + static_cast<int64_t>(head.kv_head) * group) + r % group) * d;
    kvcache::MergeState state;
    for (int64_t i = merge.first; i < merge.last; ++i) {
      const float* partial = partials_.data() + items_[static_cast<size_t>(i)].partial;
      kvcache::MergePartial(o, &state, partial + static_cast<int64_t>(r) * d,
                            partial[static_cast<int64_t>(rows) * d + r], d);
    }
    kvcache::FinishMerge(o, state, d);
  }
}

}  // namespace kvasir::ops
