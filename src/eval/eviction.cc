// Eviction policies beside each other: every text and prompt is computed once, and forgotten from in many ways.
//
// Branches (branches.h) make it cheap: the trunk costs one prefill, and what comes behind it is computed for a group of
// caches together. The reference is the whole cache with the same arithmetic, not exact mode: what is measured is what
// forgetting costs, and nothing else.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/seconds_since.h"
#include "engine/tokenizer_impl.h"
#include "eval/bootstrap.h"
#include "eval/branches.h"
#include "eval/chunks.h"
#include "eval/distribution.h"
#include "eval/divergence_meter.h"
#include "eval/ruler_questions.h"
#include "eval/runner.h"
#include "kvasir/eviction_eval.h"
#include "text/stream_decoder.h"

namespace kvasir {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kWhole = 0;   // the branch that forgets nothing
constexpr size_t kGroup = 11;  // so many others live at a time; each needs memory for what it keeps
constexpr int kPieceTokens = 128;

Status CheckPlan(const EngineOptions& options, const EvictionPlan& plan) {
  if (plan.caches.empty()) return Fail(ErrorCode::kInvalidArgument, "no cache was named to compare");
  if (options.kv.evicts()) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("the cache {} evicts, so it is no reference; name the policies beside it", KvSpecText(options.kv)));
  }
  for (const KvSpec& spec : plan.caches) {
    if (spec.evicts()) continue;
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the cache {} forgets nothing, so there is nothing to compare", KvSpecText(spec)));
  }
  return {};
}

class Evaluation {
 public:
  Evaluation(const EvictionPlan& plan, const EvalProgress& progress) : plan_(plan), progress_(progress) {}

  Result<EvictionReport> Run(const EngineOptions& options);

 private:
  using Group = std::vector<size_t>;  // branches

  Status Load(const EngineOptions& options);
  Status MeasureText();
  Status MeasureChunk(std::span<const int32_t> tokens);
  Status MeasureGroup(const Group& group, std::span<const int32_t> tokens, size_t first);
  Status AskQuestions();
  Status AskOne(const eval::RulerTask& task, const eval::RulerPrompt& prompt, size_t first_piece);
  Status Answer(const Group& group, const eval::RulerTask& task, const eval::RulerPrompt& prompt, size_t first_piece);
  void Summarise();
  [[nodiscard]] Status Step();
  [[nodiscard]] EvictionCost& CostOf(size_t branch) {
    return branch == kWhole ? report_.whole : report_.rows[branch - 1];
  }
  [[nodiscard]] std::vector<Group> Groups() const;

  const EvictionPlan& plan_;
  const EvalProgress& progress_;
  std::shared_ptr<Engine> engine_;
  std::optional<eval::Branches> branches_;
  std::optional<eval::RulerQuestions> questions_;
  std::vector<std::vector<int32_t>> chunks_;
  std::vector<eval::DivergenceMeter> meters_;  // of each branch
  std::vector<eval::Sample> held_;             // of each branch, in bytes
  std::vector<eval::Sample> held_tokens_;      // and in tokens
  std::vector<float> truth_;                   // [kPieceTokens, V] logits of the whole cache
  EvictionReport report_;
  int done_ = 0;
  int total_ = 0;
};

std::vector<Evaluation::Group> Evaluation::Groups() const {
  std::vector<Group> groups;
  for (size_t branch = 1; branch <= plan_.caches.size(); ++branch) {
    if (groups.empty() || groups.back().size() == kGroup) groups.emplace_back();
    groups.back().push_back(branch);
  }
  return groups;
}

Status Evaluation::Load(const EngineOptions& given) {
  EngineOptions options = given;
  options.context_tokens = plan_.text.context;
  std::vector<KvSpec> caches = {options.kv};
  caches.insert(caches.end(), plan_.caches.begin(), plan_.caches.end());
  options.kv_budget_bytes = 0;
  for (const Group& group : Groups()) {
    std::vector<KvSpec> alive = {options.kv};
    for (const size_t branch : group) alive.push_back(caches[branch]);
    KV_ASSIGN(const size_t bytes, eval::BranchBytes(options, alive));
    options.kv_budget_bytes = std::max(options.kv_budget_bytes, bytes);
  }
  KV_ASSIGN(engine_, Engine::Load(options));
  KV_ASSIGN(eval::Branches branches, eval::Branches::Create(engine_, caches));
  branches_.emplace(std::move(branches));
  KV_ASSIGN(chunks_, eval::CutText(*engine_, plan_.text));
  total_ = static_cast<int>(chunks_.size());
  if (plan_.ruler.samples > 0) {
    RulerPlan ruler = plan_.ruler;
    ruler.context = plan_.text.context;
    KV_ASSIGN(eval::RulerQuestions questions, eval::RulerQuestions::Create(*engine_, ruler));
    questions_.emplace(std::move(questions));
    total_ += ruler.samples * static_cast<int>(questions_->tasks().size());
  }
  meters_.resize(caches.size());
  held_.resize(caches.size());
  held_tokens_.resize(caches.size());
  truth_.resize(static_cast<size_t>(kPieceTokens) * static_cast<size_t>(engine_->info().vocabulary));
  report_ = {.model = engine_->info().name, .configuration = eval::ConfigurationOf(*engine_)};
  report_.whole.kv = engine_->options().kv;
  for (const KvSpec& spec : plan_.caches) report_.rows.push_back({.kv = spec});
  return {};
}

Status Evaluation::Step() {
  ++done_;
  if (!progress_ || progress_(done_, total_, static_cast<double>(done_) / total_)) return {};
  return std::unexpected(eval::Cancelled());
}

Status Evaluation::MeasureText() {
  for (const std::vector<int32_t>& chunk : chunks_) {
    KV_TRY(MeasureChunk(chunk));
    KV_TRY(Step());
  }
  return {};
}

Status Evaluation::MeasureChunk(std::span<const int32_t> tokens) {
  const size_t first = tokens.size() * 3 / 4;
  KV_TRY(branches_->Grow(tokens.first(first)));
  const size_t end = std::min(tokens.size(), first + static_cast<size_t>(EvictionPlan::kScoredTokens) + 1);
  for (const Group& group : Groups()) KV_TRY(MeasureGroup(group, tokens.first(end), first));
  for (eval::DivergenceMeter& meter : meters_) meter.EndChunk();
  return {};
}

// The distributions behind tokens [first, end - 1) of a group, and of the whole cache beside it.
Status Evaluation::MeasureGroup(const Group& group, std::span<const int32_t> tokens, size_t first) {
  const auto vocabulary = static_cast<size_t>(engine_->info().vocabulary);
  KV_TRY(branches_->Start(kWhole));
  const auto whole_bytes = static_cast<double>(branches_->bytes(kWhole));
  for (const size_t branch : group) {
    KV_TRY(branches_->Start(branch));
    held_[branch].Add(static_cast<double>(branches_->bytes(branch)) / whole_bytes);
    held_tokens_[branch].Add(branches_->tokens_held(branch));
  }
  for (size_t begin = first; begin + 1 < tokens.size(); begin += kPieceTokens) {
    const auto piece = tokens.subspan(begin, std::min<size_t>(kPieceTokens, tokens.size() - 1 - begin));
    const auto truth = [&](int index) {
      return std::span(truth_).subspan(static_cast<size_t>(index) * vocabulary, vocabulary);
    };
    const eval::Branches::Work whole{.branch = kWhole, .tokens = piece, .first_logits = 0};
    KV_TRY(branches_->Run({&whole, 1}, [&](size_t, int index, std::span<const float> logits) {
      std::memcpy(truth(index).data(), logits.data(), logits.size_bytes());
    }));
    std::vector<eval::Branches::Work> work;
    for (const size_t branch : group) work.push_back({.branch = branch, .tokens = piece, .first_logits = 0});
    KV_TRY(branches_->Run(work, [&](size_t item, int index, std::span<const float> logits) {
      const size_t position = begin + static_cast<size_t>(index);
      meters_[group[item]].Add({.configuration = group[item],
                                .position = static_cast<int>(position),
                                .exact = truth(index),
                                .asked = logits,
                                .next = tokens[position + 1]});
    }));
  }
  branches_->End(kWhole);
  for (const size_t branch : group) branches_->End(branch);
  return {};
}

Status Evaluation::AskQuestions() {
  if (!questions_) return {};
  for (const eval::RulerTask* task : questions_->tasks()) {
    for (size_t branch = 0; branch < branches_->size(); ++branch) {
      CostOf(branch).ruler.tasks.push_back({.task = std::string(task->name)});
    }
    for (int i = 0; i < plan_.ruler.samples; ++i) {
      KV_ASSIGN(const eval::RulerPrompt prompt, questions_->Prompt(*task, i));
      KV_TRY(AskOne(*task, prompt, questions_->FirstPiece(prompt)));
      KV_TRY(Step());
    }
  }
  return {};
}

Status Evaluation::AskOne(const eval::RulerTask& task, const eval::RulerPrompt& prompt, size_t first_piece) {
  KV_TRY(branches_->Grow(std::span(prompt.tokens).first(first_piece)));
  bool first = true;
  for (Group group : Groups()) {
    if (std::exchange(first, false)) group.push_back(kWhole);
    KV_TRY(Answer(group, task, prompt, first_piece));
  }
  return {};
}

// The greedy answers of a group, a token of each at a time.
Status Evaluation::Answer(const Group& group, const eval::RulerTask& task, const eval::RulerPrompt& prompt,
                          size_t first_piece) {
  struct Answering {
    size_t branch;
    text::StreamDecoder decoder;
    int count = 0;
    int32_t next = 0;
    std::string text = {};
  };
  const Tokenizer& tokenizer = engine_->tokenizer();
  std::vector<Answering> answers;
  std::vector<eval::Branches::Work> work;
  const auto question = std::span(prompt.tokens).subspan(first_piece);
  for (const size_t branch : group) {
    KV_TRY(branches_->Start(branch));
    answers.push_back({.branch = branch,
                       .decoder = text::StreamDecoder(tokenizer.impl().tokenizer(),
                                                      {.skip_special = true, .strip_space_prefix = false})});
    work.push_back({.branch = branch, .tokens = question, .first_logits = static_cast<int>(question.size()) - 1});
  }
  std::vector<size_t> asked(group.size());  // of each item of work, whose answer it goes on with
  for (size_t i = 0; i < asked.size(); ++i) asked[i] = i;
  while (!work.empty()) {
    KV_TRY(branches_->Run(work, [&](size_t item, int, std::span<const float> logits) {
      answers[asked[item]].next = eval::TopToken(logits);
    }));
    std::vector<size_t> going_on;
    for (const size_t i : asked) {
      Answering& answer = answers[i];
      const bool ends = tokenizer.IsEndOfGeneration(answer.next);
      if (!ends) answer.text += answer.decoder.Push(answer.next);
      if (eval::Recall(eval::FindFacts(prompt.facts, answer.text)) == 1) continue;
      if (!ends && ++answer.count < task.answer_tokens) {
        going_on.push_back(i);
      } else {
        answer.text += answer.decoder.Flush();
      }
    }
    asked = std::move(going_on);
    work.clear();
    for (const size_t i : asked) {
      work.push_back({.branch = answers[i].branch, .tokens = {&answers[i].next, 1}, .first_logits = 0});
    }
  }
  for (Answering& answer : answers) {
    CostOf(answer.branch).ruler.tasks.back().samples.push_back(eval::Judge(prompt, std::move(answer.text)));
    branches_->End(answer.branch);
  }
  return {};
}

void Evaluation::Summarise() {
  for (size_t branch = 0; branch < branches_->size(); ++branch) {
    EvictionCost& cost = CostOf(branch);
    if (branch != kWhole) {
      cost.divergence = meters_[branch].Report(plan_.text.seed);
      cost.held = held_[branch].Mean();
      cost.held_tokens = held_tokens_[branch].Mean();
    }
    if (questions_) eval::Summarise(cost.ruler, plan_.ruler.seed);
    cost.ruler.chat_template = questions_ && questions_->chat_template();
  }
  for (const RulerTaskReport& task : report_.whole.ruler.tasks) {
    if (task.score >= EvictionReport::kSolvedScore) report_.solved.push_back(task.task);
  }
  for (size_t branch = 0; branch < branches_->size() && !report_.solved.empty(); ++branch) {
    EvictionCost& cost = CostOf(branch);
    RulerReport solved;
    for (const RulerTaskReport& task : cost.ruler.tasks) {
      if (std::ranges::count(report_.solved, task.task) > 0) solved.tasks.push_back(task);
    }
    eval::Summarise(solved, plan_.ruler.seed);
    cost.solved_score = solved.score;
    cost.solved_interval = solved.interval;
  }
}

Result<EvictionReport> Evaluation::Run(const EngineOptions& options) {
  KV_TRY(CheckPlan(options, plan_));
  KV_TRY(Load(options));
  const Clock::time_point start = Clock::now();
  KV_TRY(MeasureText());
  KV_TRY(AskQuestions());
  Summarise();
  report_.seconds = base::SecondsSince(start);
  return std::move(report_);
}

}  // namespace

Result<EvictionReport> EvalEviction(const EngineOptions& options, const EvictionPlan& plan,
                                    const EvalProgress& progress) {
  return Evaluation(plan, progress).Run(options);
}

}  // namespace kvasir
