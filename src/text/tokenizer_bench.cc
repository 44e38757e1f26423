// Speed of encoding and decoding with real vocabularies, and of encoding runs of one letter, which must not be
// quadratic.
//
// Run: kvasir_text_bench. bytes_per_second is of text. A case whose data is missing reports an error instead.
#include <benchmark/benchmark.h>

#include <map>
#include <string>

#include "text/tokenizer.h"
#include "text/vocabulary_from_gguf_test_support.h"

namespace kvasir::text {
namespace {

const std::string& English() {
  static const std::string text = ReadFileForTest(KVASIR_SHARED_DATA "/text/wikitext2-test.txt");
  return text;
}

std::string PathOf(const std::string& name) {
  if (name == "smollm2" || name == "gemma3-270m") return ModelPathForTest(name + ".gguf");
  return KVASIR_SHARED_DATA "/tokenizers/ggml-vocab-" + name + ".gguf";
}

const Tokenizer* TokenizerOf(const std::string& name) {
  static std::map<std::string, std::unique_ptr<Tokenizer>> loaded;
  auto& tokenizer = loaded[name];
  if (tokenizer == nullptr) {
    auto vocabulary = GgufVocabularyReader::Read(PathOf(name));
    if (!vocabulary) return nullptr;
    auto made = Tokenizer::Create(std::move(*vocabulary));
    if (made) tokenizer = std::move(*made);
  }
  return tokenizer.get();
}

void EncodeText(benchmark::State& state, const std::string& name, const std::string& text) {
  const Tokenizer* tokenizer = TokenizerOf(name);
  if (tokenizer == nullptr || text.empty()) return state.SkipWithError("no vocabulary or text");
  size_t tokens = 0;
  for (auto _ : state) {
    const auto ids = tokenizer->Encode(text);
    tokens = ids.size();
    benchmark::DoNotOptimize(ids.data());
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
  state.counters["tokens"] = static_cast<double>(tokens);
}

void DecodeText(benchmark::State& state, const std::string& name) {
  const Tokenizer* tokenizer = TokenizerOf(name);
  if (tokenizer == nullptr || English().empty()) return state.SkipWithError("no vocabulary or text");
  const auto ids = tokenizer->Encode(English());
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer->Decode(ids));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * English().size()));
}

void CreateTokenizer(benchmark::State& state, const std::string& name) {
  const auto vocabulary = GgufVocabularyReader::Read(PathOf(name));
  if (!vocabulary) return state.SkipWithError("no vocabulary");
  for (auto _ : state) benchmark::DoNotOptimize(Tokenizer::Create(*vocabulary));
}

constexpr const char* kVocabularies[] = {"smollm2", "gemma3-270m", "llama-bpe", "qwen2",
                                         "gpt-2",   "llama-spm",   "bert-bge",  "deepseek-coder"};

const bool kRegistered = [] {
  static const std::string letters(1 << 20, 'a'), spaces(1 << 20, ' '), upper(1 << 20, 'A');
  for (const char* name : kVocabularies) {
    const std::string vocabulary = name;
    benchmark::RegisterBenchmark(("encode/" + vocabulary).c_str(), EncodeText, vocabulary, English());
    benchmark::RegisterBenchmark(("encode_1MiB_of_a/" + vocabulary).c_str(), EncodeText, vocabulary, letters);
    benchmark::RegisterBenchmark(("encode_1MiB_of_A/" + vocabulary).c_str(), EncodeText, vocabulary, upper);
    benchmark::RegisterBenchmark(("encode_1MiB_of_spaces_5/" + vocabulary).c_str(), EncodeText, vocabulary,
                                 spaces + "5");
    benchmark::RegisterBenchmark(("decode/" + vocabulary).c_str(), DecodeText, vocabulary);
    benchmark::RegisterBenchmark(("create/" + vocabulary).c_str(), CreateTokenizer, vocabulary);
  }
  return true;
}();

}  // namespace
}  // namespace kvasir::text
