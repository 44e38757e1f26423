#include "kvasir/embedding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <thread>

#include "engine/embedding_backend.h"
#include "engine/engine_impl.h"
#include "engine/sentence_recipe.h"
#include "engine/step.h"
#include "kvasir/inspect.h"
#include "kvcache/kv_sequence.h"
#include "model/tiny_bert_test_support.h"
#include "model/tiny_model_test_support.h"
#include "tensor/dequantize.h"

namespace kvasir {
namespace {

using model::TinyBert;
using model::TinyModel;
using testing::HasSubstr;
using Texts = std::vector<std::vector<int32_t>>;
using Vectors = std::vector<std::vector<float>>;

double Length(const std::vector<float>& vector) {
  double squares = 0;
  for (const float v : vector) squares += double{v} * v;
  return std::sqrt(squares);
}

std::unique_ptr<Embedder> Load(const std::string& path, int threads = 1, int max_tokens = 0,
                               ComputeMode compute = ComputeMode::kBalanced) {
  auto embedder = Embedder::Load({.model = path, .threads = threads, .max_tokens = max_tokens, .compute = compute});
  EXPECT_TRUE(embedder) << embedder.error().message;
  return embedder ? std::move(*embedder) : nullptr;
}

Vectors Embed(Embedder& embedder, const Texts& texts) {
  auto vectors = embedder.Embed(texts);
  EXPECT_TRUE(vectors) << vectors.error().message;
  return vectors ? std::move(*vectors) : Vectors();
}

TEST(Pool, MakesOneVectorOfMany) {
  const auto pool = [](Pooling pooling, bool normalise) {
    Pool p(pooling, 2);
    p.Add(std::vector<float>{3, -1});
    p.Add(std::vector<float>{5, 1});
    p.Add(std::vector<float>{1, 12});
    return p.Take(normalise);
  };
  EXPECT_EQ(pool(Pooling::kMean, false), (std::vector<float>{3, 4}));
  EXPECT_EQ(pool(Pooling::kMean, true), (std::vector<float>{0.6F, 0.8F}));
  EXPECT_EQ(pool(Pooling::kFirst, false), (std::vector<float>{3, -1}));
  EXPECT_EQ(pool(Pooling::kMax, false), (std::vector<float>{5, 12}));
  Pool zeros(Pooling::kMean, 2);
  zeros.Add(std::vector<float>{0, 0});
  EXPECT_EQ(zeros.Take(true), (std::vector<float>{0, 0})) << "no division by nothing";
}

TEST(CountThatFit, TakesOneAtLeast) {
  const Texts texts = {std::vector<int32_t>(10), std::vector<int32_t>(5), std::vector<int32_t>(6)};
  EXPECT_EQ(CountThatFit(texts, 3, 1), 1u);
  EXPECT_EQ(CountThatFit(texts, 15, 1), 2u);
  EXPECT_EQ(CountThatFit(texts, 21, 1), 3u);
  EXPECT_EQ(CountThatFit(texts, 31, 8), 2u) << "16 + 8 + 8";
}

TEST(Embedder, FollowsTheRecipeOfAnEncoder) {
  const auto embedder = Load(TinyBert().Write("recipe"));
  ASSERT_NE(embedder, nullptr);
  const EmbedderInfo& info = embedder->info();
  EXPECT_EQ(info.architecture, "bert");
  EXPECT_EQ(info.pooling, "mean");
  EXPECT_TRUE(info.normalised);
  EXPECT_EQ(info.dimensions, 32);
  EXPECT_EQ(info.max_tokens, 24) << "as the recipe says, although there are 40 positions";
  EXPECT_GT(info.memory_bytes, 0u);
  EXPECT_EQ(embedder->Encode("One two."), (std::vector<int32_t>{2, 11, 12, 14, 3}));
  const auto vectors = embedder->EmbedTexts(std::vector<std::string>{"one", "two three"});
  ASSERT_TRUE(vectors);
  for (const auto& vector : *vectors) EXPECT_NEAR(Length(vector), 1, 1e-6);

  TinyBert first;
  first.pooling = R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})";
  first.modules = R"([{"type": "a.Transformer", "path": ""}, {"type": "a.Pooling", "path": "1_Pooling"}])";
  first.recipe = "";
  const auto other = Load(first.Write("cls"));
  ASSERT_NE(other, nullptr);
  EXPECT_EQ(other->info().pooling, "cls");
  EXPECT_FALSE(other->info().normalised);
  EXPECT_EQ(other->info().max_tokens, 40);
  EXPECT_GT(std::abs(Length((*other->EmbedTexts(std::vector<std::string>{"one"}))[0]) - 1), 0.1);
}

TEST(Embedder, ATextDoesNotDependOnTheOthersOrOnThreads) {
  const std::string encoder = TinyBert().Write("independent");
  const std::string decoder = TinyModel().Write("embedding-independent");
  for (const std::string& path : {encoder, decoder}) {
    const auto one = Load(path);
    const auto three = Load(path, 3);
    ASSERT_TRUE(one != nullptr && three != nullptr);
    Texts texts;
    for (int i = 0; i < 60; ++i) {
      texts.emplace_back();
      for (int j = 0; j <= (i * 7) % 23; ++j) texts.back().push_back((i * 5 + j * 3) % 16);
    }
    const Vectors together = Embed(*one, texts);
    ASSERT_EQ(together.size(), texts.size());
    EXPECT_EQ(Embed(*three, texts), together);
    for (size_t i = 0; i < texts.size(); ++i) {
      ASSERT_EQ(Embed(*one, {texts[i]}), Vectors{together[i]}) << path << " " << i;
    }
  }
}

TEST(Embedder, CallsOfSeveralThreadsTakeTurns) {
  const auto embedder = Load(TinyBert().Write("turns"), 2);
  ASSERT_NE(embedder, nullptr);
  const Texts texts(40, std::vector<int32_t>{2, 11, 12, 3});
  const Vectors expected = Embed(*embedder, texts);
  std::vector<std::thread> threads;
  std::vector<Vectors> answers(4);
  for (auto& answer : answers) threads.emplace_back([&] { answer = Embed(*embedder, texts); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& answer : answers) EXPECT_EQ(answer, expected);
}

TEST(Embedder, NothingIsCutOff) {
  const auto embedder = Load(TinyBert().Write("limits"));
  ASSERT_NE(embedder, nullptr);
  EXPECT_TRUE(embedder->Check(std::vector<int32_t>(24, 5)));
  const Status long_text = embedder->Check(std::vector<int32_t>(25, 5));
  EXPECT_EQ(long_text.error().code, ErrorCode::kInvalidArgument);
  EXPECT_THAT(long_text.error().message, HasSubstr("25 tokens, but the model reads 24"));
  EXPECT_THAT(embedder->Check({}).error().message, HasSubstr("no token"));
  EXPECT_THAT(embedder->Check(std::vector<int32_t>{5, 16}).error().message, HasSubstr("id 16 (number 1)"));
  EXPECT_THAT(embedder->Check(std::vector<int32_t>{-1}).error().message, HasSubstr("id -1 (number 0)"));
  const auto vectors = embedder->Embed(Texts{{5}, std::vector<int32_t>(25, 5)});
  EXPECT_THAT(vectors.error().message, HasSubstr("text 1: the text has 25 tokens"));
  const std::atomic<bool> cancel = true;
  EXPECT_EQ(embedder->Embed(Texts{{5}}, &cancel).error().code, ErrorCode::kCancelled);

  const std::string path = TinyBert().Write("longer");
  EXPECT_TRUE(Load(path, 1, 40)->Check(std::vector<int32_t>(40, 5)));
  EXPECT_THAT(Embedder::Load({.model = path, .max_tokens = 41}).error().message, HasSubstr("41 tokens were asked for"));
  EXPECT_THAT(Embedder::Load({.model = path, .threads = -1}).error().message, HasSubstr("threads is -1"));
}

// The vectors that a step gives are those of which the head makes the logits.
TEST(Embedder, ADecodersVectorsAreWhatTheHeadReads) {
  const std::string path = TinyModel().Write("hidden");
  const auto engine = Engine::Load({.model = path, .compute = ComputeMode::kExact, .threads = 2});
  ASSERT_TRUE(engine) << engine.error().message;
  Engine::Impl& impl = (*engine)->impl();
  const std::vector<int32_t> tokens = {1, 70, 80, 90, 100, 101};
  const auto run = [&](StepOutput output) {
    auto sequence = kvcache::KvSequence::Create(*impl.pages, impl.kv_shape, impl.kv_options);
    EXPECT_TRUE(sequence->Extend(tokens));
    Vectors rows;
    const StepRows step{.sequence = &*sequence, .on_logits = [&](int, std::span<const float> row) {
                          rows.emplace_back(row.begin(), row.end());
                        }};
    EXPECT_TRUE(RunStep(impl, {&step, 1}, nullptr, output));
    return rows;
  };
  const Vectors hidden = run(StepOutput::kHidden);
  const Vectors logits = run(StepOutput::kLogits);
  ASSERT_EQ(hidden.size(), tokens.size());
  const tensor::TensorView head = *impl.gguf.FindTensor("token_embd.weight");
  std::vector<float> row(static_cast<size_t>(head.row_elements()));
  for (int64_t id = 0; id < head.rows(); ++id) {
    tensor::DequantizeRow(head.dtype, head.row(id), row.data(), head.row_elements());
    for (size_t i = 0; i < hidden.size(); ++i) {
      double logit = 0;
      for (size_t e = 0; e < row.size(); ++e) logit += double{hidden[i][e]} * row[e];
      ASSERT_NEAR(logits[i][static_cast<size_t>(id)], logit, 1e-3) << id;
    }
  }

  const Vectors vectors = Embed(*Load(path, 1, 0, ComputeMode::kExact), {tokens});
  Pool mean(Pooling::kMean, row.size());
  for (const auto& each : hidden) mean.Add(each);
  EXPECT_EQ(vectors, Vectors{mean.Take(true)});
}

TEST(Embedder, SharesAnEngineWithItsSessions) {
  const std::string path = TinyModel().Write("shared");
  const auto engine = Engine::Load({.model = path, .threads = 2});
  ASSERT_TRUE(engine) << engine.error().message;
  const auto shared = Embedder::Of(**engine);
  ASSERT_TRUE(shared) << shared.error().message;
  const auto own = Load(path);
  Texts texts;
  for (int i = 0; i < 20; ++i) texts.emplace_back(static_cast<size_t>(1 + i * 17), 60 + i);  // up to 324: several steps
  const Vectors expected = Embed(*own, texts);
  std::thread generating([&] {
    auto session = (*engine)->NewSession();
    ASSERT_TRUE((*session)->Generate({.prompt = {1, 70, 80}, .max_tokens = 60, .ignore_end_of_text = true}));
  });
  EXPECT_EQ(Embed(**shared, texts), expected);
  generating.join();
  EXPECT_EQ((*engine)->memory().kv_bytes, 0u) << "it has pages of its own";
  EXPECT_GE((*shared)->info().memory_bytes, size_t{1024});
  EXPECT_THAT(Embedder::Of(**engine, 5000).error().message, HasSubstr("5000 tokens were asked for"));
}

TEST(Embedder, AnEncoderWritesNoText) {
  const std::string path = TinyBert().Write("no-text");
  EXPECT_TRUE(IsEncoder(path));
  EXPECT_FALSE(IsEncoder(TinyModel().Write("text")));
  EXPECT_FALSE(IsEncoder("no such model"));
  const auto engine = Engine::Load({.model = path});
  EXPECT_EQ(engine.error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(engine.error().message, HasSubstr("is an encoder"));
  const auto tokenizer = Tokenizer::Load(path);
  ASSERT_TRUE(tokenizer) << tokenizer.error().message;
  EXPECT_EQ((*tokenizer)->Encode("one"), (std::vector<int32_t>{2, 11, 3}));
}

TEST(InspectModel, DescribesAnEncoder) {
  const std::string folder = TinyBert().Write("inspect");
  const auto summary = InspectModel({.model = folder});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_EQ(summary->info.architecture, "bert");
  EXPECT_EQ(summary->info.name, "kvasir-tiny-bert-inspect");
  EXPECT_EQ(summary->info.layers, 2);
  EXPECT_EQ(summary->info.head_dim, 16);
  EXPECT_EQ(summary->info.vocabulary, TinyBert::kTokens);
  EXPECT_EQ(summary->info.file_bytes, std::filesystem::file_size(folder + "/model.safetensors"));
  EXPECT_EQ(summary->file_type, "F32");
  const auto tensors = TinyBert().Tensors();
  EXPECT_EQ(summary->tensors.size(), tensors.size());
  size_t values = 0;
  for (const auto& [name, tensor] : tensors) values += tensor.values.size();
  EXPECT_EQ(summary->parameters, static_cast<int64_t>(values));
  ASSERT_TRUE(summary->encoder);
  EXPECT_EQ(summary->encoder->pooling, "mean");
  EXPECT_TRUE(summary->encoder->normalised);
  EXPECT_EQ(summary->encoder->max_tokens, 24);
  EXPECT_EQ(summary->cannot_run, "");
  EXPECT_TRUE(summary->caches.empty());
}

TEST(InspectModel, AnEncoderThatCannotBeComputedIsStillDescribed) {
  TinyBert tiny;
  tiny.act = "relu";
  const auto summary = InspectModel({.model = tiny.Write("inspect-relu")});
  ASSERT_TRUE(summary) << summary.error().message;
  EXPECT_THAT(summary->cannot_run, HasSubstr("hidden_act is \"relu\""));
  EXPECT_EQ(summary->tensors.size(), tiny.Tensors().size());
  EXPECT_FALSE(summary->encoder);
}

TEST(SentenceRecipe, SaysWhatItCannotFollow) {
  const auto expect = [](const TinyBert& tiny, ErrorCode code, const std::string& part) {
    const auto embedder = Embedder::Load({.model = tiny.Write("hostile")});
    ASSERT_FALSE(embedder) << part;
    EXPECT_EQ(embedder.error().code, code) << embedder.error().message;
    EXPECT_THAT(embedder.error().message, HasSubstr(part));
  };
  TinyBert tiny;
  tiny.modules = R"([{"type": "a.Transformer"}, {"type": "a.Pooling", "path": "1_Pooling"}, {"type": "a.Dense"}])";
  expect(tiny, ErrorCode::kUnsupported, "modules.json has the step \"a.Dense\"");
  tiny.modules = R"([{"type": "a.Transformer"}])";
  expect(tiny, ErrorCode::kCorrupt, "modules.json has 1 steps");
  tiny.modules = R"([{"type": "a.Transformer"}, {"type": "a.Pooling", "path": "../other"}])";
  expect(tiny, ErrorCode::kCorrupt, "the path of Pooling is \"../other\"");
  tiny.modules = "{}";
  expect(tiny, ErrorCode::kCorrupt, "modules.json is no list");
  tiny.modules = "[";
  expect(tiny, ErrorCode::kCorrupt, "modules.json is no JSON: line 1, column 2: the text ends too early");
  tiny = TinyBert();
  tiny.pooling = R"({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true})";
  expect(tiny, ErrorCode::kUnsupported, "turns on 2 modes");
  tiny.pooling = R"({"pooling_mode_weightedmean_tokens": true})";
  expect(tiny, ErrorCode::kUnsupported, "pooling_mode_weightedmean_tokens is true");
  tiny.pooling = "[]";
  expect(tiny, ErrorCode::kCorrupt, "1_Pooling/config.json is no JSON object");
  tiny = TinyBert();
  tiny.recipe = R"({"max_seq_length": 0})";
  expect(tiny, ErrorCode::kCorrupt, "max_seq_length is 0");
  tiny.recipe = R"({"max_seq_length": "x"})";
  expect(tiny, ErrorCode::kCorrupt, "max_seq_length is \"x\"");
  tiny = TinyBert();
  tiny.act = "relu";
  expect(tiny, ErrorCode::kUnsupported, "kvasir-tiny-bert-hostile: config.json: hidden_act is \"relu\"");
}

TEST(SentenceRecipe, ReadsAVocabularyInEitherForm) {
  const std::string folder = TinyBert().Write("vocabulary");
  EXPECT_EQ(ReadSentenceVocabulary(folder)->tokens.size(), 16u);
  std::ofstream(folder + "/tokenizer_config.json") << R"({"do_lower_case": false})";
  EXPECT_FALSE(*ReadSentenceVocabulary(folder)->lowercase);
  std::ofstream(folder + "/tokenizer.json") << "{}";
  EXPECT_THAT(ReadSentenceVocabulary(folder).error().message, HasSubstr("model.type is null"));
  std::filesystem::remove(folder + "/tokenizer.json");
  std::filesystem::remove(folder + "/vocab.txt");
  EXPECT_THAT(ReadSentenceVocabulary(folder).error().message, HasSubstr("neither a tokenizer.json nor a vocab.txt"));
}

}  // namespace
}  // namespace kvasir
