#include "engine/step.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "base/check.h"

namespace kvasir {
namespace {

// A batch and what it points to.
struct Gathered {
  std::vector<int32_t> tokens;
  std::vector<int32_t> positions;
  std::vector<kvcache::KvView> views;
  std::vector<ops::SequenceRows> sequences;
  std::vector<int32_t> logit_rows;
  struct Place {  // of one of logit_rows
    size_t sequence;
    int index;
  };
  std::vector<Place> places;
};

Gathered Gather(std::span<const StepRows> rows) {
  Gathered batch;
  batch.views.reserve(rows.size());
  for (size_t s = 0; s < rows.size(); ++s) {
    const kvcache::KvSequence& sequence = *rows[s].sequence;
    const int32_t start = sequence.committed();
    const int32_t count = sequence.length() - start;
    const auto first_row = static_cast<int>(batch.tokens.size());
    batch.views.push_back(sequence.View());
    batch.sequences.push_back({.kv = &batch.views.back(), .first_row = first_row, .num_rows = count});
    for (int32_t i = 0; i < count; ++i) {
      batch.tokens.push_back(sequence.tokens()[static_cast<size_t>(start + i)]);
      batch.positions.push_back(start + i);
      if (i < rows[s].first_logits) continue;
      batch.logit_rows.push_back(first_row + i);
      batch.places.push_back({.sequence = s, .index = i});
    }
  }
  return batch;
}

// Gives the sequences the logits (or vectors) [n, width] of the wanted rows from `first` on. Choosing a token reads the
// whole vocabulary, which takes as long as a layer, so the sequences do it side by side; each has its rows in order.
void HandOut(base::ThreadPool& pool, std::span<const StepRows> rows, const Gathered& gathered, int first,
             std::span<const float> logits, size_t width) {
  const std::span<const Gathered::Place> places =
      std::span(gathered.places).subspan(static_cast<size_t>(first), logits.size() / width);
  std::vector<size_t> begins;  // of each sequence's places, and the end
  for (size_t i = 0; i < places.size(); ++i) {
    if (i == 0 || places[i].sequence != places[i - 1].sequence) begins.push_back(i);
  }
  begins.push_back(places.size());
  pool.ForDynamic(static_cast<int64_t>(begins.size()) - 1, 1, [&](int64_t begin, int64_t end, int) {
    for (size_t i = begins[static_cast<size_t>(begin)]; i < begins[static_cast<size_t>(end)]; ++i) {
      rows[places[i].sequence].on_logits(places[i].index, logits.subspan(i * width, width));
    }
  });
}

// Shows each sequence's attention to its record and its shadow check, and all of it to the probe that the caller gave.
class StepProbe final : public ops::AttentionProbe {
 public:
  StepProbe(std::span<const StepRows> rows, ops::AttentionProbe* given) : rows_(rows), given_(given) {}

  [[nodiscard]] bool needed() const {
    const auto looked_at = [](const StepRows& each) { return each.record != nullptr || each.shadow != nullptr; };
    return given_ != nullptr || std::ranges::any_of(rows_, looked_at);
  }
  void OnKeys(const ops::Batch& batch, const ops::AttentionSpec& spec, const float* k, const float* v) override {
    const int64_t width = static_cast<int64_t>(spec.kv_heads) * spec.head_dim;
    for (size_t s = 0; s < rows_.size(); ++s) {
      if (rows_[s].shadow == nullptr) continue;
      const ops::SequenceRows& rows = batch.sequences[s];
      rows_[s].shadow->OnKeys(rows, PositionsOf(batch, rows), spec, k + rows.first_row * width,
                              v + rows.first_row * width);
    }
    if (given_ != nullptr) given_->OnKeys(batch, spec, k, v);
  }
  void OnAttention(const ops::Batch& batch, const ops::AttentionSpec& spec, const float* q, const float* out) override {
    const int64_t width = static_cast<int64_t>(spec.heads) * spec.head_dim;
    for (size_t s = 0; s < rows_.size(); ++s) {
      const ops::SequenceRows& rows = batch.sequences[s];
      const auto positions = PositionsOf(batch, rows);
      const int64_t first = rows.first_row * width;
      if (rows_[s].record != nullptr) rows_[s].record->OnRows(rows, positions, spec, q + first);
      if (rows_[s].shadow != nullptr) rows_[s].shadow->OnAttention(rows, positions, spec, q + first, out + first);
    }
    if (given_ != nullptr) given_->OnAttention(batch, spec, q, out);
  }

 private:
  static std::span<const int32_t> PositionsOf(const ops::Batch& batch, const ops::SequenceRows& rows) {
    return batch.positions.subspan(static_cast<size_t>(rows.first_row), static_cast<size_t>(rows.num_rows));
  }

  std::span<const StepRows> rows_;
  ops::AttentionProbe* given_;
};

}  // namespace

Status RunStep(Engine::Impl& engine, std::span<const StepRows> rows, const std::atomic<bool>* cancel, StepOutput output,
               ops::AttentionProbe* probe) {
  const Gathered gathered = Gather(rows);
  KV_CHECK(gathered.tokens.size() <= static_cast<size_t>(kMaxBatchRows));
  StepProbe step_probe(rows, probe);
  const ops::Batch batch{.tokens = gathered.tokens,
                         .positions = gathered.positions,
                         .sequences = gathered.sequences,
                         .logit_rows = gathered.logit_rows,
                         .hidden = output == StepOutput::kHidden,
                         .cancel = cancel,
                         .probe = step_probe.needed() ? &step_probe : nullptr};
  const int width = output == StepOutput::kHidden ? engine.info.embedding : engine.info.vocabulary;
  const auto on_logits = [&](int first, std::span<const float> logits) {
    HandOut(engine.pool, rows, gathered, first, logits, static_cast<size_t>(width));
  };
  const std::lock_guard lock(engine.step);
  const Status status = engine.model->Forward(batch, on_logits);
  engine.activation_bytes = engine.model->activation_bytes();
  for (const StepRows& each : rows) {
    if (status) {
      each.sequence->Commit();
      each.sequence->ReleaseOutsideWindow();
      each.sequence->Compact(engine.pool);
    } else {
      KV_CHECK(each.sequence->Truncate(each.sequence->committed()).has_value());
    }
  }
  return status;
}

}  // namespace kvasir
