// kvasir chat: a conversation in the terminal, or line by line through a pipe.
#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <optional>

#include "base/check.h"
#include "cli/answer_stats.h"
#include "cli/chat_commands.h"
#include "cli/chat_model.h"
#include "cli/command_list.h"
#include "cli/figures.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/line_reader.h"
#include "cli/load.h"
#include "cli/message_reader.h"
#include "cli/model_flags.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/receipt_use.h"
#include "cli/terminal.h"
#include "cli/utf8_text.h"

namespace kvasir::cli {
namespace {

constexpr const char* kChatExamples =
    "Examples:\n"
    "  kvasir chat -m smollm2\n"
    "  kvasir chat -m smollm2 --system \"You are a patient teacher.\" --temp 0.3\n"
    "  printf 'Hello!\\nWhat did I just say?\\n' | kvasir chat -m smollm2\n"
    "\n"
    "/help lists the commands of the chat. Ctrl-C stops an answer, Ctrl-D leaves. Without a terminal each line of\n"
    "standard input is a message, and standard output holds the answers.";

struct ChatOptions {
  EngineOptions engine;
  bool no_receipt = false;
  GenerationOptions generation;
};

// The conversation's visible side.
class Chat {
 public:
  Chat(Engine& engine, ChatModel& model)
      : engine_(engine),
        model_(model),
        stats_(engine),
        reader_(LineReader::Create()),
        interactive_(InputIsTerminal()) {}

  void Greet() const;
  void Run();

 private:
  // False when the conversation is over.
  bool Handle(const std::string& message);
  void Obey(const ChatLine& line);
  void ShowAnswer(const std::function<Result<Generation>(const ChatModel::Callbacks&)>& answer);
  void ShowStats();
  void Save(const std::string& path) const;
  void Load(const std::string& path);
  void System(const std::string& text);
  // A remark of the program itself: never mixed with the answers on standard output.
  void Note(std::string_view text) const { WriteNote(Quiet(text) + "\n"); }

  Engine& engine_;
  ChatModel& model_;
  StatsMaker stats_;
  std::unique_ptr<LineReader> reader_;
  bool interactive_;
  bool writable_ = true;
  int told_forgotten_ = 0;
  std::optional<Generation> last_;
};

void Chat::Greet() const {
  const ModelInfo& info = engine_.info();
  if (interactive_) {
    Note(fmt::format("{} · {} · {} tokens of context · {} threads, {}", info.name, FormatBytes(info.file_bytes),
                     engine_.options().context_tokens, engine_.options().threads, engine_.isa()));
  }
  if (!model_.has_template()) {
    Note(
        "Plain continuation: the model goes on with what you write; nothing marks who speaks (a base model, or "
        "--raw).");
  }
  if (interactive_) Note("Write a message. /help shows more, Ctrl-C stops an answer, Ctrl-D leaves.\n");
}

void Chat::Run() {
  MessageReader messages;
  while (writable_) {
    const Line line = reader_->Read(messages.open());
    std::optional<std::string> message;
    if (line.kind == Line::Kind::kText) {
      message = messages.Push(line.text);
    } else {
      const auto rest = messages.Finish();
      if (line.kind == Line::Kind::kInterrupted) continue;
      // A pipe that ends within a message has still sent one; Ctrl-D within one gives it up.
      if (!rest) return;
      if (interactive_) continue;
      message = rest;
    }
    if (message && !Handle(*message)) return;
  }
}

bool Chat::Handle(const std::string& message) {
  if (message.find_first_not_of(" \t\r\n") == std::string::npos) return true;
  reader_->Remember(message);
  const ChatLine line = ParseChatLine(message);
  if (!line.error.empty()) {
    Note(line.error);
  } else if (line.verb == ChatVerb::kExit) {
    return false;
  } else if (line.verb) {
    Obey(line);
  } else if (const Status text = CheckUtf8(line.text, "the message"); !text) {
    Note(text.error().message);
  } else {
    ShowAnswer([&](const ChatModel::Callbacks& callbacks) { return model_.Say(line.text, callbacks); });
  }
  return true;
}

void Chat::Obey(const ChatLine& line) {
  switch (*line.verb) {
    case ChatVerb::kHelp: WriteNote(ChatHelp()); break;
    case ChatVerb::kReset:
      model_.Reset();
      told_forgotten_ = 0;
      Note(model_.system().empty() ? "The conversation is forgotten."
                                   : "The conversation is forgotten; the system message stays.");
      break;
    case ChatVerb::kSystem: System(line.text); break;
    case ChatVerb::kSave: Save(line.text); break;
    case ChatVerb::kLoad: Load(line.text); break;
    case ChatVerb::kStats: ShowStats(); break;
    case ChatVerb::kRegen:
      if (!model_.TakeBackAnswer()) {
        Note("There is no answer to replace yet.");
        break;
      }
      ShowAnswer([&](const ChatModel::Callbacks& callbacks) { return model_.Regenerate(callbacks); });
      break;
    case ChatVerb::kExit: break;
  }
}

void Chat::ShowAnswer(const std::function<Result<Generation>(const ChatModel::Callbacks&)>& answer) {
  const bool to_terminal = OutputIsTerminal();
  Progress progress("reading the conversation");
  bool ends_line = true;
  const Interrupt interrupt;
  const auto result = answer(
      {.on_text =
           [&](std::string_view text) {
             progress.Erase();
             if (!text.empty()) ends_line = text.back() == '\n';
             writable_ = StreamOut(to_terminal ? WithoutControls(text) : std::string(text));
             return writable_;
           },
       .on_prompt = [&](int done,
                        int total) { progress.Update(static_cast<uint64_t>(done), static_cast<uint64_t>(total)); },
       .cancel = &interrupt.flag()});
  progress.Erase();
  if (!result) {
    Note(result.error().message);
    return;
  }
  const bool stopped = interactive_ && result->reason == FinishReason::kCancelled;
  if (stopped) Note(" (stopped)");
  if (!(stopped && ErrorIsTerminal()) && (!ends_line || result->text.empty())) StreamOut("\n");
  if (model_.forgotten() > told_forgotten_) {
    told_forgotten_ = model_.forgotten();
    Note(fmt::format("The context of {} tokens is full: the oldest {} messages are out of the model's sight.",
                     engine_.options().context_tokens, told_forgotten_));
  }
  last_ = *result;
  if (interactive_) Note(StatsLine(stats_.Make(*result)) + "\n");
}

void Chat::ShowStats() {
  const MemoryReport memory = engine_.memory();
  const MachineLimits& limits = stats_.limits();
  if (last_) {
    const AnswerStats stats = stats_.Make(*last_);
    Note(fmt::format("last answer: {}\n  {}\n  {}", TokensText(stats), StatsLine(stats), SamplingLine(*last_)));
  }
  Note(fmt::format("conversation: {} messages, {} of {} tokens in the cache", model_.messages().size(),
                   model_.tokens_in_cache(), engine_.options().context_tokens));
  Note(fmt::format("memory: weights {} · KV {} of {} · activations {} · peak of the process {}",
                   FormatBytes(memory.weight_bytes), FormatBytes(memory.kv_bytes), FormatBytes(memory.kv_budget_bytes),
                   FormatBytes(memory.activation_bytes), FormatBytes(memory.peak_resident_bytes)));
  Note(fmt::format("this machine: reads {} GB/s · int8 {} TOPS · f32 {} GFLOPS · {} threads, {}",
                   FormatFigure(limits.read_gb_per_second), FormatFigure(limits.int8_tops),
                   FormatFigure(limits.fma_gflops), limits.threads, engine_.isa()));
}

// "~/" is the shell's, but people type it here too.
std::string ExpandHome(const std::string& path) {
  const char* home = std::getenv("HOME");
  return path.starts_with("~/") && home != nullptr ? home + path.substr(1) : path;
}

void Chat::Save(const std::string& path) const {
  if (path.empty()) return Note("/save needs a file name: /save chat.json");
  const Status saved = WriteFileAtomically(ExpandHome(path), SavedChat(engine_.info().name, model_.messages()));
  Note(saved ? fmt::format("Saved {} messages to {}.", model_.messages().size(), path) : saved.error().message);
}

void Chat::Load(const std::string& path) {
  if (path.empty()) return Note("/load needs a file name: /load chat.json");
  const auto text = ReadTextFile(ExpandHome(path));
  if (!text) return Note(text.error().message);
  auto messages = ParseMessages(*text);
  if (!messages) return Note(fmt::format("{}: {}", path, messages.error().message));
  const size_t count = messages->size();
  if (const Status set = model_.SetMessages(std::move(*messages)); !set) {
    return Note(fmt::format("{}: {}", path, set.error().message));
  }
  told_forgotten_ = 0;
  Note(fmt::format("Loaded {} messages from {}.", count, path));
}

void Chat::System(const std::string& text) {
  if (text.empty()) {
    const std::string system = model_.system();
    return Note(system.empty() ? "There is no system message of yours. /system TEXT sets one."
                               : "System message: " + system);
  }
  if (const Status set = model_.SetSystem(text); !set) return Note(set.error().message);
  Note("The system message is set; it counts from the next answer on.");
}

Result<int> RunChat(const ChatOptions& options) {
  KV_ASSIGN(const std::unique_ptr<Engine> engine, LoadEngine(WithReceipt(options.engine, options.no_receipt)));
  KV_ASSIGN(const std::unique_ptr<ChatModel> model, ChatModel::Create(*engine, options.generation));
  Chat chat(*engine, *model);
  chat.Greet();
  chat.Run();
  return 0;
}

}  // namespace

Action DefineChat(CLI::App& app) {
  auto options = std::make_shared<ChatOptions>();
  AddEngineFlags(app, options->engine, options->no_receipt);
  AddGenerationFlags(app, options->generation);
  SetFooter(app, kChatExamples);
  return [options] { return RunChat(*options); };
}

}  // namespace kvasir::cli
