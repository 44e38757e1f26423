// kvasir tokenize: text to tokens.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/check.h"
#include "cli/command_list.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/output.h"
#include "cli/utf8_text.h"
#include "kvasir/tokenizer.h"

namespace kvasir::cli {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  printf 'Hello world' | kvasir tokenize -m smollm2\n"
    "  kvasir tokenize -m smollm2 --ids --no-special < book.txt > book.json\n"
    "\n"
    "The text is standard input, byte for byte: echo adds a newline, printf does not. Each line of the output is a\n"
    "token's id, a tab, and the bytes it stands for (\\n, \\t, \\\\ and \\xNN for what cannot be shown). A GGUF file\n"
    "that holds nothing but a vocabulary is enough.";

struct TokenizeOptions {
  std::string model;
  bool ids = false;
  bool no_special = false;
};

Result<int> RunTokenize(const TokenizeOptions& options) {
  KV_ASSIGN(const std::unique_ptr<Tokenizer> tokenizer, Tokenizer::Load(options.model));
  KV_ASSIGN(const std::string text, ReadStandardInput());
  const bool special = !options.no_special;
  const std::vector<int32_t> ids = tokenizer->Encode(text, {.add_special = special, .parse_special = special});
  if (options.ids) {
    WriteOut(fmt::format("[{}]\n", fmt::join(ids, ", ")));
    return 0;
  }
  for (const int32_t id : ids) WriteOut(fmt::format("{}\t{}\n", id, Escape(tokenizer->Piece(id))));
  return 0;
}

}  // namespace

Action DefineTokenize(CLI::App& app) {
  auto options = std::make_shared<TokenizeOptions>();
  AddModelFlag(app, options->model);
  app.add_flag("--ids", options->ids, "print one JSON list of ids");
  app.add_flag("--no-special", options->no_special,
               "add no token of its own (such as BOS), and read <|im_end|> and the like as plain text");
  app.footer(kExamples);
  return [options] { return RunTokenize(*options); };
}

}  // namespace kvasir::cli
