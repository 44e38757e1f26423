// kvasir detokenize: tokens to text.
#include <memory>

#include "base/check.h"
#include "cli/command_list.h"
#include "cli/flags.h"
#include "cli/model_flags.h"
#include "cli/output.h"
#include "cli/token_list.h"
#include "kvasir/tokenizer.h"

namespace kvasir::cli {
namespace {

constexpr const char* kDetokenizeExamples =
    "Examples:\n"
    "  echo '[19556, 905]' | kvasir detokenize -m smollm2\n"
    "  kvasir tokenize -m smollm2 --ids --no-special < a.txt | kvasir detokenize -m smollm2 | cmp - a.txt\n"
    "\n"
    "The ids are standard input: a JSON list, or numbers with spaces or newlines between them. The output is exactly\n"
    "the bytes that they stand for, without a newline of its own.";

struct DetokenizeOptions {
  std::string model;
  bool special = false;
};

Result<int> RunDetokenize(const DetokenizeOptions& options) {
  KV_ASSIGN(const std::unique_ptr<Tokenizer> tokenizer, Tokenizer::Load(options.model));
  KV_ASSIGN(const std::string text, ReadStandardInput());
  KV_ASSIGN(const std::vector<int32_t> ids, ParseTokenList(text));
  KV_ASSIGN(const std::string decoded, tokenizer->Decode(ids, /*skip_special=*/!options.special));
  WriteOut(decoded);
  return 0;
}

}  // namespace

Action DefineDetokenize(CLI::App& app) {
  auto options = std::make_shared<DetokenizeOptions>();
  AddModelFlag(app, options->model);
  AddSwitch(app, "--special", options->special, "also write the names of special tokens, such as <|im_end|>");
  SetFooter(app, kDetokenizeExamples);
  return [options] { return RunDetokenize(*options); };
}

}  // namespace kvasir::cli
