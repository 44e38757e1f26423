// kvasir run: one prompt, one answer.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/check.h"
#include "cli/answer_stats.h"
#include "cli/command_list.h"
#include "cli/flags.h"
#include "cli/generation_flags.h"
#include "cli/interrupt.h"
#include "cli/load.h"
#include "cli/model_flags.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/prompt_tokens.h"
#include "cli/receipt_use.h"
#include "cli/terminal.h"

namespace kvasir::cli {
namespace {

constexpr const char* kRunExamples =
    "Examples:\n"
    "  kvasir run -m smollm2 -p \"Why is the sky blue?\"\n"
    "  kvasir run -m smollm2 --system \"Answer like a pirate.\" -p \"Who are you?\" -n 60\n"
    "  kvasir run -m gemma3-270m --raw -p \"Once upon a time\" -n 100 --seed 7\n"
    "  git diff | kvasir run -m smollm2 --greedy --system \"Summarise this change.\"\n"
    "  kvasir run -m smollm2 -p \"Name a colour.\" --json | jq -r .text\n"
    "  kvasir run -m smollm2 -p \"Is water wet?\" --regex \"yes|no\"\n"
    "\n"
    "The answer goes to standard output as it is generated; the last line, on standard error, says how fast it\n"
    "was and what share of this machine's limit that is. Ctrl-C ends the answer, a second Ctrl-C the program.";

struct RunOptions {
  EngineOptions engine;
  bool no_receipt = false;
  GenerationOptions generation;
  std::optional<std::string> prompt;
  std::string file;
  bool shift = false;
  bool json = false;
  bool quiet = false;
  bool verbose = false;
};

Result<std::string> ReadPrompt(const RunOptions& options) {
  if (options.prompt) return *options.prompt;
  KV_ASSIGN(std::string text, options.file.empty() ? ReadStandardInput() : ReadTextFile(options.file));
  // The newline that ends a file is no part of the question.
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

// The tokens of the prompt, through the chat template where there is one to use.
Result<std::vector<int32_t>> PromptOf(const Engine& engine, const RunOptions& options, const std::string& text) {
  const auto chat_template = engine.chat_template();
  const GenerationOptions& generation = options.generation;
  if (generation.raw || !chat_template) {
    if (!generation.system.empty()) {
      return Fail(ErrorCode::kInvalidArgument,
                  generation.raw
                      ? "--system is part of the chat template, which --raw leaves out; write it into the prompt"
                      : "--system needs a chat template: " + chat_template.error().message);
    }
    std::vector<int32_t> tokens = engine.tokenizer().Encode(text);
    if (tokens.empty()) return Fail(ErrorCode::kInvalidArgument, "the prompt is empty");
    return tokens;
  }
  if (text.empty()) return Fail(ErrorCode::kInvalidArgument, "the prompt is empty");
  std::vector<Message> messages;
  if (!generation.system.empty()) messages.push_back({"system", generation.system});
  messages.push_back({"user", text});
  KV_ASSIGN(const std::string rendered, RenderMessages(**chat_template, messages));
  return EncodeRendered(engine.tokenizer(), rendered);
}

nlohmann::ordered_json AnswerJson(const Engine& engine, const Generation& answer, const AnswerStats& stats) {
  nlohmann::ordered_json json = {{"model", engine.info().name},
                                 {"text", answer.text},
                                 {"finish_reason", FinishReasonName(answer.reason)},
                                 {"tokens", answer.tokens},
                                 {"seed", answer.seed},
                                 {"sampling", answer.sampling},
                                 {"compute", ComputeModeName(engine.options().compute)},
                                 {"kv", KvSpecText(engine.options().kv)},
                                 {"threads", engine.options().threads},
                                 {"isa", engine.isa()}};
  json.update(StatsJson(stats));
  return json;
}

Request MakeRequest(const Engine& engine, const RunOptions& options) {
  const bool continuation = options.generation.raw || !engine.chat_template();
  Request request;
  request.max_tokens = options.generation.MaxTokens(continuation);
  request.sampling = options.generation.sampling;
  request.stop = options.generation.stop;
  request.context_full = options.shift ? ContextFull::kShift : ContextFull::kStop;
  return request;
}

Result<int> Run(const RunOptions& options) {
  KV_ASSIGN(const std::string text, ReadPrompt(options));
  KV_ASSIGN(const std::unique_ptr<Engine> engine, LoadEngine(WithReceipt(options.engine, options.no_receipt)));
  KV_TRY(Validate(options.generation.sampling, engine->info().vocabulary));
  Request request = MakeRequest(*engine, options);
  KV_ASSIGN(request.prompt, PromptOf(*engine, options, text));
  KV_ASSIGN(request.constraint, ConstraintOf(*engine, options.generation));
  KV_ASSIGN(const std::unique_ptr<Session> session, engine->NewSession());

  const bool to_terminal = OutputIsTerminal();
  Progress progress("reading the prompt");
  request.on_prompt = [&](int done, int total) {
    progress.Update(static_cast<uint64_t>(done), static_cast<uint64_t>(total));
    return true;
  };
  request.on_token = [&](const TokenEvent& event) {
    progress.Erase();
    if (options.json) return true;
    return StreamOut(to_terminal ? WithoutControls(event.text) : event.text);
  };
  std::optional<Interrupt> interrupt(std::in_place);
  request.cancel = &interrupt->flag();
  KV_ASSIGN(const Generation answer, session->Generate(request));
  const bool interrupted = interrupt->raised();
  interrupt.reset();
  progress.Erase();

  if (!options.json) StreamOut("\n");
  const int code = interrupted ? kExitInterrupted : 0;
  if (options.json || !options.quiet) {
    StatsMaker maker(*engine);
    const AnswerStats stats = options.quiet ? maker.MakeUnmeasured(answer) : maker.Make(answer);
    if (options.json) {
      WriteOut(AnswerJson(*engine, answer, stats).dump(2) + "\n");
    } else {
      if (options.verbose) WriteNote(Quiet(SamplingLine(answer)) + "\n" + Quiet(TokensText(stats)) + "\n");
      WriteNote(Quiet(StatsLine(stats)) + "\n");
    }
  }
  return code;
}

}  // namespace

Action DefineRun(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  const Setter set_prompt = [options](std::string_view text) -> Status {
    options->prompt = text;
    return {};
  };
  const Flag prompt =
      AddValue(app, "-p,--prompt", "TEXT", "the prompt (default: what standard input holds)", set_prompt);
  const Flag file = AddText(app, "-f,--file", "FILE", "read the prompt from FILE; - is standard input", options->file);
  file.Excludes(prompt);
  AddSwitch(app, "--json", options->json, "print one JSON object with the answer and all figures at the end");
  AddSwitch(app, "-q,--quiet", options->quiet, "print no line with figures, and measure nothing for it");
  AddSwitch(app, "-v,--verbose", options->verbose,
            "say also which stages chose the tokens, and how many tokens there are")
      .Excludes("--quiet");
  AddEngineFlags(app, options->engine, options->no_receipt);
  AddSwitch(app, "--ctx-shift", options->shift, "when the context is full, forget the oldest half and go on")
      .Group("Model");
  AddGenerationFlags(app, options->generation);
  SetFooter(app, kRunExamples);
  return [&app, options]() -> Result<int> {
    if (!options->prompt && options->file.empty() && InputIsTerminal()) {
      return UsageError(app, "there is no prompt: give one with -p TEXT or -f FILE, or pipe it in");
    }
    return Run(*options);
  };
}

}  // namespace kvasir::cli
