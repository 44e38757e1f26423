// kvasir tokenize: text to tokens.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/parse_json.h"
#include "cli/command_list.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/output.h"
#include "cli/utf8_text.h"
#include "kvasir/tokenizer.h"

namespace kvasir::cli {
namespace {

constexpr const char* kTokenizeExamples =
    "Examples:\n"
    "  printf 'Hello world' | kvasir tokenize -m smollm2\n"
    "  kvasir tokenize -m smollm2 --ids --no-special < book.txt > book.json\n"
    "  kvasir tokenize -m smollm2 --lines < texts.jsonl > ids.jsonl\n"
    "\n"
    "The text is standard input, byte for byte: echo adds a newline, printf does not. Each line of the output is a\n"
    "token's id, a tab, and the bytes it stands for (\\n, \\t, \\\\ and \\xNN for what cannot be shown). A GGUF file\n"
    "that holds nothing but a vocabulary is enough.";

struct TokenizeOptions {
  std::string model;
  bool ids = false;
  bool lines = false;
  bool no_special = false;
};

std::string IdList(std::span<const int32_t> ids) {
  return fmt::format("[{}]\n", fmt::join(ids, ", "));
}

// One JSON string per line: many texts for the price of loading a vocabulary once.
Result<std::vector<std::string>> ReadJsonLines(const std::string& input) {
  std::vector<std::string> texts;
  std::istringstream lines(input);
  for (std::string line; std::getline(lines, line);) {
    const auto text = base::ParseJson<nlohmann::json>(line);
    if (!text || !text->is_string()) {
      return Fail(
          ErrorCode::kInvalidArgument,
          fmt::format("line {} of standard input must be a text as a JSON string, {}", texts.size() + 1,
                      text ? fmt::format("but is {}", text->type_name())
                           : "but is no JSON: " + text.error().message.substr(text.error().message.find("column"))));
    }
    texts.push_back(text->get<std::string>());
  }
  return texts;
}

Result<int> RunTokenize(const TokenizeOptions& options) {
  KV_ASSIGN(const std::unique_ptr<Tokenizer> tokenizer, Tokenizer::Load(options.model));
  KV_ASSIGN(const std::string text, ReadStandardInput());
  const EncodeOptions how = {.add_special = !options.no_special, .parse_special = !options.no_special};
  if (options.lines) {
    KV_ASSIGN(const std::vector<std::string> texts, ReadJsonLines(text));
    for (const std::string& one : texts) WriteOut(IdList(tokenizer->Encode(one, how)));
    return 0;
  }
  const std::vector<int32_t> ids = tokenizer->Encode(text, how);
  if (options.ids) {
    WriteOut(IdList(ids));
    return 0;
  }
  for (const int32_t id : ids) WriteOut(fmt::format("{}\t{}\n", id, Escape(tokenizer->Piece(id))));
  return 0;
}

}  // namespace

Action DefineTokenize(CLI::App& app) {
  auto options = std::make_shared<TokenizeOptions>();
  AddModelFlag(app, options->model);
  AddSwitch(app, "--ids", options->ids, "print one JSON list of ids");
  AddSwitch(app, "--lines", options->lines,
            "each line of standard input is a text as a JSON string, each line of the output its list of ids");
  AddSwitch(app, "--no-special", options->no_special,
            "add no token of its own (such as BOS), and read <|im_end|> and the like as plain text");
  SetFooter(app, kTokenizeExamples);
  return [options] { return RunTokenize(*options); };
}

}  // namespace kvasir::cli
