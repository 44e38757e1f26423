// A model of a few kilobytes with random weights, for tests that need a whole engine but no meaning.
#pragma once

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/rng.h"
#include "files/gguf_writer.h"

namespace kvasir::model {

/// What to write. The defaults make a Gemma 3 whose local layers see 16 tokens, so that short prompts cross windows and
/// pages.
struct TinyModel {
  std::string architecture = "gemma3";
  uint32_t layers = 7;
  uint32_t embedding = 64;
  uint32_t feed_forward = 96;
  uint32_t heads = 4;
  uint32_t kv_heads = 2;
  uint32_t head_dim = 16;
  uint32_t window = 16;
  uint32_t context = 1024;
  tensor::DType dtype = tensor::DType::kQ8_0;

  static constexpr int64_t kVocabulary = 259;  // three special tokens and the bytes

  /// The header alone, for tests that spoil it before they write it.
  [[nodiscard]] files::GgufHeader Header() const;
  /// Writes `header` with random weights to a fresh file under the test's temporary directory; returns its path.
  [[nodiscard]] static std::string Write(const files::GgufHeader& header, const std::string& name);
  [[nodiscard]] std::string Write(const std::string& name) const { return Write(Header(), name); }

 private:
  void AddVocabulary(files::GgufHeader& header) const;
};

inline void TinyModel::AddVocabulary(files::GgufHeader& header) const {
  std::vector<std::string> texts = {"<unk>", "<bos>", "<eos>"};
  std::vector<int32_t> types = {2, 3, 3};
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (size_t byte = 0; byte < 256; ++byte) {
    texts.push_back({'<', '0', 'x', kHex[byte / 16], kHex[byte % 16], '>'});
    types.push_back(6);
  }
  const std::vector<std::string_view> tokens(texts.begin(), texts.end());
  const std::vector<float> scores(texts.size(), 0.0F);
  header.SetString("tokenizer.ggml.model", "llama");
  header.SetStrings("tokenizer.ggml.tokens", tokens);
  header.SetArray<float>("tokenizer.ggml.scores", scores);
  header.SetArray<int32_t>("tokenizer.ggml.token_type", types);
  header.Set<uint32_t>("tokenizer.ggml.unknown_token_id", 0);
  header.Set<uint32_t>("tokenizer.ggml.bos_token_id", 1);
  header.Set<uint32_t>("tokenizer.ggml.eos_token_id", 2);
  header.Set("tokenizer.ggml.add_bos_token", true);
  header.Set("tokenizer.ggml.add_space_prefix", false);
}

inline files::GgufHeader TinyModel::Header() const {
  files::GgufHeader header;
  const auto set = [&](const std::string& key, uint32_t value) {
    header.Set<uint32_t>(architecture + "." + key, value);
  };
  header.SetString("general.architecture", architecture);
  header.SetString("general.name", "tiny");
  set("block_count", layers);
  set("embedding_length", embedding);
  set("feed_forward_length", feed_forward);
  set("context_length", context);
  set("attention.head_count", heads);
  set("attention.head_count_kv", kv_heads);
  set("attention.key_length", head_dim);
  set("attention.value_length", head_dim);
  if (window > 0) set("attention.sliding_window", window);
  header.Set<float>(architecture + ".attention.layer_norm_rms_epsilon", 1e-6F);
  AddVocabulary(header);

  const auto matrix = [&](const std::string& name, int64_t k, int64_t n) {
    header.AddTensor(name, dtype, std::vector<int64_t>{k, n});
  };
  const auto vector = [&](const std::string& name, int64_t n) {
    header.AddTensor(name, tensor::DType::kF32, std::vector<int64_t>{n});
  };
  const int64_t q = int64_t{heads} * head_dim;
  const int64_t kv = int64_t{kv_heads} * head_dim;
  matrix("token_embd.weight", embedding, kVocabulary);
  vector("output_norm.weight", embedding);
  for (uint32_t l = 0; l < layers; ++l) {
    const std::string block = "blk." + std::to_string(l) + ".";
    vector(block + "attn_norm.weight", embedding);
    matrix(block + "attn_q.weight", embedding, q);
    matrix(block + "attn_k.weight", embedding, kv);
    matrix(block + "attn_v.weight", embedding, kv);
    matrix(block + "attn_output.weight", q, embedding);
    vector(block + "ffn_norm.weight", embedding);
    matrix(block + "ffn_gate.weight", embedding, feed_forward);
    matrix(block + "ffn_up.weight", embedding, feed_forward);
    matrix(block + "ffn_down.weight", feed_forward, embedding);
    if (architecture != "gemma3") continue;
    vector(block + "attn_q_norm.weight", head_dim);
    vector(block + "attn_k_norm.weight", head_dim);
    vector(block + "post_attention_norm.weight", embedding);
    vector(block + "post_ffw_norm.weight", embedding);
  }
  return header;
}

inline std::string TinyModel::Write(const files::GgufHeader& header, const std::string& name) {
  const std::string path = (std::filesystem::temp_directory_path() / ("kvasir-tiny-" + name + ".gguf")).string();
  auto writer = files::GgufWriter::Create(path, header);
  KV_CHECK(writer.has_value());
  uint64_t drawn = 0;
  for (const files::GgufHeader::Tensor& tensor : header.tensors()) {
    int64_t elements = 1;
    for (const int64_t size : tensor.shape) elements *= size;
    std::vector<std::byte> bytes(tensor::ValidRowBytes(tensor.dtype, tensor.shape[0]) *
                                 static_cast<size_t>(elements / tensor.shape[0]));
    if (tensor.dtype == tensor::DType::kF32) {  // norms around 1
      for (int64_t i = 0; i < elements; ++i) {
        const float value = 0.5F + static_cast<float>(base::RandomUniform(7, drawn++));
        std::memcpy(bytes.data() + i * 4, &value, 4);
      }
    } else {  // Q8_0: a scale of about 1/127 of 0.25 and random codes
      for (size_t block = 0; block < bytes.size(); block += 34) {
        const uint16_t scale = 0x1800;
        std::memcpy(bytes.data() + block, &scale, 2);
        for (size_t i = 2; i < 34; ++i) bytes[block + i] = static_cast<std::byte>(base::RandomBits(7, drawn++));
      }
    }
    KV_CHECK(writer->Append(bytes).has_value());
  }
  KV_CHECK(writer->Commit().has_value());
  return path;
}

}  // namespace kvasir::model
