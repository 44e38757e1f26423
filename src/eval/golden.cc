// Agreement with reference logits that were computed elsewhere.

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/check.h"
#include "base/parse_json.h"
#include "eval/distribution.h"
#include "kvasir/engine.h"
#include "kvasir/eval.h"
#include "tensor/half.h"

namespace kvasir {
namespace {

// One prompt of a golden.json.
struct GoldenPrompt {
  std::string name;
  std::vector<int32_t> tokens;
  std::vector<double> losses;      // [n-1]
  std::vector<int32_t> top;        // [n]
  std::vector<int32_t> positions;  // those with logits
  std::vector<uint16_t> logits;    // f16 [positions, V]
};

Error BadGolden(const std::string& path, std::string_view what) {
  return {ErrorCode::kCorrupt, fmt::format("{}: {}", path, what)};
}

Result<std::vector<uint16_t>> ReadHalves(const std::string& path, size_t count) {
  std::ifstream file(path, std::ios::binary);
  std::vector<uint16_t> halves(count);
  const auto bytes = static_cast<std::streamsize>(count * sizeof(uint16_t));
  if (!file.read(reinterpret_cast<char*>(halves.data()), bytes)) {
    return Fail(ErrorCode::kIo, fmt::format("{}: cannot read {} bytes of reference logits", path, bytes));
  }
  return halves;
}

Result<std::vector<GoldenPrompt>> ReadGolden(const std::string& directory, int vocabulary) {
  const std::string path = directory + "/golden.json";
  std::ifstream file(path);
  if (!file) return Fail(ErrorCode::kNotFound, fmt::format("{} does not exist or cannot be read", path));
  std::ostringstream text;
  text << file.rdbuf();
  const auto parsed = base::ParseJson<nlohmann::json>(text.view());
  if (!parsed) return std::unexpected(BadGolden(path, "is not JSON: " + parsed.error().message));
  const nlohmann::json& json = *parsed;
  if (!json.is_object() || !json.contains("prompts") || !json["prompts"].is_array()) {
    return std::unexpected(BadGolden(path, "has no list 'prompts'"));
  }
  std::vector<GoldenPrompt> prompts;
  try {
    for (const auto& entry : json["prompts"]) {
      GoldenPrompt prompt{.name = entry.at("name"),
                          .tokens = entry.at("tokens"),
                          .losses = entry.at("nll"),
                          .top = entry.at("argmax"),
                          .positions = entry.at("positions"),
                          .logits = {}};
      const int vocab = entry.at("vocab");
      if (vocab != vocabulary) {
        return std::unexpected(
            BadGolden(path, fmt::format("was made with a vocabulary of {}, but the model has {}: it is another model's",
                                        vocab, vocabulary)));
      }
      const size_t n = prompt.tokens.size();
      bool consistent = n >= 2 && prompt.losses.size() == n - 1 && prompt.top.size() == n;
      for (const int32_t position : prompt.positions) {
        consistent = consistent && position >= 0 && position < static_cast<int32_t>(n);
      }
      if (!consistent) {
        return std::unexpected(BadGolden(path, fmt::format("prompt '{}' has lists of unequal length", prompt.name)));
      }
      KV_ASSIGN(prompt.logits, ReadHalves(fmt::format("{}/{}.logits.f16", directory, prompt.name),
                                          prompt.positions.size() * static_cast<size_t>(vocabulary)));
      prompts.push_back(std::move(prompt));
    }
  } catch (const nlohmann::json::exception& error) {
    return std::unexpected(BadGolden(path, error.what()));
  }
  if (prompts.empty()) return std::unexpected(BadGolden(path, "has no prompts"));
  return prompts;
}

}  // namespace

Result<GoldenReport> EvalGolden(const EngineOptions& options, const std::string& directory) {
  KV_ASSIGN(const std::unique_ptr<Engine> engine, Engine::Load(options));
  const auto vocabulary = static_cast<size_t>(engine->info().vocabulary);
  KV_ASSIGN(const std::vector<GoldenPrompt> prompts, ReadGolden(directory, engine->info().vocabulary));
  KV_ASSIGN(const std::unique_ptr<Session> session, engine->NewSession());

  GoldenReport report;
  eval::Sample divergences;
  int64_t same_top = 0;
  int64_t tops = 0;
  std::vector<float> reference(vocabulary);
  for (const GoldenPrompt& prompt : prompts) {
    std::map<int32_t, size_t> with_logits;  // position -> index
    for (size_t i = 0; i < prompt.positions.size(); ++i) with_logits[prompt.positions[i]] = i;
    session->Reset();
    KV_TRY(session->Evaluate(prompt.tokens, 0, 0, [&](int position, std::span<const float> logits) {
      const auto index = static_cast<size_t>(position);
      same_top += eval::TopToken(logits) == prompt.top[index] ? 1 : 0;
      ++tops;
      if (index + 1 < prompt.tokens.size()) {
        const double loss = eval::NegativeLogLikelihood(logits, prompt.tokens[index + 1]);
        report.max_abs_nll_error = std::max(report.max_abs_nll_error, std::abs(loss - prompt.losses[index]));
        ++report.tokens;
      }
      if (const auto found = with_logits.find(position); found != with_logits.end()) {
        const uint16_t* halves = prompt.logits.data() + found->second * vocabulary;
        for (size_t v = 0; v < vocabulary; ++v) reference[v] = tensor::F16ToF32(halves[v]);
        divergences.Add(eval::Divergence(reference, logits));
      }
    }));
  }
  report.positions = static_cast<int>(divergences.size());
  report.mean_kld = divergences.Mean();
  report.max_kld = divergences.Quantile(1);
  report.same_top = static_cast<double>(same_top) / static_cast<double>(tops);
  return report;
}

}  // namespace kvasir
