#include "model/bert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "model/tiny_bert_test_support.h"

namespace kvasir::model {
namespace {

using testing::HasSubstr;
using Matrix = std::vector<std::vector<double>>;

// The forward pass as the paper has it, row by row and in double, over the tensors as they were made.
class Definition {
 public:
  explicit Definition(const TinyBert& tiny) : tiny_(tiny), tensors_(tiny.Tensors()) {}

  Matrix Encode(const std::vector<int32_t>& tokens) const {
    Matrix x;
    for (size_t i = 0; i < tokens.size(); ++i) {
      std::vector<double> row(Size());
      for (size_t e = 0; e < Size(); ++e) {
        row[e] = At("embeddings.word_embeddings.weight", static_cast<size_t>(tokens[i]) * Size() + e) +
                 At("embeddings.position_embeddings.weight", i * Size() + e) +
                 At("embeddings.token_type_embeddings.weight", e);
      }
      x.push_back(Norm("embeddings.LayerNorm", row));
    }
    for (int l = 0; l < tiny_.layers; ++l) x = Layer("encoder.layer." + std::to_string(l) + ".", x);
    return x;
  }

 private:
  size_t Size() const { return static_cast<size_t>(tiny_.embedding); }
  double At(const std::string& name, size_t i) const { return tensors_.at(tiny_.prefix + name).values[i]; }

  std::vector<double> Norm(const std::string& name, const std::vector<double>& row) const {
    double mean = 0;
    double squares = 0;
    for (const double v : row) mean += v / static_cast<double>(row.size());
    for (const double v : row) squares += (v - mean) * (v - mean) / static_cast<double>(row.size());
    std::vector<double> out;
    for (size_t i = 0; i < row.size(); ++i) {
      out.push_back((row[i] - mean) / std::sqrt(squares + 1e-12) * At(name + ".weight", i) + At(name + ".bias", i));
    }
    return out;
  }

  std::vector<double> Linear(const std::string& name, const std::vector<double>& row) const {
    std::vector<double> out;
    const size_t n = tensors_.at(tiny_.prefix + name + ".bias").values.size();
    for (size_t i = 0; i < n; ++i) {
      out.push_back(At(name + ".bias", i));
      for (size_t k = 0; k < row.size(); ++k) out[i] += At(name + ".weight", i * row.size() + k) * row[k];
    }
    return out;
  }

  static std::vector<double> Sum(std::vector<double> a, const std::vector<double>& b) {
    for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
    return a;
  }

  std::vector<double> Attention(size_t row, const Matrix& q, const Matrix& k, const Matrix& v) const {
    const size_t d = Size() / static_cast<size_t>(tiny_.heads);
    std::vector<double> out(Size());
    for (size_t first = 0; first < Size(); first += d) {
      std::vector<double> weights;
      double sum = 0;
      for (const auto& key : k) {
        double score = 0;
        for (size_t i = first; i < first + d; ++i) score += q[row][i] * key[i];
        weights.push_back(std::exp(score / std::sqrt(static_cast<double>(d))));
        sum += weights.back();
      }
      for (size_t j = 0; j < v.size(); ++j) {
        for (size_t i = first; i < first + d; ++i) out[i] += weights[j] / sum * v[j][i];
      }
    }
    return out;
  }

  Matrix Layer(const std::string& name, const Matrix& x) const {
    Matrix q;
    Matrix k;
    Matrix v;
    for (const auto& row : x) {
      q.push_back(Linear(name + "attention.self.query", row));
      k.push_back(Linear(name + "attention.self.key", row));
      v.push_back(Linear(name + "attention.self.value", row));
    }
    Matrix out;
    for (size_t i = 0; i < x.size(); ++i) {
      const auto attended = Linear(name + "attention.output.dense", Attention(i, q, k, v));
      const auto normed = Norm(name + "attention.output.LayerNorm", Sum(x[i], attended));
      auto hidden = Linear(name + "intermediate.dense", normed);
      for (double& h : hidden) h = 0.5 * h * (1 + std::erf(h / std::sqrt(2.0)));
      out.push_back(Norm(name + "output.LayerNorm", Sum(normed, Linear(name + "output.dense", hidden))));
    }
    return out;
  }

  TinyBert tiny_;
  std::map<std::string, TinyBert::Tensor> tensors_;
};

class Loaded {
 public:
  Loaded(const TinyBert& tiny, const std::string& name, int threads)
      : pool_(threads), file_(files::SafetensorsFile::Open(tiny.Write(name) + "/model.safetensors")) {
    encoder_ = BertEncoder::Load(*file_, *ReadBertConfig(tiny.Config()), pool_, 128);
  }
  const Result<std::unique_ptr<BertEncoder>>& encoder() const { return encoder_; }

  std::vector<float> Encode(const std::vector<int32_t>& tokens, const std::vector<int32_t>& lengths) {
    const auto rows = (*encoder_)->Encode(tokens, lengths, nullptr);
    EXPECT_TRUE(rows);
    return {*rows, *rows + tokens.size() * static_cast<size_t>((*encoder_)->config().embedding)};
  }

 private:
  base::ThreadPool pool_;
  Result<files::SafetensorsFile> file_;
  Result<std::unique_ptr<BertEncoder>> encoder_;
};

TEST(BertEncoder, ComputesTheDefinition) {
  for (const char* prefix : {"", "bert."}) {
    TinyBert tiny;
    tiny.prefix = prefix;
    Loaded loaded(tiny, "definition", 2);
    ASSERT_TRUE(loaded.encoder()) << loaded.encoder().error().message;
    const std::vector<int32_t> tokens = {2, 5, 8, 9, 11, 14, 3, 7, 7, 6, 12, 13, 15, 10, 5, 5, 1, 4, 3};
    const Matrix expected = Definition(tiny).Encode(tokens);
    const std::vector<float> actual = loaded.Encode(tokens, {static_cast<int32_t>(tokens.size())});
    for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i / 32][i % 32], 2e-5) << i;
  }
}

TEST(BertEncoder, ATextDoesNotDependOnTheOthersOrOnThreads) {
  const TinyBert tiny;
  const std::vector<int32_t> first = {2, 5, 3};
  const std::vector<int32_t> second = {2, 11, 12, 13, 14, 3};
  std::vector<int32_t> both = first;
  both.insert(both.end(), second.begin(), second.end());
  Loaded one(tiny, "threads-1", 1);
  Loaded three(tiny, "threads-3", 3);
  std::vector<float> expected = one.Encode(first, {3});
  const std::vector<float> rest = one.Encode(second, {6});
  expected.insert(expected.end(), rest.begin(), rest.end());
  EXPECT_EQ(one.Encode(both, {3, 6}), expected);
  EXPECT_EQ(three.Encode(both, {3, 6}), expected);
}

TEST(BertEncoder, StopsWhenItIsCancelled) {
  const TinyBert tiny;
  Loaded loaded(tiny, "cancelled", 1);
  const std::atomic<bool> cancel = true;
  const auto rows = (*loaded.encoder())->Encode(std::vector<int32_t>{2, 3}, std::vector<int32_t>{2}, &cancel);
  EXPECT_EQ(rows.error().code, ErrorCode::kCancelled);
}

TEST(BertEncoder, TensorsMustBeThereAndFit) {
  TinyBert tiny;
  tiny.left_out = "encoder.layer.1.output.dense.bias";
  const Loaded without(tiny, "left-out", 1);
  EXPECT_EQ(without.encoder().error().code, ErrorCode::kNotFound);
  EXPECT_THAT(without.encoder().error().message, HasSubstr("encoder.layer.1.output.dense.bias"));

  const TinyBert small;
  TinyBert large;
  large.feed_forward = 64;
  base::ThreadPool pool(1);
  const auto file = files::SafetensorsFile::Open(small.Write("misshapen") + "/model.safetensors");
  const auto misshapen = BertEncoder::Load(*file, *ReadBertConfig(large.Config()), pool, 128);
  EXPECT_EQ(misshapen.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(misshapen.error().message,
              HasSubstr("intermediate.dense.weight is [32 x 48]; config.json wants [32 x 64]"));
}

TEST(BertConfig, SaysWhatItCannotCompute) {
  using Json = nlohmann::json;
  const auto with = [](const char* name, const Json& value) {
    Json config = Json::parse(TinyBert().Config());
    config[name] = value;
    return ReadBertConfig(config.dump());
  };
  const auto expect = [&](const char* name, const Json& value, ErrorCode code, const std::string& part) {
    const auto config = with(name, value);
    ASSERT_FALSE(config) << name << " " << value;
    EXPECT_EQ(config.error().code, code);
    EXPECT_THAT(config.error().message, HasSubstr(part));
  };
  EXPECT_EQ(ReadBertConfig(TinyBert().Config())->head_dim(), 16);
  expect("model_type", "roberta", ErrorCode::kUnsupported, "model_type is \"roberta\"");
  expect("hidden_act", "relu", ErrorCode::kUnsupported, "hidden_act is \"relu\", but only \"gelu\"");
  expect("position_embedding_type", "relative_key", ErrorCode::kUnsupported, "relative_key");
  expect("is_decoder", true, ErrorCode::kUnsupported, "is_decoder");
  expect("num_attention_heads", 4, ErrorCode::kUnsupported, "hidden_size 32 over num_attention_heads 4");
  expect("num_hidden_layers", 0, ErrorCode::kCorrupt, "num_hidden_layers is 0");
  expect("hidden_size", -32, ErrorCode::kCorrupt, "hidden_size is -32");
  expect("hidden_size", 1ULL << 63U, ErrorCode::kCorrupt, "hidden_size is 9223372036854775808");
  expect("vocab_size", "many", ErrorCode::kCorrupt, "vocab_size is \"many\"");
  expect("vocab_size", nullptr, ErrorCode::kCorrupt, "vocab_size is null");
  expect("max_position_embeddings", 1.5, ErrorCode::kCorrupt, "max_position_embeddings is 1.5");
  expect("layer_norm_eps", -1, ErrorCode::kCorrupt, "layer_norm_eps is -1");
  for (const char* text : {"", "[]", "7", "{", "\xff"}) {
    EXPECT_EQ(ReadBertConfig(text).error().code, ErrorCode::kCorrupt) << text;
  }
}

}  // namespace
}  // namespace kvasir::model
