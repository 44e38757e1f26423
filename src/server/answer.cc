#include "server/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

namespace kvasir::server {
namespace {

// Both kinds of answer end their requests when nobody waits for them any more.
class Answer : public Exchange {
 public:
  Answer(std::shared_ptr<Work> work, std::unique_ptr<AnswerFormat> format)
      : work_(std::move(work)), format_(std::move(format)) {}
  ~Answer() override { work_->Cancel(); }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;

  void Start(std::function<void()> wake) override { work_->OnChange(std::move(wake)); }
  void Cancel() override { work_->Cancel(); }
  [[nodiscard]] LogFields Summary() const override {
    const Usage usage = work_->TokenUsage();
    LogFields fields = {{"prompt_tokens", fmt::to_string(usage.prompt_tokens)},
                        {"cached_tokens", fmt::to_string(usage.cached_tokens)},
                        {"generated_tokens", fmt::to_string(usage.completion_tokens)},
                        {"finished", work_->AllFinished() ? "yes" : "no"}};
    fields.insert(fields.end(), error_log_.begin(), error_log_.end());
    return fields;
  }

 protected:
  Work& work() { return *work_; }
  AnswerFormat& format() { return *format_; }
  [[nodiscard]] const AnswerFormat& format() const { return *format_; }
  void NoteError(const ApiError& error) { error_log_ = ErrorLog(error); }

 private:
  LogFields error_log_;
  std::shared_ptr<Work> work_;
  std::unique_ptr<AnswerFormat> format_;
};

class WholeAnswer final : public Answer {
 public:
  using Answer::Answer;

  std::optional<HttpHead> Head() override {
    if (!work().AllFinished()) return std::nullopt;
    response_ = Response();
    return response_.head;
  }
  bool Poll(std::string& body) override {
    body += response_.body;
    return true;
  }

 private:
  HttpResponse Response() {
    for (size_t i = 0; i < work().size(); ++i) {
      if (const auto error = ErrorOf(work().End(i))) {
        NoteError(*error);
        return format().Failure(*error);
      }
    }
    return JsonResponse(format().Whole(work()));
  }

  HttpResponse response_;
};

class StreamedAnswer final : public Answer {
 public:
  StreamedAnswer(std::shared_ptr<Work> the_work, std::unique_ptr<AnswerFormat> the_format)
      : Answer(std::move(the_work), std::move(the_format)), ended_(work().size(), false) {}

  [[nodiscard]] bool streams() const override { return true; }
  [[nodiscard]] std::string Ping() const override { return format().Ping(); }
  std::optional<HttpHead> Head() override {
    return HttpHead{.status = 200,
                    .headers = {{"content-type", "text/event-stream; charset=utf-8"},
                                {"cache-control", "no-cache"},
                                {"x-accel-buffering", "no"}}};
  }

  bool Poll(std::string& body) override {
    if (!std::exchange(begun_, true)) format().Begin(body, work());
    for (size_t i = 0; i < ended_.size(); ++i) {
      if (ended_[i]) continue;
      const Produced fresh = work().Take(i);
      if (!fresh.text.empty() || !fresh.scores.empty()) format().Piece(body, i, fresh);
      if (!fresh.finished) continue;
      ended_[i] = true;
      const Result<Completion>& end = work().End(i);
      if (const auto error = ErrorOf(end)) {
        NoteError(*error);
        format().Break(body, *error);
        return true;
      }
      format().End(body, i, *end);
    }
    if (std::find(ended_.begin(), ended_.end(), false) != ended_.end()) return false;
    format().Last(body, work());
    return true;
  }

 private:
  bool begun_ = false;
  std::vector<bool> ended_;
};

}  // namespace

std::shared_ptr<Exchange> MakeAnswer(std::shared_ptr<Work> work, std::unique_ptr<AnswerFormat> format, bool stream) {
  if (stream) return std::make_shared<StreamedAnswer>(std::move(work), std::move(format));
  return std::make_shared<WholeAnswer>(std::move(work), std::move(format));
}

void AppendEvent(std::string& out, const Json& data, std::string_view name) {
  if (!name.empty()) out += fmt::format("event: {}\n", name);
  out += "data: ";
  out += DumpJson(data);
  out += "\n\n";
}

std::optional<ApiError> ErrorOf(const Result<Completion>& end) {
  if (!end) return FromEngine(end.error());
  if (end->generation.reason != FinishReason::kCancelled) return std::nullopt;
  ApiError stopped = Refuse(503, "the server stopped before this answer was complete", "cancelled").error();
  stopped.retry_after_seconds = 5;
  return stopped;
}

double FiniteLogprob(double logprob) {
  constexpr double kFloor = -9999.0;
  return std::isfinite(logprob) ? std::max(logprob, kFloor) : kFloor;
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
