// The options that all requests which generate share.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kvasir/grammar.h"
#include "kvasir/sampling.h"
#include "server/api_error.h"
#include "server/app.h"
#include "server/fields.h"
#include "server/routes.h"
#include "server/tools/tool.h"

namespace kvasir::server {

/// Texts at most that may end an answer.
inline constexpr size_t kMostStops = 32;

/// The options of a request, apart from its prompt.
struct GenerationOptions {
  SamplingOptions sampling;
  int max_tokens = -1;  ///< Negative: until the model stops or the context is full.
  int choices = 1;
  std::vector<std::string> stop;
  std::vector<int32_t> stop_tokens;
  bool ignore_eos = false;
  bool stream = false;
  bool include_usage = false;  ///< Of a stream.
  bool cache_explain = false;
  bool logprobs = false;  ///< With sampling.n_probs alternatives.
  bool prompt_logprobs = false;
  std::optional<Grammar> grammar;         ///< What an answer must look like.
  Json text_format = {{"type", "text"}};  ///< The same in the words of /v1/responses, whose answers repeat it.
  Json metadata = Json::object();         ///< A client's notes for itself, which a response repeats.
  std::string cache_salt;
  int priority = 0;
  std::chrono::milliseconds timeout{0};
  ToolOptions tools;
  // What the rendered prompt says, for answers to a conversation:
  bool thinking = false;              ///< It ends inside the model's thoughts.
  std::vector<int32_t> shown_tokens;  ///< Control tokens whose text is needed to read an answer.
};

/// 404 where the request names a model that is not served.
[[nodiscard]] ApiStatus CheckModel(Fields& fields, const Model& model);
/// The same for a model called `id`; `purpose`, such as " for embeddings", is what the message adds.
[[nodiscard]] ApiStatus CheckModelName(Fields& fields, const std::string& id, std::string_view purpose);

/// Reads the members that all such requests share. Problems are noted in `fields`.
[[nodiscard]] GenerationOptions ReadGeneration(Fields& fields, const Call& call);

/// Reads what OpenAI's newer clients say and what has no influence on an answer here: prompt_cache_key, metadata, and
/// verbosity, of which there is one.
void ReadHints(Fields& fields, GenerationOptions& options);

/// Reads `text.format`, in which /v1/responses says what response_format says elsewhere.
void ReadTextFormat(Fields& fields, const Call& call, GenerationOptions& options);

/// Checks that the prompt and the answer asked for fit the context. 400, code context_length_exceeded, with both
/// numbers.
[[nodiscard]] ApiStatus CheckContext(const Model& model, size_t prompt_tokens, int max_tokens);

}  // namespace kvasir::server
