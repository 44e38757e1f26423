#include "model/weight_loader.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "tensor/dequantize.h"

namespace kvasir::model {

namespace {

constexpr size_t kReadAheadBytes = size_t{64} << 20;

}  // namespace

bool IsWeight(const files::GgufFile& gguf, const tensor::TensorView& view) {
  return view.dims >= 2 && (view.name != "token_embd.weight" || gguf.FindTensor("output.weight") == nullptr);
}

size_t PackedWeightBytes(const files::GgufFile& gguf) {
  size_t bytes = 0;
  for (const tensor::TensorView& view : gguf.tensors()) {
    if (IsWeight(gguf, view)) bytes += ops::Weight::PackedBytes(view);
  }
  return bytes;
}

WeightLoader::WeightLoader(const files::GgufFile& gguf, bool exact, base::ThreadPool& pool, ops::WeightArena& arena,
                           std::function<void(const LoadProgress&)> on_progress)
    : gguf_(gguf), exact_(exact), pool_(pool), arena_(arena), on_progress_(std::move(on_progress)) {
  progress_.phase = exact || arena.filled() ? "binding weights" : "packing weights";
  for (const tensor::TensorView& view : gguf.tensors()) {
    if (IsWeight(gguf, view)) progress_.total_bytes += view.bytes;
  }
}

Result<tensor::TensorView> WeightLoader::Matrix(const std::string& name, int64_t k, int64_t n) const {
  KV_ASSIGN(const tensor::TensorView view, gguf_.GetTensor(name));
  if (view.row_elements() != k || view.rows() != n) {
    return Fail(ErrorCode::kCorrupt, fmt::format("tensor '{}' is [{} x {}]; the model's metadata want [{} x {}]", name,
                                                 view.row_elements(), view.rows(), k, n));
  }
  if (!tensor::Traits(view.dtype).dequantisable) {
    return Fail(ErrorCode::kUnsupported, fmt::format("tensor '{}' has type {}, which Kvasir cannot compute with", name,
                                                     tensor::DTypeName(view.dtype)));
  }
  return view;
}

Result<std::vector<float>> WeightLoader::Vector(const std::string& name, int64_t n) const {
  KV_ASSIGN(const tensor::TensorView view, Matrix(name, n, 1));
  std::vector<float> values(static_cast<size_t>(n));
  tensor::DequantizeRow(view.dtype, view.data, values.data(), n);
  return values;
}

Result<ops::Weight> WeightLoader::Linear(const std::string& name, int64_t k, int64_t n) {
  return LinearRows(name, k, n, 0, n);
}

Result<ops::Weight> WeightLoader::LinearRows(const std::string& name, int64_t k, int64_t n, int64_t begin,
                                             int64_t count) {
  KV_ASSIGN(const tensor::TensorView whole, Matrix(name + ".weight", k, n));
  KV_ASSIGN(ops::Weight weight, Make(ops::SliceRows(whole, begin, count)));
  if (gguf_.FindTensor(name + ".bias") != nullptr) {
    KV_ASSIGN(const std::vector<float> bias, Vector(name + ".bias", n));
    weight.set_bias({bias.begin() + begin, bias.begin() + begin + count});
  }
  return weight;
}

Result<ops::Weight> WeightLoader::Make(const tensor::TensorView& view) {
  if (exact_ || arena_.filled()) ReportDone(view.bytes);
  if (exact_) return ops::Weight::FromSource(view);
  return ops::Weight::Pack(view, pool_, {.arena = &arena_, .on_packed = [this](std::span<const std::byte> packed) {
                                           LeaveBehind(packed);
                                           ReportDone(packed.size());
                                         }});
}

void WeightLoader::ReportDone(size_t bytes) {
  progress_.done_bytes += bytes;
  if (on_progress_) on_progress_(progress_);
}

void WeightLoader::LeaveBehind(std::span<const std::byte> packed) const {
  for (const base::MmapFile& part : gguf_.parts()) {
    if (packed.data() < part.data() || packed.data() >= part.data() + part.size()) continue;
    const auto offset = static_cast<size_t>(packed.data() - part.data());
    part.Advise(base::MmapFile::Access::kDone, offset, packed.size());
    // Tensors are mostly loaded in the order of the file; where they are not, this is a hint in vain.
    part.Advise(base::MmapFile::Access::kWillNeed, offset + packed.size(), kReadAheadBytes);
  }
}

}  // namespace kvasir::model
