// What an encoder needs beside products: operators without a cache, over whole texts.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "kvasir/result.h"

namespace kvasir::ops {

/// Heads of encoders have a multiple of this many features.
inline constexpr int kEncoderHeadUnit = kernels::kPanelRows;

/// The rows of one text within a batch, which holds texts of any lengths one after the other.
struct TextRows {
  int64_t first_row = 0;
  int64_t num_rows = 0;
};

/// The shape of bidirectional attention.
struct EncoderAttention {
  int heads = 0;     // H
  int head_dim = 0;  // D, a multiple of kEncoderHeadUnit
  float scale = 1;   // of the scores
};

/// Each row of a result depends on its own text alone, with the same operations in the same order whatever else is in
/// the batch and however many threads there are. Not thread-safe.
class EncoderOperators {
 public:
  /// `max_text_rows`: the longest text. The only error is kResourceExhausted.
  [[nodiscard]] static Result<std::unique_ptr<EncoderOperators>> Create(base::ThreadPool& pool, int64_t max_text_rows,
                                                                        const EncoderAttention& attention);

  /// Each row of x [B, K] normed in place: mean 0 and variance 1, times weight [K], plus bias [K].
  void LayerNorm(float* x, int64_t rows, std::span<const float> weight, std::span<const float> bias, float eps);
  /// x = x (1 + erf(x / sqrt 2)) / 2, for rows x k values.
  void Gelu(float* x, int64_t rows, int64_t k);
  /// out [B, H*D] = attention of q over k and v, all [B, H*D]: every row sees every row of its text. Scales q in place.
  void Attend(std::span<const TextRows> texts, float* q, const float* k, const float* v, float* out);

  [[nodiscard]] size_t workspace_bytes() const;

 private:
  EncoderOperators(base::ThreadPool& pool, const EncoderAttention& attention);
  void AttendHead(const TextRows& text, int head, float* q, const float* k, const float* v, float* out,
                  float* scratch) const;

  const kernels::KernelTable& kernels_;
  base::ThreadPool& pool_;
  EncoderAttention attention_;
  int64_t max_text_rows_ = 0;
  std::vector<base::AlignedBuffer> scratch_;  // per thread
};

}  // namespace kvasir::ops
