#include "server/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <random>

#include "base/check.h"
#include "server/chat_prompt.h"

namespace kvasir::server {
namespace {

// OpenAI's limits, where the engine itself has none.
constexpr int kMostChoices = 128;
constexpr size_t kMostStops = 32;
constexpr size_t kMostStopTokens = 1024;
constexpr size_t kLongestSalt = 1024;
constexpr int kMostPriority = 1'000'000;
constexpr int64_t kLongestTimeoutMs = 24LL * 3600 * 1000;
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
    if (error.param == "repeat_penalty" && by_other_name) error.param = "repetition_penalty";
    fields.Problem(std::move(error));
  }
  return sampling;
}

// Members that OpenAI knows and that can mean only one thing here.
void ReadFixed(Fields& fields) {
  (void)fields.Text("user");  // who asks, for the provider's own statistics: no influence on the answer by definition
  (void)fields.Text("safety_identifier");
  if (fields.Bool("store").value_or(false))
    fields.Problem("store", "must be false: this server keeps no conversations");
  const auto tier = fields.Text("service_tier");
  if (tier && *tier != "auto" && *tier != "default") {
    fields.Problem("service_tier", fmt::format("is {}, but it must be \"auto\" or \"default\"", Shown(*tier)));
  }
}

}  // namespace

ApiStatus CheckModel(Fields& fields, const Model& model) {
  const auto name = fields.Text("model");
  if (!name || *name == model.id) return {};
  ApiError error = Refuse(404, fmt::format("there is no model {}; this server has \"{}\"", Shown(*name), model.id),
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
    if (ApiStatus status = inner.Finish(); !status) fields.Problem(std::move(status).error());
  }
  options.cache_salt = fields.Text("cache_salt", kLongestSalt).value_or("");
  options.cache_explain = fields.Bool("cache_explain").value_or(false);
  options.priority = static_cast<int>(fields.Integer("priority", -kMostPriority, kMostPriority).value_or(0));
  options.timeout = std::chrono::milliseconds(fields.Integer("timeout_ms", 1, kLongestTimeoutMs).value_or(0));
  ReadFixed(fields);
  return options;
}

ApiStatus CheckContext(const Model& model, size_t prompt_tokens, int max_tokens) {
  const auto context = static_cast<size_t>(model.engine->options().context_tokens);
  const size_t wanted = prompt_tokens + static_cast<size_t>(std::max(max_tokens, 0));
  if (prompt_tokens < context && wanted <= context) return {};
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

Work::Work(const Model& model, Metrics& metrics, size_t choices_per_prompt, size_t size)
    : model_(model), metrics_(metrics), choices_per_prompt_(choices_per_prompt), states_(size), open_(size) {}

Submission Work::SubmissionFor(const Call& call, const GenerationOptions& options, const std::vector<int32_t>& prompt,
                               size_t number) {
  Submission submission;
  Request& request = submission.request;
  request.prompt = prompt;
  request.max_tokens = options.max_tokens;
  request.sampling = options.sampling;
  if (request.sampling.seed) *request.sampling.seed += number % choices_per_prompt_;
  request.stop = options.stop;
  request.stop_tokens = options.stop_tokens;
  request.ignore_end_of_text = options.ignore_eos;
  request.logprobs = options.logprobs;
  request.prompt_logprobs = options.prompt_logprobs;
  request.on_token = [self = shared_from_this(), number](const TokenEvent& event) {
    self->OnToken(number, event);
    return true;
  };
  submission.on_done = [self = shared_from_this(), number](Result<Completion> end) {
    self->OnDone(number, std::move(end));
  };
  submission.tenant = call.http.tenant;
  submission.cache_salt = options.cache_salt;
  submission.priority = options.priority;
  submission.timeout = options.timeout;
  submission.label = call.http.id;
  return submission;
}

ApiResult<std::shared_ptr<Work>> Work::Submit(const Call& call, const GenerationOptions& options,
                                              std::vector<PromptTokens> prompts) {
  const auto choices = static_cast<size_t>(options.choices);
  const size_t size = prompts.size() * choices;
  Scheduler& scheduler = *call.model->scheduler;
  const int room = scheduler.options().max_running + scheduler.options().max_waiting;
  if (size > static_cast<size_t>(room)) {
    return Refuse(400, fmt::format("{} prompts with n = {} make {} answers, but this server takes {} at once",
                                   prompts.size(), choices, size, room));
  }
  const std::shared_ptr<Work> work(new Work(*call.model, call.app.metrics, choices, size));
  for (size_t i = 0; i < size; ++i) {
    auto id = scheduler.Submit(work->SubmissionFor(call, options, prompts[i / choices].tokens, i));
    if (!id) {
      work->Cancel();
      return std::unexpected(FromEngine(id.error()));
    }
    const std::lock_guard lock(work->mutex_);
    work->states_[i].id = *id;
  }
  return work;
}

void Work::OnChange(std::function<void()> wake) {
  {
    const std::lock_guard lock(mutex_);
    wake_ = wake;
  }
  wake();  // something may have happened before
}

void Work::OnToken(size_t choice, const TokenEvent& event) {
  std::function<void()> wake;
  {
    const std::lock_guard lock(mutex_);
    State& state = states_[choice];
    if (event.token >= 0) {
      const Clock::time_point now = Clock::now();
      const double since = std::chrono::duration<double>(now - (state.tokens == 0 ? start_ : state.last_token)).count();
      (state.tokens == 0 ? metrics_.time_to_first_token : metrics_.inter_token).Observe(since);
      state.last_token = now;
      ++state.tokens;
    }
    // While something waits to be fetched, the connection knows already.
    const bool known = state.fresh.tokens > 0 || !state.fresh.text.empty();
    state.fresh.text += event.text;
    if (event.scores != nullptr) state.fresh.scores.push_back(*event.scores);
    state.fresh.tokens += event.token >= 0 ? 1 : 0;
    if (!known) wake = wake_;
  }
  if (wake) wake();
}

void Work::OnDone(size_t choice, Result<Completion> end) {
  std::function<void()> wake;
  {
    const std::lock_guard lock(mutex_);
    State& state = states_[choice];
    state.end = std::move(end);
    state.fresh.finished = true;
    --open_;
    Observe(state);
    wake = wake_;
  }
  if (wake) wake();
}

void Work::Observe(const State& state) const {
  if (!state.end->has_value()) {
    metrics_.CountFinished("error");
    return;
  }
  const Completion& end = **state.end;
  metrics_.CountFinished(FinishName(end.generation.reason));
  metrics_.end_to_end.Observe(std::chrono::duration<double>(Clock::now() - start_).count());
  metrics_.queue.Observe(end.queue_seconds);
  metrics_.prefill.Observe(end.generation.prompt_seconds);
  metrics_.decode.Observe(end.generation.decode_seconds);
  metrics_.prompt_tokens.Observe(end.generation.prompt_tokens);
  metrics_.generated_tokens.Observe(static_cast<double>(end.generation.tokens.size()));
}

Produced Work::Take(size_t choice) {
  const std::lock_guard lock(mutex_);
  Produced fresh = std::exchange(states_[choice].fresh, {});
  states_[choice].fresh.finished = fresh.finished;
  return fresh;
}

const Result<Completion>& Work::End(size_t choice) const {
  const std::lock_guard lock(mutex_);
  KV_CHECK(states_[choice].end.has_value());
  return *states_[choice].end;  // set once, never changed again
}

bool Work::AllFinished() const {
  const std::lock_guard lock(mutex_);
  return open_ == 0;
}

Usage Work::TokenUsage() const {
  const std::lock_guard lock(mutex_);
  Usage usage;
  for (size_t i = 0; i < states_.size(); ++i) {
    const auto& end = states_[i].end;
    if (!end || !end->has_value()) {
      usage.completion_tokens += states_[i].tokens;
      continue;
    }
    const Generation& generation = (*end)->generation;
    usage.completion_tokens += static_cast<int64_t>(generation.tokens.size());
    if (i % choices_per_prompt_ == 0) {
      usage.prompt_tokens += generation.prompt_tokens;
      usage.cached_tokens += generation.cached_tokens;
    }
  }
  return usage;
}

Json Work::CacheJson() const {
  const std::lock_guard lock(mutex_);
  Json list = Json::array();
  for (size_t i = 0; i < states_.size(); i += choices_per_prompt_) {
    if (!states_[i].end || !states_[i].end->has_value()) continue;
    const Completion& end = **states_[i].end;
    list.push_back({{"index", i},
                    {"matched_tokens", end.cache.matched_tokens},
                    {"prompt_tokens", end.generation.prompt_tokens},
                    {"ended_because", CacheMissName(end.cache.reason)}});
  }
  return list;
}

void Work::Cancel() {
  std::vector<RequestId> ids;
  {
    const std::lock_guard lock(mutex_);
    for (const State& state : states_) {
      if (!state.end && state.id != 0) ids.push_back(state.id);
    }
  }
  for (const RequestId id : ids) model_.scheduler->Cancel(id);
}

const char* FinishName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
    case FinishReason::kCancelled: return "cancelled";
    case FinishReason::kDeadline: return "timeout";
  }
  return "stop";
}

ApiResult<std::shared_ptr<Work>> SubmitConversation(const Call& call, const GenerationOptions& options,
                                                    const Json& conversation) {
  KV_ASSIGN(const std::string text, RenderConversation(*call.model, conversation));
  std::vector<PromptTokens> prompts = {{EncodeRendered(call.model->engine->tokenizer(), text)}};
  KV_TRY(CheckContext(*call.model, prompts.front().tokens.size(), options.max_tokens));
  return Work::Submit(call, options, std::move(prompts));
}

Json UsageJson(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

std::string NewId(const char* prefix) {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return fmt::format("{}{:016x}{:08x}", prefix, random(), random() >> 32U);
}

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace kvasir::server
