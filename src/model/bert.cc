// The forward pass of BERT (Devlin et al., 2019), as the sentence encoders made of it run it.
//
// Unlike the decoders of this room it needs no cache: every token sees every other, so a text is computed once and as a
// whole. Tokens, their positions and the one text's type are looked up and added; each layer is attention and then a
// two-layer network, and each of the two adds to its input and is normed afterwards ("post-norm"). Weights are few (a
// MiniLM has 10 million in its layers), so they are kept as dense panels in the precision of the file and multiplied
// in f32: the vectors are compared with published ones, and there is no bandwidth to be saved. Texts of a batch lie one
// after the other without padding; only attention knows where one ends.
#include "model/bert.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "tensor/dequantize.h"

namespace kvasir::model {
namespace {

// Finds tensors by BERT's names, which some files begin with "bert.".
class BertTensors {
 public:
  explicit BertTensors(const files::SafetensorsFile& file)
      : file_(file), prefix_(file.FindTensor("embeddings.word_embeddings.weight") == nullptr ? "bert." : "") {}

  Result<tensor::TensorView> Matrix(const std::string& name, int64_t k, int64_t n) const {
    KV_ASSIGN(const tensor::TensorView view, file_.GetTensor(prefix_ + name));
    if (view.row_elements() != k || view.rows() != n) {
      return Fail(ErrorCode::kCorrupt, fmt::format("{}: tensor {} is [{} x {}]; config.json wants [{} x {}]",
                                                   file_.path(), view.name, view.row_elements(), view.rows(), k, n));
    }
    if (!tensor::Traits(view.dtype).dequantisable) {
      return Fail(ErrorCode::kUnsupported, fmt::format("{}: tensor {} has type {}, which Kvasir cannot compute with",
                                                       file_.path(), view.name, tensor::DTypeName(view.dtype)));
    }
    return view;
  }
  Result<std::vector<float>> Vector(const std::string& name, int64_t n) const {
    KV_ASSIGN(const tensor::TensorView view, Matrix(name, n, 1));
    std::vector<float> values(static_cast<size_t>(n));
    tensor::DequantizeRow(view.dtype, view.data, values.data(), n);
    return values;
  }
  Result<ops::Weight> Linear(const std::string& name, int64_t k, int64_t n, base::ThreadPool& pool) const {
    KV_ASSIGN(const tensor::TensorView view, Matrix(name + ".weight", k, n));
    KV_ASSIGN(ops::Weight weight, ops::Weight::Pack(view, pool));
    KV_ASSIGN(std::vector<float> bias, Vector(name + ".bias", n));
    weight.set_bias(std::move(bias));
    return weight;
  }
  Status Norm(const std::string& name, int64_t n, std::vector<float>& weight, std::vector<float>& bias) const {
    KV_ASSIGN(weight, Vector(name + ".weight", n));
    KV_ASSIGN(bias, Vector(name + ".bias", n));
    return {};
  }

 private:
  const files::SafetensorsFile& file_;
  std::string prefix_;
};

Result<BertLayer> LoadLayer(const BertTensors& tensors, const BertConfig& config, int index, base::ThreadPool& pool) {
  const std::string layer = fmt::format("encoder.layer.{}.", index);
  const int e = config.embedding;
  const int f = config.feed_forward;
  BertLayer w;
  KV_ASSIGN(w.q, tensors.Linear(layer + "attention.self.query", e, e, pool));
  KV_ASSIGN(w.k, tensors.Linear(layer + "attention.self.key", e, e, pool));
  KV_ASSIGN(w.v, tensors.Linear(layer + "attention.self.value", e, e, pool));
  KV_ASSIGN(w.o, tensors.Linear(layer + "attention.output.dense", e, e, pool));
  KV_TRY(tensors.Norm(layer + "attention.output.LayerNorm", e, w.attention_norm, w.attention_norm_bias));
  KV_ASSIGN(w.up, tensors.Linear(layer + "intermediate.dense", e, f, pool));
  KV_ASSIGN(w.down, tensors.Linear(layer + "output.dense", f, e, pool));
  KV_TRY(tensors.Norm(layer + "output.LayerNorm", e, w.output_norm, w.output_norm_bias));
  return w;
}

}  // namespace

Result<std::unique_ptr<BertEncoder>> BertEncoder::Load(const files::SafetensorsFile& file, const BertConfig& config,
                                                       base::ThreadPool& pool, int max_rows) {
  std::unique_ptr<BertEncoder> encoder(new BertEncoder(config, max_rows));
  KV_TRY(encoder->LoadWeights(file, pool));
  KV_TRY(encoder->Allocate(pool));
  return encoder;
}

Status BertEncoder::LoadWeights(const files::SafetensorsFile& file, base::ThreadPool& pool) {
  const BertTensors tensors(file);
  const int e = config_.embedding;
  KV_ASSIGN(token_embedding_, tensors.Matrix("embeddings.word_embeddings.weight", e, config_.vocabulary));
  KV_ASSIGN(position_embedding_, tensors.Matrix("embeddings.position_embeddings.weight", e, config_.max_positions));
  KV_ASSIGN(const tensor::TensorView types,
            tensors.Matrix("embeddings.token_type_embeddings.weight", e, config_.token_types));
  type_embedding_.resize(static_cast<size_t>(e));
  tensor::DequantizeRow(types.dtype, types.data, type_embedding_.data(), e);
  KV_TRY(tensors.Norm("embeddings.LayerNorm", e, embedding_norm_, embedding_norm_bias_));
  for (int l = 0; l < config_.layers; ++l) {
    KV_ASSIGN(BertLayer layer, LoadLayer(tensors, config_, l, pool));
    layers_.push_back(std::move(layer));
  }
  return {};
}

Status BertEncoder::Allocate(base::ThreadPool& pool) {
  pool_ = &pool;
  const auto rows = static_cast<size_t>(max_rows_);
  const auto e = static_cast<size_t>(config_.embedding);
  const auto f = static_cast<size_t>(config_.feed_forward);
  KV_ASSIGN(arena_, base::AlignedBuffer::Create(rows * (5 * e + f) * sizeof(float)));
  auto* next = reinterpret_cast<float*>(arena_.data());
  for (float** buffer : {&x_, &q_, &k_, &v_, &attention_}) *buffer = std::exchange(next, next + rows * e);
  hidden_ = next;
  const int64_t max_k = std::max(config_.embedding, config_.feed_forward);
  KV_ASSIGN(products_, ops::Operators::Create(pool, {.max_rows = max_rows_, .max_k = max_k}));
  const float scale = 1.0F / std::sqrt(static_cast<float>(config_.head_dim()));
  KV_ASSIGN(ops_,
            ops::EncoderOperators::Create(pool, std::min(max_rows_, config_.max_positions),
                                          {.heads = config_.heads, .head_dim = config_.head_dim(), .scale = scale}));
  return {};
}

Result<const float*> BertEncoder::Encode(std::span<const int32_t> tokens, std::span<const int32_t> lengths,
                                         const std::atomic<bool>* cancel) {
  KV_CHECK(tokens.size() <= static_cast<size_t>(max_rows_));
  texts_.clear();
  positions_.clear();
  for (const int32_t length : lengths) {
    KV_CHECK(length > 0 && length <= config_.max_positions);
    texts_.push_back({.first_row = static_cast<int64_t>(positions_.size()), .num_rows = length});
    for (int32_t position = 0; position < length; ++position) positions_.push_back(position);
  }
  KV_CHECK(positions_.size() == tokens.size());
  Embed(tokens);
  for (const BertLayer& layer : layers_) {
    if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) {
      return Fail(ErrorCode::kCancelled, "the request was cancelled");
    }
    RunLayer(layer, static_cast<int64_t>(tokens.size()));
  }
  return x_;
}

void BertEncoder::Embed(std::span<const int32_t> tokens) {
  const int64_t e = config_.embedding;
  const auto rows = static_cast<int64_t>(tokens.size());
  pool_->For(rows, 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t b = begin; b < end; ++b) {
      float* x = x_ + b * e;
      float* position = q_ + b * e;  // not used yet
      const auto row = static_cast<size_t>(b);
      tensor::DequantizeRow(token_embedding_.dtype, token_embedding_.row(tokens[row]), x, e);
      tensor::DequantizeRow(position_embedding_.dtype, position_embedding_.row(positions_[row]), position, e);
      for (int64_t i = 0; i < e; ++i) x[i] += position[i] + type_embedding_[static_cast<size_t>(i)];
    }
  });
  ops_->LayerNorm(x_, rows, embedding_norm_, embedding_norm_bias_, config_.layer_norm_eps);
}

void BertEncoder::RunLayer(const BertLayer& w, int64_t rows) {
  const int64_t e = config_.embedding;
  const int64_t f = config_.feed_forward;
  constexpr auto kF32 = ops::Precision::kF32;

  products_->Project(products_->Quantize(x_, rows, e, kF32), {{&w.q, q_}, {&w.k, k_}, {&w.v, v_}});
  ops_->Attend(texts_, q_, k_, v_, attention_);
  products_->ProjectAdd(products_->Quantize(attention_, rows, e, kF32), w.o, x_);
  ops_->LayerNorm(x_, rows, w.attention_norm, w.attention_norm_bias, config_.layer_norm_eps);

  products_->Project(products_->Quantize(x_, rows, e, kF32), {{&w.up, hidden_}});
  ops_->Gelu(hidden_, rows, f);
  products_->ProjectAdd(products_->Quantize(hidden_, rows, f, kF32), w.down, x_);
  ops_->LayerNorm(x_, rows, w.output_norm, w.output_norm_bias, config_.layer_norm_eps);
}

size_t BertEncoder::memory_bytes() const {
  size_t bytes = arena_.size() + products_->workspace_bytes() + ops_->workspace_bytes();
  for (const BertLayer& w : layers_) {
    for (const ops::Weight* weight : {&w.q, &w.k, &w.v, &w.o, &w.up, &w.down}) bytes += weight->owned_bytes();
  }
  return bytes;
}

int64_t BertEncoder::macs_per_token() const {
  int64_t macs = 0;
  for (const BertLayer& w : layers_) {
    for (const ops::Weight* weight : {&w.q, &w.k, &w.v, &w.o, &w.up, &w.down}) macs += weight->n() * weight->k();
  }
  return macs;
}

}  // namespace kvasir::model
