// Reading config.json. Whatever changes the numbers is held against what bert.cc computes; what only matters for
// training (dropout, initialisation) is passed over.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/parse_json.h"
#include "model/bert.h"

namespace kvasir::model {
namespace {

using Json = nlohmann::json;

std::string Shown(const Json& value) {
  std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 60) + "..." : text;
}

// A whole number from `low` to `high`.
Status ReadInt(const Json& config, const char* name, int low, int high, int& target) {
  const Json value = config.value(name, Json());
  const bool whole = value.is_number_integer() && !(value.is_number_unsigned() && value.get<uint64_t>() > INT32_MAX);
  if (whole && value.get<int64_t>() >= low && value.get<int64_t>() <= high) {
    target = value.get<int>();
    return {};
  }
  return Fail(ErrorCode::kCorrupt, fmt::format("config.json: {} is {}, but must be a whole number from {} to {}", name,
                                               Shown(value), low, high));
}

// Fails unless the member is absent or `wanted`.
Status CheckText(const Json& config, const char* name, std::string_view wanted) {
  const Json value = config.value(name, Json());
  if (value.is_null() || value == Json(wanted)) return {};
  return Fail(ErrorCode::kUnsupported,
              fmt::format("config.json: {} is {}, but only \"{}\" is supported", name, Shown(value), wanted));
}

}  // namespace

Result<BertConfig> ReadBertConfig(std::string_view json) {
  const auto parsed = base::ParseJson<Json>(json);
  if (!parsed) return Fail(ErrorCode::kCorrupt, "config.json is no JSON: " + parsed.error().message);
  const Json& config = *parsed;
  if (!config.is_object()) return Fail(ErrorCode::kCorrupt, "config.json is no JSON object");
  if (config.value("model_type", Json()) != "bert") {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("config.json: model_type is {}, but only \"bert\" is supported; a decoder must be a GGUF "
                            "file",
                            Shown(config.value("model_type", Json()))));
  }
  KV_TRY(CheckText(config, "hidden_act", "gelu"));
  KV_TRY(CheckText(config, "position_embedding_type", "absolute"));
  if (config.value("is_decoder", Json(false)) != Json(false)) {
    return Fail(ErrorCode::kUnsupported, "config.json: is_decoder is not false, but only encoders are supported");
  }
  BertConfig bert;
  constexpr int kMostFeatures = 1 << 16;
  KV_TRY(ReadInt(config, "num_hidden_layers", 1, 512, bert.layers));
  KV_TRY(ReadInt(config, "num_attention_heads", 1, 1024, bert.heads));
  KV_TRY(ReadInt(config, "hidden_size", 1, kMostFeatures, bert.embedding));
  KV_TRY(ReadInt(config, "intermediate_size", 1, kMostFeatures, bert.feed_forward));
  KV_TRY(ReadInt(config, "vocab_size", 1, 1 << 24, bert.vocabulary));
  KV_TRY(ReadInt(config, "max_position_embeddings", 1, 1 << 16, bert.max_positions));
  KV_TRY(ReadInt(config, "type_vocab_size", 1, 64, bert.token_types));
  if (bert.embedding % bert.heads != 0 || bert.head_dim() % ops::kEncoderHeadUnit != 0) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("config.json: hidden_size {} over num_attention_heads {} must give heads of a multiple of "
                            "{} features",
                            bert.embedding, bert.heads, ops::kEncoderHeadUnit));
  }
  const Json eps = config.value("layer_norm_eps", Json(1e-12));
  if (!eps.is_number() || !(eps.get<double>() >= 0 && eps.get<double>() <= 1)) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("config.json: layer_norm_eps is {}, but must be a number from 0 to 1", Shown(eps)));
  }
  bert.layer_norm_eps = eps.get<float>();
  return bert;
}

}  // namespace kvasir::model
