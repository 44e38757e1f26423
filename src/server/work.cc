#include "server/work.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/seconds_since.h"
#include "server/chat_prompt.h"
#include "server/tools/call_constraint.h"

namespace kvasir::server {

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
  request.shown_tokens = options.shown_tokens;
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
  const int places = QueuePlacesOf(call.http.tenant, scheduler.options().max_waiting);
  const int room = scheduler.options().max_running + places;
  if (size > static_cast<size_t>(room)) {
    return Refuse(400, fmt::format("{} prompts with n = {} make {} answers, but this server takes {} at once",
                                   prompts.size(), choices, size, room));
  }
  std::shared_ptr<Work> work(new Work(*call.model, call.app.metrics, choices, size));
  for (size_t i = 0; i < size; ++i) {
    {
      const std::lock_guard lock(work->mutex_);
      work->states_[i].prompt_tokens = static_cast<int64_t>(prompts[i / choices].tokens.size());
    }
    Submission submission = work->SubmissionFor(call, options, prompts[i / choices].tokens, i);
    if (options.grammar) {
      auto constraint = Constrain(*call.model->engine, *options.grammar);
      if (!constraint) {
        work->Cancel();
        return std::unexpected(FromEngine(constraint.error()));
      }
      submission.request.constraint = std::move(*constraint);
    }
    auto id = scheduler.Submit(std::move(submission));
    if (!id) {
      work->Cancel();
      if (id.error().code != ErrorCode::kResourceExhausted) return std::unexpected(FromEngine(id.error()));
      return std::unexpected(QueueFull(id.error().message, call.app.metrics.SecondsUntilFinished(places)));
    }
    const std::lock_guard lock(work->mutex_);
    work->states_[i].id = *id;
  }
  work->ObserveRequest(options);
  return work;
}

// What vLLM counts of a request's parameters, prompt by prompt.
void Work::ObserveRequest(const GenerationOptions& options) const {
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < states_.size(); i += choices_per_prompt_) {
    const int64_t room = model_.engine->options().context_tokens - states_[i].prompt_tokens;
    metrics_.choices.Observe(options.choices);
    metrics_.max_tokens.Observe(static_cast<double>(options.max_tokens < 0 ? room : options.max_tokens));
  }
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
    if (open_ == 0) ObserveLongest();
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
  const double seconds = base::SecondsSince(start_);
  metrics_.CountPace(seconds);
  metrics_.end_to_end.Observe(seconds);
  metrics_.queue.Observe(end.queue_seconds);
  metrics_.prefill.Observe(end.generation.prompt_seconds);
  metrics_.decode.Observe(end.generation.decode_seconds);
  metrics_.inference.Observe(end.generation.prompt_seconds + end.generation.decode_seconds);
  metrics_.prompt_tokens.Observe(end.generation.prompt_tokens);
  metrics_.generated_tokens.Observe(static_cast<double>(end.generation.tokens.size()));
}

// The longest answer of each prompt.
void Work::ObserveLongest() const {
  for (size_t i = 0; i < states_.size(); i += choices_per_prompt_) {
    int longest = 0;
    for (size_t k = i; k < i + choices_per_prompt_; ++k) longest = std::max(longest, states_[k].tokens);
    metrics_.longest_answer.Observe(longest);
  }
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
    if (i % choices_per_prompt_ == 0) usage.prompt_tokens += states_[i].prompt_tokens;
    if (!end || !end->has_value()) {
      usage.completion_tokens += states_[i].tokens;
      continue;
    }
    const Generation& generation = (*end)->generation;
    usage.completion_tokens += static_cast<int64_t>(generation.tokens.size());
    if (i % choices_per_prompt_ == 0) usage.cached_tokens += generation.cached_tokens;
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

namespace {

// What the tools of a request ask of its answers.
ApiStatus HoldToTools(GenerationOptions& options, const Model& model) {
  auto grammar = AnswerGrammar(options.tools, model.tools, options.grammar, options.thinking);
  // Compiled here, so that whatever is wrong with a schema is found before anything is queued; the engine keeps it.
  Status usable;
  if (!grammar) {
    usable = std::unexpected(grammar.error());
  } else if (*grammar && options.tools.offered()) {
    if (const auto constraint = Constrain(*model.engine, **grammar); !constraint) {
      usable = std::unexpected(constraint.error());
    }
    if (options.ignore_eos) return BadField("ignore_eos", "must be false where calls say when the answer ends");
  }
  if (!usable) return BadField("tools", fmt::format("cannot be used: {}", usable.error().message));
  options.grammar = std::move(*grammar);
  return {};
}

}  // namespace

const char* FinishName(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop: return "stop";
    case FinishReason::kLength: return "length";
    case FinishReason::kCancelled: return "cancelled";
    case FinishReason::kDeadline: return "timeout";
  }
  return "stop";
}

ApiResult<std::shared_ptr<Work>> SubmitConversation(const Call& call, GenerationOptions& options, Json conversation) {
  const ToolDialect& dialect = call.model->tools;
  KV_ASSIGN(const std::string text, RenderConversation(*call.model, std::move(conversation), options.tools));
  options.thinking = dialect.separate_thoughts && dialect.thoughts != nullptr && dialect.thoughts->BeginsIn(text);
  options.shown_tokens = dialect.ShownTokens(options.tools);
  KV_TRY(HoldToTools(options, *call.model));
  std::vector<PromptTokens> prompts = {{EncodeRendered(call.model->engine->tokenizer(), text)}};
  KV_TRY(CheckContext(*call.model, prompts.front().tokens.size(), options.max_tokens));
  return Work::Submit(call, options, std::move(prompts));
}

}  // namespace kvasir::server
