#include "engine/sentence_recipe.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"
#include "base/parse_json.h"
#include "text/tokenizer_json.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string Shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 60) + "..." : text;
}

// A file of JSON; null where there is no such file.
Result<Json> ReadJson(const std::string& folder, const std::string& name) {
  auto text = ReadModelText(folder, name);
  if (!text && text.error().code == ErrorCode::kNotFound) return Json();
  if (!text) return std::unexpected(text.error());
  auto json = base::ParseJson<Json>(*text);
  if (!json) return Fail(ErrorCode::kCorrupt, fmt::format("{}/{} is no JSON: {}", folder, name, json.error().message));
  return json;
}

Json MemberOf(const Json& object, const char* name) {
  return object.is_object() ? object.value(name, Json()) : Json();
}

// The one mode that is on: {"pooling_mode_mean_tokens": true, ...}.
Result<Pooling> ReadPooling(const std::string& folder, const std::string& name) {
  constexpr std::array<std::pair<std::string_view, Pooling>, 3> kModes = {{
      {"pooling_mode_mean_tokens", Pooling::kMean},
      {"pooling_mode_cls_token", Pooling::kFirst},
      {"pooling_mode_max_tokens", Pooling::kMax},
  }};
  KV_ASSIGN(const Json config, ReadJson(folder, name));
  if (!config.is_object()) return Fail(ErrorCode::kCorrupt, fmt::format("{}/{} is no JSON object", folder, name));
  std::vector<Pooling> chosen;
  for (const auto& [key, value] : config.items()) {
    if (!key.starts_with("pooling_mode_") || value != Json(true)) continue;
    const auto mode = std::find_if(kModes.begin(), kModes.end(), [&](const auto& m) { return m.first == key; });
    if (mode == kModes.end()) {
      return Fail(ErrorCode::kUnsupported, fmt::format("{}/{}: {} is true, but only mean_tokens, cls_token and "
                                                       "max_tokens are supported",
                                                       folder, name, key.substr(0, 80)));
    }
    chosen.push_back(mode->second);
  }
  if (chosen.size() == 1) return chosen.front();
  return Fail(ErrorCode::kUnsupported, fmt::format("{}/{} turns on {} modes of pooling, but exactly one is supported",
                                                   folder, name, chosen.size()));
}

// The steps behind the transformer: a pooling, then perhaps a normalisation.
Status ReadModules(const std::string& folder, const Json& modules, SentenceRecipe& recipe) {
  if (!modules.is_array()) return Fail(ErrorCode::kCorrupt, folder + "/modules.json is no list");
  constexpr std::array<std::string_view, 3> kOrder = {"Transformer", "Pooling", "Normalize"};
  size_t next = 0;
  for (const Json& module : modules) {
    const Json type = MemberOf(module, "type");
    const Json path = MemberOf(module, "path");
    const std::string name = type.is_string() ? type.get<std::string>() : "";
    if (next == kOrder.size() || name.substr(name.rfind('.') + 1) != kOrder[next]) {
      return Fail(ErrorCode::kUnsupported,
                  fmt::format("{}/modules.json has the step {}, but only Transformer, Pooling and Normalize, in this "
                              "order, are supported",
                              folder, Shown(type)));
    }
    if (next == 1) {
      // A path that leads out of the folder would let a model read any file.
      if (!path.is_string() || path.get<std::string>().find_first_of("/\\") != std::string::npos || path == "..") {
        return Fail(ErrorCode::kCorrupt, fmt::format("{}/modules.json: the path of Pooling is {}, but must be a folder "
                                                     "beside it",
                                                     folder, Shown(path)));
      }
      KV_ASSIGN(recipe.pooling, ReadPooling(folder, path.get<std::string>() + "/config.json"));
    }
    recipe.normalise = next == 2;
    ++next;
  }
  if (next >= 2) return {};
  return Fail(ErrorCode::kCorrupt, fmt::format("{}/modules.json has {} steps, but must have Transformer and Pooling at "
                                               "least",
                                               folder, next));
}

}  // namespace

Result<std::string> ReadModelText(const std::string& folder, const std::string& name) {
  constexpr uintmax_t kLargest = uintmax_t{64} << 20;
  const fs::path path = fs::path(folder) / name;
  std::error_code error;
  const uintmax_t size = fs::file_size(path, error);
  if (error) return Fail(ErrorCode::kNotFound, fmt::format("{}: {}", path.string(), error.message()));
  if (size > kLargest) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("{} has {} bytes; at most {} are accepted", path.string(), size, kLargest));
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(static_cast<size_t>(size), '\0');
  file.read(text.data(), static_cast<std::streamsize>(size));
  if (!file) return Fail(ErrorCode::kIo, fmt::format("{} cannot be read", path.string()));
  return text;
}

Result<SentenceRecipe> ReadSentenceRecipe(const std::string& folder) {
  SentenceRecipe recipe;
  KV_ASSIGN(const Json modules, ReadJson(folder, "modules.json"));
  if (!modules.is_null()) KV_TRY(ReadModules(folder, modules, recipe));
  KV_ASSIGN(const Json config, ReadJson(folder, "sentence_bert_config.json"));
  const Json longest = MemberOf(config, "max_seq_length");
  if (longest.is_null()) return recipe;
  constexpr int64_t kMost = 1 << 24;
  if (!longest.is_number_integer() || longest.get<int64_t>() < 1 || longest.get<int64_t>() > kMost) {
    return Fail(ErrorCode::kCorrupt, fmt::format("{}/sentence_bert_config.json: max_seq_length is {}, but must be a "
                                                 "whole number from 1 to {}",
                                                 folder, Shown(longest), kMost));
  }
  recipe.max_tokens = longest.get<int>();
  return recipe;
}

Result<text::Vocabulary> ReadSentenceVocabulary(const std::string& folder) {
  const auto name_folder = [&](Result<text::Vocabulary> vocabulary) -> Result<text::Vocabulary> {
    if (vocabulary) return vocabulary;
    return Fail(vocabulary.error().code, fmt::format("{}: {}", folder, vocabulary.error().message));
  };
  const auto json = ReadModelText(folder, "tokenizer.json");
  if (json) return name_folder(text::VocabularyFromTokenizerJson(*json));
  if (json.error().code != ErrorCode::kNotFound) return std::unexpected(json.error());
  const auto list = ReadModelText(folder, "vocab.txt");
  if (!list) {
    return Fail(list.error().code, fmt::format("{}: there is neither a tokenizer.json nor a vocab.txt", folder));
  }
  KV_ASSIGN(const Json config, ReadJson(folder, "tokenizer_config.json"));
  const Json lowercase = MemberOf(config, "do_lower_case");
  return name_folder(text::VocabularyFromVocabTxt(*list, lowercase.is_null() || lowercase == Json(true)));
}

}  // namespace kvasir
