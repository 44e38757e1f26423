// POST /v1/completions, in OpenAI's words (serving.md D5).
//
// Evaluation harnesses score texts here: they send token ids with echo and logprobs, and count a token as the model's
// own choice when its log probability equals the greatest of top_logprobs, compared as floating-point numbers. So both
// are printed from the same double, and the token itself always stands among the top ones.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "server/choices_format.h"
#include "server/fields.h"
#include "server/routes.h"
#include "server/work.h"

namespace kvasir::server {
namespace {

constexpr int kDefaultTokens = 16;  // OpenAI's
constexpr int kMostLogprobs = 20;
constexpr size_t kMostPrompts = 1024;

// A prompt and what it was: echo repeats it as it was given.
struct Prompt {
  std::string text;
  std::vector<int32_t> tokens;
};

bool IsUtf8(const std::string& bytes) {
  try {
    (void)Json(bytes).dump();
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

// The text of a token; "bytes:\xe2\x80" for a part of a character, as OpenAI writes it.
std::string TokenName(const std::string& piece) {
  if (IsUtf8(piece)) return piece;
  std::string name = "bytes:";
  for (const char c : piece) name += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  return name;
}

// Characters that begin in `piece`: summed over the pieces of a text they are its characters, wherever it was cut.
size_t CharactersIn(const std::string& piece) {
  return static_cast<size_t>(std::count_if(piece.begin(), piece.end(),
                                           [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

// The four lists of logprobs, built token by token.
class LogprobLists {
 public:
  explicit LogprobLists(const Tokenizer& tokenizer, size_t offset = 0) : tokenizer_(tokenizer), offset_(offset) {}

  void AddFirst(int32_t token) {
    Name(token);
    logprobs_.push_back(nullptr);
    top_.push_back(nullptr);
  }
  void Add(const TokenScores& scores) {
    Name(scores.chosen.token);
    logprobs_.push_back(FiniteLogprob(scores.chosen.logprob));
    Json top = Json::object();
    for (const ScoredToken& other : scores.top) Note(top, other);
    Note(top, scores.chosen);
    top_.push_back(std::move(top));
  }
  [[nodiscard]] size_t offset() const { return offset_; }
  [[nodiscard]] Json ToJson() const {
    return {{"tokens", tokens_}, {"token_logprobs", logprobs_}, {"top_logprobs", top_}, {"text_offset", offsets_}};
  }

 private:
  void Name(int32_t token) {
    const std::string piece = tokenizer_.Piece(token);
    tokens_.push_back(TokenName(piece));
    offsets_.push_back(offset_);
    if (token != tokenizer_.bos()) offset_ += CharactersIn(piece);  // which is no part of the text
  }
  // Two tokens may stand for the same text; the likelier one counts.
  void Note(Json& top, const ScoredToken& token) const {
    const std::string name = TokenName(tokenizer_.Piece(token.token));
    const double logprob = FiniteLogprob(token.logprob);
    const auto found = top.find(name);
    if (found == top.end() || found->get<double>() < logprob) top[name] = logprob;
  }

  const Tokenizer& tokenizer_;
  size_t offset_;
  Json tokens_ = Json::array();
  Json logprobs_ = Json::array();
  Json top_ = Json::array();
  Json offsets_ = Json::array();
};

class CompletionFormat final : public ChoicesFormat {
 public:
  CompletionFormat(const Model& model, GenerationOptions options, std::vector<Prompt> prompts, bool echo)
      : ChoicesFormat(model, std::move(options), "cmpl-", "text_completion", "text_completion"),
        prompts_(std::move(prompts)),
        echo_(echo),
        offsets_(prompts_.size() * static_cast<size_t>(this->options().choices), 0) {}

  void Begin(std::string& out, const Work& /*work*/) override {
    if (!echo_) return;
    for (size_t i = 0; i < offsets_.size(); ++i) {
      offsets_[i] = CharactersIn(PromptOf(i).text);
      Text(out, i, PromptOf(i).text, nullptr, nullptr);
    }
  }

  void Piece(std::string& out, size_t choice, const Produced& fresh) override {
    Json logprobs;
    if (options().logprobs) {
      LogprobLists lists(model().engine->tokenizer(), offsets_[choice]);
      for (const TokenScores& scores : fresh.scores) lists.Add(scores);
      offsets_[choice] = lists.offset();
      logprobs = lists.ToJson();
    }
    Text(out, choice, fresh.text, nullptr, std::move(logprobs));
  }

  void End(std::string& out, size_t choice, const Completion& end) override {
    Text(out, choice, "", FinishName(end.generation.reason), nullptr);
  }

 private:
  [[nodiscard]] const Prompt& PromptOf(size_t choice) const {
    return prompts_[choice / static_cast<size_t>(options().choices)];
  }

  [[nodiscard]] Json WholeChoice(size_t index, const Generation& generation) const override {
    return {{"text", echo_ ? PromptOf(index).text + generation.text : generation.text}, {"index", index}};
  }

  [[nodiscard]] Json WholeLogprobs(size_t index, const Generation& generation) const override {
    LogprobLists lists(model().engine->tokenizer());
    if (echo_) {
      lists.AddFirst(PromptOf(index).tokens.front());
      for (const TokenScores& scores : generation.prompt_scores) lists.Add(scores);
    }
    for (const TokenScores& scores : generation.scores) lists.Add(scores);
    return lists.ToJson();
  }

  void Text(std::string& out, size_t index, const std::string& text, const char* finish, Json logprobs) const {
    Chunk(out, {{"text", text}, {"index", index}, {"logprobs", std::move(logprobs)}}, finish);
  }

  std::vector<Prompt> prompts_;
  bool echo_;
  std::vector<size_t> offsets_;  // of a stream's next token, per choice
};

// One prompt: a text or token ids.
Prompt ReadPrompt(const Json& value, const std::string& path, Fields& fields, const Tokenizer& tokenizer,
                  bool add_special) {
  Prompt prompt;
  if (value.is_string()) {
    prompt.text = value.get<std::string>();
    prompt.tokens = tokenizer.Encode(prompt.text, {.add_special = add_special, .parse_special = true});
  } else {
    const Json holder = {{"ids", value}};
    Fields ids(holder);
    prompt.tokens = ids.Integers("ids", 0, tokenizer.vocab_size() - 1, SIZE_MAX);
    if (const ApiStatus status = ids.Finish(); !status) {
      fields.Problem(path,
                     fmt::format("must be a text, or a list of token ids from 0 to {}", tokenizer.vocab_size() - 1));
    } else {
      prompt.text = tokenizer.Decode(prompt.tokens, /*skip_special=*/false).value_or("");
    }
  }
  if (prompt.tokens.empty()) fields.Problem(path, "is empty, but there must be at least one token to continue");
  return prompt;
}

std::vector<Prompt> ReadPrompts(Fields& fields, const Tokenizer& tokenizer) {
  const bool add_special = fields.Bool("add_special_tokens").value_or(true);
  std::vector<Prompt> prompts;
  fields.Inputs("prompt", kMostPrompts, [&](const Json& value, const std::string& path) {
    prompts.push_back(ReadPrompt(value, path, fields, tokenizer, add_special));
  });
  return prompts;
}

bool ReadCompletionOptions(Fields& fields, GenerationOptions& options) {
  const bool echo = fields.Bool("echo").value_or(false);
  options.max_tokens = static_cast<int>(fields.Integer("max_tokens", echo ? 0 : 1, INT32_MAX).value_or(kDefaultTokens));
  if (const auto logprobs = fields.Integer("logprobs", 0, kMostLogprobs)) {
    options.logprobs = true;
    options.prompt_logprobs = echo;
    options.sampling.n_probs = static_cast<int32_t>(*logprobs);
    if (echo && options.stream) fields.Problem("stream", "cannot be true with echo and logprobs");
  }
  const auto best_of = fields.Integer("best_of", 1, INT32_MAX);
  if (best_of && *best_of != options.choices) fields.Problem("best_of", "must be the same as n, or left out");
  const auto suffix = fields.Text("suffix");
  if (suffix && !suffix->empty()) fields.Problem("suffix", "must be empty: filling in is not supported");
  return echo;
}

}  // namespace

Handled HandleCompletion(const Call& call) {
  Fields fields(call.body);
  KV_TRY(CheckModel(fields, *call.model));
  GenerationOptions options = ReadGeneration(fields, call);
  const bool echo = ReadCompletionOptions(fields, options);
  std::vector<Prompt> prompts = ReadPrompts(fields, call.model->engine->tokenizer());
  KV_TRY(fields.Finish());
  std::vector<PromptTokens> tokens;
  for (const Prompt& prompt : prompts) {
    KV_TRY(CheckContext(*call.model, prompt.tokens.size(), options.max_tokens));
    tokens.push_back({prompt.tokens});
  }
  KV_ASSIGN(auto work, Work::Submit(call, options, std::move(tokens)));
  const bool stream = options.stream;
  auto format = std::make_unique<CompletionFormat>(*call.model, std::move(options), std::move(prompts), echo);
  return MakeAnswer(std::move(work), std::move(format), stream);
}

}  // namespace kvasir::server
