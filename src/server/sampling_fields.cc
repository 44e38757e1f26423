#include "server/sampling_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace kvasir::server {
namespace {

constexpr double kLargest = 1e6;  // of any sampling option; the engine's own ranges are narrower

struct RealField {
  const char* name;
  float SamplingOptions::* member;
};
constexpr auto kRealFields = std::to_array<RealField>({
    {"temperature", &SamplingOptions::temperature},
    {"top_p", &SamplingOptions::top_p},
    {"min_p", &SamplingOptions::min_p},
    {"typical_p", &SamplingOptions::typical_p},
    {"top_n_sigma", &SamplingOptions::top_n_sigma},
    {"xtc_probability", &SamplingOptions::xtc_probability},
    {"xtc_threshold", &SamplingOptions::xtc_threshold},
    {"dry_multiplier", &SamplingOptions::dry_multiplier},
    {"dry_base", &SamplingOptions::dry_base},
    {"mirostat_tau", &SamplingOptions::mirostat_tau},
    {"mirostat_eta", &SamplingOptions::mirostat_eta},
    {"repeat_penalty", &SamplingOptions::repeat_penalty},
    {"repetition_penalty", &SamplingOptions::repeat_penalty},
    {"presence_penalty", &SamplingOptions::presence_penalty},
    {"frequency_penalty", &SamplingOptions::frequency_penalty},
});

struct CountField {
  const char* name;
  int32_t SamplingOptions::* member;
};
constexpr auto kCountFields = std::to_array<CountField>({
    {"dry_allowed_length", &SamplingOptions::dry_allowed_length},
    {"dry_penalty_last_n", &SamplingOptions::dry_penalty_last_n},
    {"mirostat", &SamplingOptions::mirostat},
    {"repeat_last_n", &SamplingOptions::repeat_last_n},
});

// {"42": -1.5} as OpenAI has it, or [[42, -1.5]].
void ReadLogitBias(Fields& fields, SamplingOptions& sampling, int vocabulary) {
  const Json* bias = fields.Any("logit_bias");
  if (bias == nullptr) return;
  const bool list = bias->is_array();
  if (!list && !bias->is_object()) {
    fields.Problem("logit_bias", fmt::format("is {}, but it must be an object of token ids and numbers", Shown(*bias)));
    return;
  }
  if (bias->size() > static_cast<size_t>(vocabulary)) {
    fields.Problem("logit_bias", fmt::format("has {} items, but the model has {} tokens", bias->size(), vocabulary));
    return;
  }
  for (const auto& [name, value] : bias->items()) {
    if (list && (!value.is_array() || value.size() != 2 || !value[0].is_number_integer())) {
      fields.Problem(fmt::format("logit_bias[{}]", name), "must be a token id and a number");
      return;
    }
    const std::string key = list ? DumpJson(value[0]) : name;
    const Json& amount = list ? value[1] : value;
    int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id >= vocabulary) {
      fields.Problem("logit_bias", fmt::format("names the token {}, but ids are whole numbers from 0 to {}",
                                               Shown(Json(key)), vocabulary - 1));
      return;
    }
    if (!amount.is_number() || !(std::abs(amount.get<double>()) <= kLargest)) {
      fields.Problem("logit_bias." + key,
                     fmt::format("is {}, but it must be a number from -100 to 100", Shown(amount)));
      return;
    }
    sampling.logit_bias.emplace_back(id, amount.get<float>());
  }
}

void ReadOrder(Fields& fields, SamplingOptions& sampling) {
  const Json* given = fields.Any("samplers");
  if (given == nullptr) return;
  std::string text;
  if (given->is_string()) {
    text = given->get<std::string>();
  } else {
    for (const std::string& name : fields.Texts("samplers", 64)) text += name + ";";
  }
  auto order = ParseSamplingOrder(text);
  if (!order) {
    fields.Problem("samplers", order.error().message);
  } else {
    sampling.order = std::move(*order);
  }
}

}  // namespace

SamplingOptions ReadSampling(Fields& fields, const SamplingDefaults& defaults, int vocabulary) {
  SamplingOptions sampling;
  sampling.temperature = defaults.temperature;
  sampling.top_p = defaults.top_p;
  sampling.top_k = defaults.top_k;
  sampling.min_p = defaults.min_p;
  sampling.repeat_last_n = -1;  // OpenAI's penalties know no window
  for (const RealField& field : kRealFields) {
    if (const auto value = fields.Number(field.name, -kLargest, kLargest)) {
      sampling.*field.member = static_cast<float>(*value);
    }
  }
  for (const CountField& field : kCountFields) {
    if (const auto value = fields.Integer(field.name, -1, INT32_MAX)) {
      sampling.*field.member = static_cast<int32_t>(*value);
    }
  }
  // -1 is how vLLM writes "off".
  if (const auto top_k = fields.Integer("top_k", -1, INT32_MAX))
    sampling.top_k = static_cast<int32_t>(std::max<int64_t>(*top_k, 0));
  if (fields.Has("dry_sequence_breakers")) sampling.dry_sequence_breakers = fields.Texts("dry_sequence_breakers", 64);
  if (const auto seed = fields.Integer("seed", INT64_MIN, INT64_MAX)) sampling.seed = static_cast<uint64_t>(*seed);
  ReadLogitBias(fields, sampling, vocabulary);
  ReadOrder(fields, sampling);
  const bool by_other_name = fields.Has("repetition_penalty");
  if (by_other_name && fields.Has("repeat_penalty")) {
    fields.Problem("repetition_penalty", "is another name of repeat_penalty; give one of them");
  }
  if (const Status status = Validate(sampling, vocabulary); !status && fields.ok()) {
    // The message begins with the member's name.
    ApiError error = FromEngine(status.error());
    error.param = error.message.substr(0, error.message.find_first_of(" ["));
    if (error.param == "repeat_penalty" && by_other_name) {
      error.message.replace(0, error.param->size(), "repetition_penalty");
      error.param = "repetition_penalty";
    }
    fields.Problem(std::move(error));
  }
  return sampling;
}

}  // namespace kvasir::server
