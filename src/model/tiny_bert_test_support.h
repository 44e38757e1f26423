// The folder of an encoder of a few kilobytes with random weights, for tests that need a whole one but no meaning.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"

namespace kvasir::model {

/// What to write; change members before Write.
struct TinyBert {
  int layers = 2;
  int heads = 2;
  int embedding = 32;
  int feed_forward = 48;
  int max_positions = 40;
  std::string act = "gelu";
  std::string prefix;  // of tensors' names
  std::string modules =
      R"([{"type": "sentence_transformers.models.Transformer", "path": ""},
          {"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},
          {"type": "sentence_transformers.models.Normalize", "path": "2_Normalize"}])";
  std::string pooling =
      R"({"word_embedding_dimension": 32, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true})";
  std::string recipe = R"({"max_seq_length": 24, "do_lower_case": false})";
  std::string left_out;  // a tensor that is not written

  static constexpr std::string_view kVocabulary =
      "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\n##a\n##b\n##c\none\ntwo\nthree\n.\n,\n";
  static constexpr int kTokens = 16;

  struct Tensor {
    std::vector<int64_t> shape;  // contiguous dimension last
    std::vector<float> values;
  };

  /// All tensors by name: norms around 1, everything else small and around 0.
  [[nodiscard]] std::map<std::string, Tensor> Tensors() const {
    std::map<std::string, Tensor> tensors;
    const auto add = [&](const std::string& name, std::vector<int64_t> shape, double middle, double spread) {
      Tensor tensor{.shape = std::move(shape), .values = {}};
      int64_t count = 1;
      for (const int64_t dim : tensor.shape) count *= dim;
      for (int64_t i = 0; i < count; ++i) {
        const double uniform = base::RandomUniform(tensors.size() + 1, static_cast<uint64_t>(i));
        tensor.values.push_back(static_cast<float>(middle + spread * (2 * uniform - 1)));
      }
      tensors[prefix + name] = std::move(tensor);
    };
    const auto linear = [&](const std::string& name, int64_t k, int64_t n) {
      add(name + ".weight", {n, k}, 0, 0.3);
      add(name + ".bias", {n}, 0, 0.2);
    };
    const auto norm = [&](const std::string& name) {
      add(name + ".weight", {embedding}, 1, 0.3);
      add(name + ".bias", {embedding}, 0, 0.2);
    };
    add("embeddings.word_embeddings.weight", {kTokens, embedding}, 0, 1);
    add("embeddings.position_embeddings.weight", {max_positions, embedding}, 0, 0.3);
    add("embeddings.token_type_embeddings.weight", {2, embedding}, 0, 0.3);
    norm("embeddings.LayerNorm");
    for (int l = 0; l < layers; ++l) {
      const std::string layer = "encoder.layer." + std::to_string(l) + ".";
      for (const char* part : {"query", "key", "value"}) linear(layer + "attention.self." + part, embedding, embedding);
      linear(layer + "attention.output.dense", embedding, embedding);
      norm(layer + "attention.output.LayerNorm");
      linear(layer + "intermediate.dense", embedding, feed_forward);
      linear(layer + "output.dense", feed_forward, embedding);
      norm(layer + "output.LayerNorm");
    }
    return tensors;
  }

  [[nodiscard]] std::string Config() const {
    return R"({"model_type": "bert", "hidden_act": ")" + act + R"(", "layer_norm_eps": 1e-12, "type_vocab_size": 2)" +
           ", \"num_hidden_layers\": " + std::to_string(layers) +
           ", \"num_attention_heads\": " + std::to_string(heads) + ", \"hidden_size\": " + std::to_string(embedding) +
           ", \"intermediate_size\": " + std::to_string(feed_forward) + ", \"vocab_size\": " + std::to_string(kTokens) +
           ", \"max_position_embeddings\": " + std::to_string(max_positions) + "}";
  }

  /// Writes the folder afresh under the test's temporary directory; returns its path.
  [[nodiscard]] std::string Write(const std::string& name) const {
    namespace fs = std::filesystem;
    const fs::path folder = fs::temp_directory_path() / ("kvasir-tiny-bert-" + name);
    fs::remove_all(folder);
    fs::create_directories(folder / "1_Pooling");
    const auto write = [&](const char* file, std::string_view text) {
      if (!text.empty()) std::ofstream(folder / file, std::ios::binary) << text;
    };
    write("config.json", Config());
    write("vocab.txt", kVocabulary);
    write("modules.json", modules);
    write("1_Pooling/config.json", pooling);
    write("sentence_bert_config.json", recipe);
    std::string header = "{";
    std::string data;
    for (const auto& [tensor_name, tensor] : Tensors()) {
      if (tensor_name == left_out) continue;
      const size_t begin = data.size();
      data.append(reinterpret_cast<const char*>(tensor.values.data()), tensor.values.size() * sizeof(float));
      std::string shape;
      for (const int64_t dim : tensor.shape) shape += (shape.empty() ? "" : ",") + std::to_string(dim);
      header += fmt::format(R"({}"{}":{{"dtype":"F32","shape":[{}],"data_offsets":[{},{}]}})",
                            header.size() > 1 ? "," : "", tensor_name, shape, begin, data.size());
    }
    header += "}";
    uint64_t length = header.size();
    std::string whole(reinterpret_cast<const char*>(&length), sizeof length);
    write("model.safetensors", whole + header + data);
    return folder.string();
  }
};

}  // namespace kvasir::model
