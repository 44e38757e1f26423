#include "server/choices_format.h"

namespace kvasir::server {

ChoicesFormat::ChoicesFormat(const Model& model, GenerationOptions options, const char* id_prefix, const char* object,
                             const char* chunk_object)
    : model_(model),
      options_(std::move(options)),
      object_(object),
      chunk_object_(chunk_object),
      id_(NewId(id_prefix)),
      created_(Now()) {}

Json ChoicesFormat::Envelope(const char* object) const {
  return {{"id", id_},
          {"object", object},
          {"created", created_},
          {"model", model_.id},
          {"system_fingerprint", model_.fingerprint}};
}

void ChoicesFormat::Chunk(std::string& out, Json choice, const char* finish) const {
  Json event = Envelope(chunk_object_);
  choice["finish_reason"] = finish == nullptr ? Json(nullptr) : Json(finish);
  event["choices"] = Json::array({std::move(choice)});
  if (options_.include_usage) event["usage"] = nullptr;
  AppendEvent(out, event);
}

void ChoicesFormat::Last(std::string& out, const Work& work) {
  if (options_.include_usage || options_.cache_explain) {
    Json event = Envelope(chunk_object_);
    event["choices"] = Json::array();
    event["usage"] = options_.include_usage ? UsageJson(work.TokenUsage()) : Json(nullptr);
    if (options_.cache_explain) event["cache"] = work.CacheJson();
    AppendEvent(out, event);
  }
  out += "data: [DONE]\n\n";
}

void ChoicesFormat::Break(std::string& out, const ApiError& error) {
  AppendEvent(out, ErrorJson(error));
}

Json ChoicesFormat::Whole(const Work& work) {
  Json answer = Envelope(object_);
  answer["choices"] = Json::array();
  for (size_t i = 0; i < work.size(); ++i) {
    const Generation& generation = work.End(i)->generation;
    Json choice = WholeChoice(i, generation);
    choice["logprobs"] = options_.logprobs ? WholeLogprobs(i, generation) : Json(nullptr);
    choice["finish_reason"] = WholeFinish(generation, choice);
    answer["choices"].push_back(std::move(choice));
  }
  answer["usage"] = UsageJson(work.TokenUsage());
  if (options_.cache_explain) answer["cache"] = work.CacheJson();
  return answer;
}

}  // namespace kvasir::server
