// kvasir embed: texts to vectors.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/check.h"
#include "cli/command_list.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/utf8_text.h"
#include "kvasir/embedding.h"

namespace kvasir::cli {
namespace {

constexpr const char* kEmbedExamples =
    "Examples:\n"
    "  kvasir embed -m minilm \"A man is eating food.\" \"Somebody has lunch.\"\n"
    "  kvasir embed -m minilm < sentences.txt > vectors.txt\n"
    "  kvasir embed -m smollm2 --json \"Hello\" | jq .data[0].tokens\n"
    "\n"
    "Without TEXT each line of standard input is a text. The output is a line of numbers per text, in order. The "
    "model\n"
    "is an encoder's folder, or a GGUF file, of which the tokens' last vectors are averaged and normalised. A text "
    "that\n"
    "is longer than the model reads is an error; nothing is cut off.";

// Texts that are computed, and written, at a time: output comes early, and a million lines need no more memory.
constexpr size_t kTextsAtATime = 256;
constexpr int kMostTexts = 1 << 20;  // on the command line
constexpr int kMaxTextTokens = 1 << 24;

struct EmbedOptions {
  EmbedderOptions embedder;
  std::vector<std::string> texts;
  bool json = false;
};

Result<std::unique_ptr<Embedder>> LoadEmbedder(EmbedderOptions options) {
  Progress progress("loading");
  options.on_progress = [&progress](const LoadProgress& step) {
    progress.Update(step.done_bytes, step.total_bytes, step.phase);
  };
  return Embedder::Load(options);
}

Result<std::vector<std::string>> ReadLines() {
  KV_ASSIGN(const std::string all, ReadStandardInput());
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find('\n', begin), all.size());
    std::string line = all.substr(begin, end - begin);
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("line {} of standard input is empty, but each line must be a text", lines.size() + 1));
    }
    lines.push_back(std::move(line));
    begin = end + 1;
  }
  if (lines.empty())
    return Fail(ErrorCode::kInvalidArgument, "there is no text: name TEXT, or write lines to standard input");
  return lines;
}

// One JSON object, written text by text.
class JsonOutput {
 public:
  explicit JsonOutput(const EmbedderInfo& info) {
    const nlohmann::ordered_json head = {{"model", info.name},
                                         {"architecture", info.architecture},
                                         {"pooling", info.pooling},
                                         {"normalised", info.normalised},
                                         {"dimensions", info.dimensions},
                                         {"max_tokens", info.max_tokens}};
    std::string text = head.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    text.pop_back();  // the closing brace
    WriteOut(text + ", \"data\": [");
  }
  void Add(size_t tokens, const std::vector<float>& vector) {
    WriteOut(fmt::format("{}\n  {{\"index\": {}, \"tokens\": {}, \"embedding\": [{}]}}", count_ == 0 ? "" : ",", count_,
                         tokens, fmt::join(vector, ", ")));
    ++count_;
  }
  void End() { WriteOut("\n]}\n"); }

 private:
  size_t count_ = 0;
};

Result<int> RunEmbed(const EmbedOptions& options) {
  std::vector<std::string> texts = options.texts;
  const bool lines = texts.empty();
  if (lines) {
    KV_ASSIGN(texts, ReadLines());
  }
  KV_ASSIGN(const std::unique_ptr<Embedder> embedder, LoadEmbedder(options.embedder));
  std::vector<std::vector<int32_t>> tokens;
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::string name = fmt::format("{} {}", lines ? "line" : "TEXT", i + 1);
    KV_TRY(CheckUtf8(texts[i], name));
    tokens.push_back(embedder->Encode(texts[i]));
    // All of them before the first is computed: an error has no output before it.
    if (const Status status = embedder->Check(tokens.back()); !status) {
      return Fail(status.error().code, fmt::format("{}: {}", name, status.error().message));
    }
  }
  std::unique_ptr<JsonOutput> json;
  if (options.json) json = std::make_unique<JsonOutput>(embedder->info());
  for (size_t begin = 0; begin < tokens.size(); begin += kTextsAtATime) {
    const auto some = std::span(tokens).subspan(begin, std::min(kTextsAtATime, tokens.size() - begin));
    KV_ASSIGN(const std::vector<std::vector<float>> vectors, embedder->Embed(some));
    for (size_t i = 0; i < vectors.size(); ++i) {
      if (json) {
        json->Add(some[i].size(), vectors[i]);
      } else {
        WriteOut(fmt::format("{}\n", fmt::join(vectors[i], " ")));
      }
    }
  }
  if (json) json->End();
  return 0;
}

}  // namespace

Action DefineEmbed(CLI::App& app) {
  auto options = std::make_shared<EmbedOptions>();
  AddModelFlag(app, options->embedder.model);
  AddThreadsFlag(app, options->embedder.threads);
  AddCount(app, "-c,--ctx", "tokens of the longest text; 0 is what the model was trained for, 2048 at most (default 0)",
           options->embedder.max_tokens, 0, kMaxTextTokens)
      .Group("Model");
  AddChoice(app, "--compute", {"fast", "balanced", "precise", "exact"},
            "precision of a GGUF model's arithmetic (default balanced); an encoder is computed in f32",
            [options](std::string_view name) { options->embedder.compute = ParseComputeMode(name).value(); })
      .Group("Model");
  AddTexts(app, "text", "TEXT...", "the texts (default: each line of standard input)", options->texts)
      .Many(0, kMostTexts);
  AddSwitch(app, "--json", options->json, "print one JSON object: the model, and each text's tokens and vector");
  SetFooter(app, kEmbedExamples);
  return [options] { return RunEmbed(*options); };
}

}  // namespace kvasir::cli
