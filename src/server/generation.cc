#include "server/generation.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/response_format.h"
#include "server/sampling_fields.h"

namespace kvasir::server {
namespace {

// OpenAI's limits, where the engine itself has none.
constexpr int kMostChoices = 128;
constexpr size_t kMostStopTokens = 1024;
constexpr size_t kLongestSalt = 1024;
constexpr int64_t kLongestTimeoutMs = 24LL * 3600 * 1000;
constexpr size_t kMostNotes = 16;
constexpr size_t kLongestNote = 512;

// Members that OpenAI knows and that can mean only one thing here.
void ReadFixed(Fields& fields) {
  (void)fields.Text("user");  // who asks, for the provider's own statistics: no influence on the answer by definition
  (void)fields.Text("safety_identifier");
  if (fields.Bool("store").value_or(false))
    fields.Problem("store", "must be false: this server keeps no conversations");
  const auto tier = fields.Text("service_tier");
  if (tier && *tier != "auto" && *tier != "default" && *tier != "standard_only") {  // the last is Anthropic's word
    fields.Problem("service_tier", fmt::format("is {}, but it must be \"auto\" or \"default\"", Shown(*tier)));
  }
}

// Only what changes nothing: templates know no such variable.
void ReadVerbosity(Fields& fields) {
  if (const auto verbosity = fields.Text("verbosity"); verbosity && *verbosity != "medium") {
    fields.Problem("verbosity", fmt::format("is {}, but it must be \"medium\": say in the prompt how long the answer "
                                            "shall be",
                                            Shown(*verbosity)));
  }
}

// Priorities go before fairness and take the memory of others, so that keys have a greatest one.
int ReadPriority(Fields& fields, const HttpRequest& request) {
  const auto priority = fields.Integer("priority", -kMostPriority, kMostPriority).value_or(0);
  if (priority > request.max_priority) {
    fields.Problem("priority",
                   fmt::format("is {}, but requests with this API key may have {} at most; the server's key "
                               "file says how much",
                               priority, request.max_priority));
  }
  return static_cast<int>(priority);
}

// A form says itself when the answer is complete.
void CheckForm(Fields& fields, const GenerationOptions& options) {
  if (!options.grammar || !options.ignore_eos) return;
  fields.Problem("ignore_eos", "must be false where response_format, json_schema, regex or grammar say when to end");
}

}  // namespace

ApiStatus CheckModel(Fields& fields, const Model& model) {
  return CheckModelName(fields, model.id, "");
}

ApiStatus CheckModelName(Fields& fields, const std::string& id, std::string_view purpose) {
  const auto name = fields.Text("model");
  if (!name || *name == id) return {};
  ApiError error = Refuse(404, fmt::format("there is no model {}{}; this server has \"{}\"", Shown(*name), purpose, id),
                          "model_not_found")
                       .error();
  error.param = "model";
  return std::unexpected(std::move(error));
}

GenerationOptions ReadGeneration(Fields& fields, const Call& call) {
  GenerationOptions options;
  const int vocabulary = call.model->engine->info().vocabulary;
  options.sampling = ReadSampling(fields, call.app.sampling, vocabulary);
  options.choices = static_cast<int>(fields.Integer("n", 1, kMostChoices).value_or(1));
  options.stop = fields.Texts("stop", kMostStops);
  options.stop_tokens = fields.Integers("stop_token_ids", 0, vocabulary - 1, kMostStopTokens);
  options.ignore_eos = fields.Bool("ignore_eos").value_or(false);
  options.stream = fields.Bool("stream").value_or(false);
  if (const Json* stream_options = fields.Object("stream_options")) {
    Fields inner(*stream_options, "stream_options");
    options.include_usage = inner.Bool("include_usage").value_or(false);
    if (!options.stream) inner.Problem("include_usage", "needs stream to be true");
    inner.FinishInto(fields);
  }
  options.cache_salt = fields.Text("cache_salt", kLongestSalt).value_or("");
  options.cache_explain = fields.Bool("cache_explain").value_or(false);
  options.priority = ReadPriority(fields, call.http);
  options.timeout = std::chrono::milliseconds(fields.Integer("timeout_ms", 1, kLongestTimeoutMs).value_or(0));
  options.grammar = ReadResponseFormat(fields, *call.model);
  CheckForm(fields, options);
  ReadFixed(fields);
  return options;
}

void ReadHints(Fields& fields, GenerationOptions& options) {
  (void)fields.Text("prompt_cache_key");  // which of a provider's machines may hold the prompt; here the one has it
  ReadVerbosity(fields);
  const Json* metadata = fields.Object("metadata");
  if (metadata == nullptr) return;
  if (metadata->size() > kMostNotes) {
    fields.Problem("metadata", fmt::format("has {} members, but it may have {} at most", metadata->size(), kMostNotes));
  }
  for (const auto& [name, value] : metadata->items()) {
    const bool fits =
        name.size() <= kLongestName && value.is_string() && value.get_ref<const std::string&>().size() <= kLongestNote;
    if (fits) continue;
    fields.Problem("metadata", fmt::format("must have names of {} bytes at most, and texts of {} bytes at most",
                                           kLongestName, kLongestNote));
    return;
  }
  options.metadata = *metadata;
}

void ReadTextFormat(Fields& fields, const Call& call, GenerationOptions& options) {
  const Json* text = fields.Object("text");
  if (text == nullptr) return;
  Fields inner(*text, "text");
  ReadVerbosity(inner);
  if (const Json* format = inner.Object("format")) {
    std::optional<Grammar> grammar = ReadFormat(*format, "text.format", fields, *call.model);
    if (grammar && options.grammar) {
      fields.Problem("text.format", "and another member both say how the answer must look; give one of them");
    }
    if (grammar) options.grammar = std::move(grammar);
    options.text_format = *format;
  }
  inner.FinishInto(fields);
  CheckForm(fields, options);
}

ApiStatus CheckContext(const Model& model, size_t prompt_tokens, int max_tokens) {
  const auto context = static_cast<size_t>(model.engine->options().context_tokens);
  const size_t wanted = prompt_tokens + static_cast<size_t>(std::max(max_tokens, 0));
  if (prompt_tokens < context && wanted <= context) return {};
  if (model.engine->options().kv.endless()) return {};
  const std::string what = prompt_tokens >= context ? fmt::format("the prompt has {} tokens", prompt_tokens)
                                                    : fmt::format("the prompt's {} tokens and the {} asked for make {}",
                                                                  prompt_tokens, max_tokens, wanted);
  ApiError error =
      Refuse(400,
             fmt::format("{}, but the context holds {}; nothing is cut off silently, so shorten it", what, context),
             "context_length_exceeded")
          .error();
  error.details = {{"n_prompt_tokens", prompt_tokens}, {"n_ctx", context}};
  return std::unexpected(std::move(error));
}

}  // namespace kvasir::server
