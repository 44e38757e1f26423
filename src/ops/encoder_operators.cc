// Attention without a cache, as two dense products.
//
// The problem: softmax(q k^T) v over every pair of rows of a text, for texts that may be short (a query) or long (a
// page). The idea: a product kernel exists that runs near the peak of the machine, and all it wants is one side in
// panels of 16. So a head's keys become panels (rows interleaved), its values become panels (features side by side,
// which they are already), and both products are that kernel's. Queries go in blocks, so that the scores stay in the
// cache. A text and a head are one piece of work; texts need no padding, because none of this sees another text.
#include "ops/encoder_operators.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace kvasir::ops {
namespace {

using kernels::kPanelRows;

constexpr int64_t kQueryBlock = 64;        // rows of scores at a time
constexpr int64_t kSerialElements = 4096;  // less elementwise work than this is not worth waking a thread for

int64_t RoundUp(int64_t n, int64_t to) {
  return (n + to - 1) / to * to;
}

}  // namespace

EncoderOperators::EncoderOperators(base::ThreadPool& pool, const EncoderAttention& attention)
    : kernels_(kernels::TableOf(kernels::ChosenIsa())), pool_(pool), attention_(attention) {}

Result<std::unique_ptr<EncoderOperators>> EncoderOperators::Create(base::ThreadPool& pool, int64_t max_text_rows,
                                                                   const EncoderAttention& attention) {
  KV_CHECK(attention.head_dim % kEncoderHeadUnit == 0 && max_text_rows > 0);
  std::unique_ptr<EncoderOperators> operators(new EncoderOperators(pool, attention));
  operators->max_text_rows_ = max_text_rows;
  // Panels of keys and of values, rows that fill up the last panel of keys, and a block of scores.
  const int64_t keys = RoundUp(max_text_rows, kPanelRows);
  const int64_t floats = 2 * keys * attention.head_dim + kPanelRows * attention.head_dim + kQueryBlock * keys;
  for (int thread = 0; thread < pool.size(); ++thread) {
    KV_ASSIGN(base::AlignedBuffer scratch, base::AlignedBuffer::Create(static_cast<size_t>(floats) * sizeof(float)));
    operators->scratch_.push_back(std::move(scratch));
  }
  return operators;
}

size_t EncoderOperators::workspace_bytes() const {
  size_t bytes = 0;
  for (const base::AlignedBuffer& scratch : scratch_) bytes += scratch.size();
  return bytes;
}

void EncoderOperators::LayerNorm(float* x, int64_t rows, std::span<const float> weight, std::span<const float> bias,
                                 float eps) {
  const auto k = static_cast<int64_t>(weight.size());
  pool_.For(rows, std::max<int64_t>(1, kSerialElements / k), [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; ++b) {
      kernels_.layer_norm(x + b * k, weight.data(), bias.data(), k, eps, x + b * k);
    }
  });
}

void EncoderOperators::Gelu(float* x, int64_t rows, int64_t k) {
  pool_.For(rows, std::max<int64_t>(1, kSerialElements / k),
            [&](int64_t begin, int64_t end, int) { kernels_.gelu_erf(x + begin * k, (end - begin) * k); });
}

void EncoderOperators::Attend(std::span<const TextRows> texts, float* q, const float* k, const float* v, float* out) {
  const auto items = static_cast<int64_t>(texts.size()) * attention_.heads;
  pool_.ForDynamic(items, 1, [&](int64_t begin, int64_t end, int thread) {
    auto* scratch = reinterpret_cast<float*>(scratch_[static_cast<size_t>(thread)].data());
    for (int64_t item = begin; item < end; ++item) {
      const TextRows& text = texts[static_cast<size_t>(item / attention_.heads)];
      AttendHead(text, static_cast<int>(item % attention_.heads), q, k, v, out, scratch);
    }
  });
}

void EncoderOperators::AttendHead(const TextRows& text, int head, float* q, const float* k, const float* v, float* out,
                                  float* scratch) const {
  const int64_t rows = text.num_rows;
  const int64_t d = attention_.head_dim;
  const int64_t stride = attention_.heads * d;
  const int64_t offset = text.first_row * stride + head * d;
  KV_CHECK(rows <= max_text_rows_);

  float* key_panels = scratch;
  float* value_panels = key_panels + RoundUp(rows, kPanelRows) * d;
  float* last_rows = value_panels + rows * d;
  float* scores = last_rows + kPanelRows * d;
  const float* keys = k + offset;
  for (int64_t first = 0; first < rows; first += kPanelRows) {
    const int64_t count = std::min<int64_t>(kPanelRows, rows - first);
    const float* source = keys + first * stride;
    int64_t source_stride = stride;
    if (count < kPanelRows) {  // the panel has 16 rows, the text has not
      std::fill(last_rows, last_rows + kPanelRows * d, 0.0F);
      for (int64_t i = 0; i < count; ++i) std::copy_n(source + i * stride, d, last_rows + i * d);
      source = last_rows;
      source_stride = d;
    }
    kernels_.interleave_panel(source, source_stride, d, key_panels + first * d);
  }
  const float* values = v + offset;
  for (int64_t panel = 0; panel < d / kPanelRows; ++panel) {
    for (int64_t row = 0; row < rows; ++row) {
      std::memcpy(value_panels + (panel * rows + row) * kPanelRows, values + row * stride + panel * kPanelRows,
                  kPanelRows * sizeof(float));
    }
  }

  using kernels::DenseFormat;
  const kernels::DenseWeights key_weights{DenseFormat::kF32, rows, d, reinterpret_cast<const std::byte*>(key_panels)};
  const kernels::DenseWeights value_weights{DenseFormat::kF32, d, rows,
                                            reinterpret_cast<const std::byte*>(value_panels)};
  float* queries = q + offset;
  for (int64_t row = 0; row < rows; ++row) kernels_.scale(queries + row * stride, attention_.scale, d);
  for (int64_t first = 0; first < rows; first += kQueryBlock) {
    const int64_t count = std::min(kQueryBlock, rows - first);
    kernels_.matmul_dense(key_weights, 0, RoundUp(rows, kPanelRows) / kPanelRows, queries + first * stride, stride,
                          count, scores, rows, false);
    for (int64_t i = 0; i < count; ++i) kernels_.softmax(scores + i * rows, rows);
    kernels_.matmul_dense(value_weights, 0, d / kPanelRows, scores, rows, count, out + offset + first * stride, stride,
                          false);
  }
}

}  // namespace kvasir::ops
