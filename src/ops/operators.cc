#include "ops/operators.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "tensor/dequantize.h"

namespace kvasir::ops {
namespace {

using kernels::kBlockK;
using kernels::kPanelRows;

// Up to this many rows a product is bound by reading the weights: long contiguous pieces stream best, and where all is
// read in some microseconds, one even share per thread. Above it the arithmetic counts.
constexpr int64_t kStreamingRows = 16;
constexpr size_t kEvenShares = size_t{1} << 20;      // bytes of weights
constexpr int64_t kStreamPiece = int64_t{64} << 10;  // bytes of weights
constexpr int64_t kPanelGrain = 4;                   // panels that the kernels keep in flight
constexpr int64_t kPanelPiece = 2;                   // panels a thread takes at least: a block of the next product's K
constexpr int64_t kGatePanels = 8;                   // panels of a gate taken at once, at least, ...
constexpr int64_t kGateOutputs = int64_t{16} << 10;  // ... and so many outputs: in the cache until they are quantised
constexpr int64_t kSerialElements = 4096;            // less elementwise work than this is not worth waking a thread for

}  // namespace

Operators::Operators(base::ThreadPool& pool, const OperatorLimits& limits)
    : kernels_(kernels::TableOf(kernels::ChosenIsa())), pool_(pool), limits_(limits) {
  limits_.max_k = (limits.max_k + 63) / 64 * 64;
}

Result<std::unique_ptr<Operators>> Operators::Create(base::ThreadPool& pool, const OperatorLimits& limits) {
  std::unique_ptr<Operators> operators(new Operators(pool, limits));
  KV_TRY(operators->Allocate());
  return operators;
}

Status Operators::Allocate() {
  const auto max_k = static_cast<size_t>(limits_.max_k);
  const size_t elements = static_cast<size_t>(limits_.max_rows) * max_k;
  KV_ASSIGN(normed_, base::AlignedBuffer::Create(elements * sizeof(float)));
  for (CodeStorage* storage : {&codes_, &gated_codes_}) {
    KV_ASSIGN(storage->codes, base::AlignedBuffer::Create(elements * 2));
    KV_ASSIGN(storage->scales, base::AlignedBuffer::Create(elements / 32 * sizeof(float)));
    KV_ASSIGN(storage->sums, base::AlignedBuffer::Create(elements / 16 * sizeof(int32_t)));
  }
  const int64_t gate_outputs = std::max(kGateOutputs, limits_.max_rows * kGatePanels * kPanelRows);
  const size_t gate_bytes = 2 * static_cast<size_t>(gate_outputs) * sizeof(float);
  for (int thread = 0; thread < pool_.size(); ++thread) {
    KV_ASSIGN(base::AlignedBuffer scratch, base::AlignedBuffer::Create(kernels::kMatmulScratchBytes));
    matmul_scratch_.push_back(std::move(scratch));
    KV_ASSIGN(base::AlignedBuffer gate, base::AlignedBuffer::Create(gate_bytes));
    gate_scratch_.push_back(std::move(gate));
    if (!limits_.source_weights) continue;
    KV_ASSIGN(base::AlignedBuffer panel, base::AlignedBuffer::Create(2 * kPanelRows * max_k * sizeof(float)));
    panel_scratch_.push_back(std::move(panel));
  }
  attend_scratch_.resize(static_cast<size_t>(pool_.size()));
  return {};
}

size_t Operators::workspace_bytes() const {
  size_t bytes = normed_.size();
  for (const CodeStorage* s : {&codes_, &gated_codes_}) bytes += s->codes.size() + s->scales.size() + s->sums.size();
  for (const auto& scratch : matmul_scratch_) bytes += scratch.size();
  for (const auto& scratch : gate_scratch_) bytes += scratch.size();
  for (const auto& scratch : panel_scratch_) bytes += scratch.size();
  for (const auto& scratch : attend_scratch_) bytes += scratch.capacity() * sizeof(float);
  return bytes + partials_.capacity() * sizeof(float);
}

void Operators::Softcap(float* x, float cap, int64_t rows, int64_t n) {
  if (cap == 0) return;
  pool_.For(rows, 1, [&](int64_t begin, int64_t end, int) { kernels_.softcap(x + begin * n, cap, (end - begin) * n); });
}

void Operators::BeginStep(const Batch& batch, std::span<const RopeSpec> ropes) {
  KV_CHECK(batch.rows() <= limits_.max_rows);
  ropes_.resize(ropes.size());
  for (size_t i = 0; i < ropes.size(); ++i) {
    const size_t values = batch.positions.size() * ropes[i].frequencies.size();
    ropes_[i].n_rot = ropes[i].n_rot();
    ropes_[i].neox = ropes[i].neox;
    ropes_[i].cos.resize(values);
    ropes_[i].sin.resize(values);
    RopeTables(ropes[i], batch.positions, ropes_[i].cos.data(), ropes_[i].sin.data());
  }
}

void Operators::Embed(const tensor::TensorView& embedding, std::span<const int32_t> tokens, float scale, float* x) {
  const int64_t e = embedding.row_elements();
  pool_.For(static_cast<int64_t>(tokens.size()), 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; ++b) {
      tensor::DequantizeRow(embedding.dtype, embedding.row(tokens[static_cast<size_t>(b)]), x + b * e, e);
      if (scale != 1.0F) kernels_.scale(x + b * e, scale, e);
    }
  });
}

Activation Operators::Quantised(CodeStorage& storage, int64_t rows, int64_t k, Precision precision) {
  Activation activation{.f32 = nullptr, .rows = rows, .k = k, .quantised = true, .q = {}};
  activation.q = {.rows = rows,
                  .k = k,
                  .planes = precision == Precision::k15Bit ? 2 : 1,
                  .codes = reinterpret_cast<int8_t*>(storage.codes.data()),
                  .scales = reinterpret_cast<float*>(storage.scales.data()),
                  .sums = reinterpret_cast<int32_t*>(storage.sums.data())};
  return activation;
}

// Calls `fn(begin, end)` for whole groups of rows, whose codes lie in the same cache lines: two threads that wrote them
// would take the lines from each other.
template <typename F>
void Operators::ForRows(int64_t rows, int64_t k, F&& fn) {
  KV_CHECK(rows <= limits_.max_rows && k <= limits_.max_k);
  const int64_t grain = rows * k < kSerialElements ? rows : kernels::kRowGroup;
  pool_.For(rows, grain, [&](int64_t begin, int64_t end, int) {
    for (int64_t first = begin; first < end; first += kernels::kRowGroup) {
      fn(first, std::min(end, first + kernels::kRowGroup));
    }
  });
}

Activation Operators::Normalize(const float* x, int64_t rows, std::span<const float> weight, float eps,
                                Precision precision) {
  const auto k = static_cast<int64_t>(weight.size());
  auto* normed = reinterpret_cast<float*>(normed_.data());
  Activation activation{.f32 = normed, .rows = rows, .k = k, .quantised = false, .q = {}};
  if (precision != Precision::kF32) activation = Quantised(codes_, rows, k, precision);
  activation.f32 = normed;
  ForRows(rows, k, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) kernels_.rms_norm(x + b * k, weight.data(), k, eps, normed + b * k);
    if (activation.quantised) kernels_.quantize_rows(normed, k, begin, end, 0, k / kBlockK, activation.q);
  });
  return activation;
}

Activation Operators::Quantize(const float* x, int64_t rows, int64_t k, Precision precision) {
  if (precision == Precision::kF32) return {.f32 = x, .rows = rows, .k = k, .quantised = false, .q = {}};
  Activation activation = Quantised(codes_, rows, k, precision);
  activation.f32 = x;
  ForRows(rows, k,
          [&](int64_t begin, int64_t end) { kernels_.quantize_rows(x, k, begin, end, 0, k / kBlockK, activation.q); });
  return activation;
}

void Operators::AddNormalized(float* x, const float* y, int64_t rows, std::span<const float> weight, float eps) {
  const auto k = static_cast<int64_t>(weight.size());
  auto* normed = reinterpret_cast<float*>(normed_.data());
  ForRows(rows, k, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      kernels_.rms_norm(y + b * k, weight.data(), k, eps, normed + b * k);
      kernels_.add(x + b * k, normed + b * k, k);
    }
  });
}

// -- Products ------------------------------------------------------------------------------------------------------

template <typename F>
void Operators::ForPanels(int64_t rows, int64_t panels, size_t bytes, F&& fn) {
  if (rows > kStreamingRows) return pool_.ForDynamic(panels, kPanelPiece, fn);
  if (bytes < kEvenShares) return pool_.For(panels, kPanelPiece, fn);
  const auto panel_bytes = static_cast<int64_t>(bytes) / panels;
  pool_.ForDynamic(panels, (kStreamPiece / panel_bytes + kPanelGrain) / kPanelGrain * kPanelGrain, fn);
}

void Operators::Multiply(const Activation& activation, const Weight& weight, int64_t panel_begin, int64_t panel_end,
                         float* out, int64_t out_stride, bool accumulate, int thread) {
  switch (weight.form()) {
    case WeightForm::kPacked:
      KV_CHECK(activation.quantised);
      kernels_.matmul_quantized(weight.packed(), panel_begin, panel_end, activation.q, out, out_stride, accumulate,
                                matmul_scratch_[static_cast<size_t>(thread)].data());
      break;
    case WeightForm::kDense:
      kernels_.matmul_dense(weight.dense(), panel_begin, panel_end, activation.f32, activation.k, activation.rows, out,
                            out_stride, accumulate);
      break;
    case WeightForm::kSource:
      for (int64_t panel = panel_begin; panel < panel_end; ++panel) {
        MultiplySource(activation, weight, panel, out, out_stride, accumulate, thread);
      }
      break;
  }
  if (weight.bias().empty()) return;
  const int64_t first = panel_begin * kPanelRows;
  const int64_t last = std::min(panel_end * kPanelRows, weight.n());
  for (int64_t b = 0; b < activation.rows; ++b) {
    kernels_.add(out + b * out_stride + first, weight.bias().data() + first, last - first);
  }
}

void Operators::MultiplySource(const Activation& activation, const Weight& weight, int64_t panel, float* out,
                               int64_t out_stride, bool accumulate, int thread) {
  base::AlignedBuffer& scratch = panel_scratch_[static_cast<size_t>(thread)];
  const int64_t k = weight.k();
  const int64_t rows = std::min<int64_t>(kPanelRows, weight.n() - panel * kPanelRows);
  auto* dequantised = reinterpret_cast<float*>(scratch.data());
  float* panel_data = dequantised + kPanelRows * k;
  if (rows < kPanelRows) std::fill(dequantised, panel_data, 0.0F);
  for (int64_t row = 0; row < rows; ++row) {
    tensor::DequantizeRow(weight.source().dtype, weight.source().row(panel * kPanelRows + row), dequantised + row * k,
                          k);
  }
  kernels_.interleave_panel(dequantised, k, k, panel_data);
  const kernels::DenseWeights dense{kernels::DenseFormat::kF32, rows, k,
                                    reinterpret_cast<const std::byte*>(panel_data)};
  kernels_.matmul_dense(dense, 0, 1, activation.f32, activation.k, activation.rows, out + panel * kPanelRows,
                        out_stride, accumulate);
}

void Operators::Project(const Activation& activation, std::initializer_list<Projection> projections) {
  int64_t panels = 0;
  size_t bytes = 0;
  for (const Projection& projection : projections) {
    KV_CHECK(projection.weight->k() == activation.k);
    panels += projection.weight->panels();
    bytes += projection.weight->bytes();
  }
  // The panels of all weights, one after the other, are one range; a share of it may touch several weights.
  ForPanels(activation.rows, panels, bytes, [&](int64_t begin, int64_t end, int thread) {
    int64_t first = 0;
    for (const Projection& projection : projections) {
      const int64_t last = first + projection.weight->panels();
      const int64_t from = std::max(begin, first);
      const int64_t to = std::min(end, last);
      if (from < to)
        Multiply(activation, *projection.weight, from - first, to - first, projection.out, projection.weight->n(),
                 false, thread);
      first = last;
    }
  });
}

void Operators::ProjectAdd(const Activation& activation, const Weight& weight, float* x) {
  KV_CHECK(weight.k() == activation.k);
  ForPanels(activation.rows, weight.panels(), weight.bytes(), [&](int64_t begin, int64_t end, int thread) {
    Multiply(activation, weight, begin, end, x, weight.n(), true, thread);
  });
}

Activation Operators::GatedProject(const Activation& activation, const Weight& gate, const Weight& up,
                                   GateFunction function, const Weight& next, Precision precision, float* out,
                                   float* scratch) {
  KV_CHECK(gate.n() == up.n() && gate.k() == activation.k && up.k() == activation.k && next.k() == gate.n());
  const int64_t n = gate.n();
  const Combine combine = function == GateFunction::kSilu ? kernels_.silu_mul : kernels_.gelu_mul;
  if (next.form() == WeightForm::kPacked && precision != Precision::kF32) {
    const Activation gated = Quantised(gated_codes_, activation.rows, n, precision);
    const int64_t at_once =
        std::max(kGatePanels, kGateOutputs / (activation.rows * kPanelRows) / kGatePanels * kGatePanels);
    ForPanels(activation.rows, gate.panels(), gate.bytes() + up.bytes(), [&](int64_t begin, int64_t end, int thread) {
      for (int64_t first = begin; first < end; first += at_once) {
        GatePiece(activation, gate, up, combine, first, std::min(end, first + at_once), thread, gated);
      }
    });
    return gated;
  }
  ForPanels(activation.rows, gate.panels(), gate.bytes() + up.bytes(), [&](int64_t begin, int64_t end, int thread) {
    Multiply(activation, gate, begin, end, out, n, false, thread);
    Multiply(activation, up, begin, end, scratch, n, false, thread);
    const int64_t first = begin * kPanelRows;
    const int64_t last = std::min(end * kPanelRows, n);
    for (int64_t b = 0; b < activation.rows; ++b) combine(out + b * n + first, scratch + b * n + first, last - first);
  });
  return {.f32 = out, .rows = activation.rows, .k = n, .quantised = false, .q = {}};
}

// A few panels of gate and up at a time, so that their outputs are combined and quantised while they are in the cache
// and never written to memory as floats.
void Operators::GatePiece(const Activation& activation, const Weight& gate, const Weight& up, Combine combine,
                          int64_t begin, int64_t end, int thread, const Activation& out) {
  const int64_t first = begin * kPanelRows;
  const int64_t width = (end - begin) * kPanelRows;
  const int64_t used = std::min(end * kPanelRows, gate.n()) - first;
  auto* gates = reinterpret_cast<float*>(gate_scratch_[static_cast<size_t>(thread)].data());
  float* ups = gates + activation.rows * width;
  // Products write feature i of a row at out[i], so the scratch seems to begin where feature 0 would be.
  Multiply(activation, gate, begin, end, gates - first, width, false, thread);
  Multiply(activation, up, begin, end, ups - first, width, false, thread);
  for (int64_t b = 0; b < activation.rows; ++b) combine(gates + b * width, ups + b * width, used);
  kernels_.quantize_rows(gates, width, 0, activation.rows, first / kBlockK, (first + used) / kBlockK, out.q);
}

}  // namespace kvasir::ops
