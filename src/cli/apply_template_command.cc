// kvasir apply-template: the text that a model sees of a conversation.
#include <memory>
#include <string>
#include <string_view>

#include "base/check.h"
#include "cli/command_list.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/output.h"
#include "kvasir/chat_template.h"

namespace kvasir::cli {
namespace {

constexpr const char* kApplyTemplateExamples =
    "Examples:\n"
    "  echo '{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}], \"add_generation_prompt\": true}' |\n"
    "    kvasir apply-template -m smollm2\n"
    "  kvasir apply-template -f my.jinja --bos '<s>' --eos '</s>' < request.json\n"
    "\n"
    "The request is standard input: a JSON object with messages, and tools, documents, add_generation_prompt or any\n"
    "variable of the template. The output is exactly the text, without a newline of its own.";

struct ApplyTemplateOptions {
  std::string model;
  std::string file;
  std::string bos;
  std::string eos;
};

// "template line 3: ..." of a template from FILE is "FILE:3: ...", as compilers write it. Other errors are the
// request's.
Error InFile(const std::string& file, Error error) {
  constexpr std::string_view kPlace = "template line ";
  if (!file.empty() && error.message.starts_with(kPlace)) error.message.replace(0, kPlace.size(), file + ":");
  return error;
}

Result<ChatTemplate> LoadTemplate(const ApplyTemplateOptions& options) {
  if (options.file.empty()) return ChatTemplate::Load(options.model);
  KV_ASSIGN(const std::string source, ReadTextFile(options.file));
  auto chat_template = ChatTemplate::Parse(source, options.bos, options.eos);
  if (!chat_template) return std::unexpected(InFile(options.file, chat_template.error()));
  return chat_template;
}

Result<int> RunApplyTemplate(const ApplyTemplateOptions& options) {
  KV_ASSIGN(const ChatTemplate chat_template, LoadTemplate(options));
  KV_ASSIGN(const std::string request, ReadStandardInput());
  if (request.find_first_not_of(" \t\r\n") == std::string::npos) {
    return Fail(ErrorCode::kInvalidArgument,
                "standard input is empty, but it must be a request such as "
                R"({"messages": [{"role": "user", "content": "Hi"}]})");
  }
  const auto text = chat_template.Apply(request);
  if (!text) return std::unexpected(InFile(options.file, text.error()));
  WriteOut(*text);
  return 0;
}

}  // namespace

Action DefineApplyTemplate(CLI::App& app) {
  auto options = std::make_shared<ApplyTemplateOptions>();
  const Flag model = AddModelFlag(app, options->model).Required(false);
  const Flag file = AddText(app, "-f,--file", "FILE", "a Jinja file instead of a model's template", options->file);
  file.Excludes(model);
  AddText(app, "--bos", "TEXT", "beginning-of-text token for -f", options->bos).Needs(file);
  AddText(app, "--eos", "TEXT", "end-of-text token for -f", options->eos).Needs(file);
  SetFooter(app, kApplyTemplateExamples);
  return [&app, options]() -> Result<int> {
    if (options->model.empty() && options->file.empty()) {
      return UsageError(app, "there is no template: give -m MODEL or -f FILE");
    }
    if (options->file == "-") return UsageError(app, "--file cannot be -, because the request is standard input");
    return RunApplyTemplate(*options);
  };
}

}  // namespace kvasir::cli
