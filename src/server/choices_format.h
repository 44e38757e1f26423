// What OpenAI's two older APIs, chats and completions, write alike: an envelope around a list of choices.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "server/answer.h"
#include "server/app.h"

namespace kvasir::server {

class ChoicesFormat : public AnswerFormat {
 public:
  /// `object` and `chunk_object` name whole answers and parts of a stream; ids begin with `id_prefix`.
  ChoicesFormat(const Model& model, GenerationOptions options, const char* id_prefix, const char* object,
                const char* chunk_object);

  /// With include_usage or cache_explain an event without choices, then the word that ends a stream.
  void Last(std::string& out, const Work& work) final;
  void Break(std::string& out, const ApiError& error) final;
  [[nodiscard]] Json Whole(const Work& work) final;

 protected:
  [[nodiscard]] const Model& model() const { return model_; }
  [[nodiscard]] const GenerationOptions& options() const { return options_; }
  /// Appends one event; `choice` lacks only its finish_reason, null where `finish` is.
  void Chunk(std::string& out, Json choice, const char* finish) const;

 private:
  /// The choice of a whole answer: without logprobs and finish_reason, which follow.
  [[nodiscard]] virtual Json WholeChoice(size_t index, const Generation& generation) const = 0;
  [[nodiscard]] virtual Json WholeLogprobs(size_t index, const Generation& generation) const = 0;
  [[nodiscard]] virtual const char* WholeFinish(const Generation& generation, const Json& /*choice*/) const {
    return FinishName(generation.reason);
  }
  [[nodiscard]] Json Envelope(const char* object) const;

  const Model& model_;
  GenerationOptions options_;
  const char* object_;
  const char* chunk_object_;
  std::string id_;
  int64_t created_;
};

}  // namespace kvasir::server
