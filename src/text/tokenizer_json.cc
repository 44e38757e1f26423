// Reading tokenizer.json.
//
// The file describes a pipeline (normaliser, cutter, model, template of special tokens) of which only the one that BERT
// uses is built here, so every option is held against what wordpiece.cc does, and one that says something else is an
// error: an ignored option would give slightly wrong ids, which nobody would notice. BERT writes the pieces that go on
// with a word as "##ing"; our vocabularies mark the first piece instead ("▁play") and leave the others bare, as GGUF
// files do. Source: the documentation and the serialised form of huggingface/tokenizers.
#include "text/tokenizer_json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/parse_json.h"
#include "text/utf8.h"

namespace kvasir::text {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kGoesOn = "##";
// Above what CheckVocabulary accepts; it bounds the table that a single wild id would make.
constexpr int64_t kLargestId = int64_t{1} << 22;

std::unexpected<Error> Unsupported(std::string_view what, const Json& value, std::string_view wanted) {
  std::string shown = value.dump(-1, ' ', true, Json::error_handler_t::replace);
  if (shown.size() > 80) shown = shown.substr(0, 80) + "...";
  return Fail(ErrorCode::kUnsupported,
              fmt::format("tokenizer.json: {} is {}, but only {} is supported", what, shown, wanted));
}

// The member of an object, or null where there is none.
const Json& Member(const Json& object, const char* name) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

// Fails unless `part`.type is `type`.
Status CheckType(const Json& file, const char* part, std::string_view type) {
  const Json& given = Member(Member(file, part), "type");
  if (given == Json(type)) return {};
  return Unsupported(fmt::format("{}.type", part), given, type);
}

Status CheckFlag(const Json& object, const char* name, bool wanted) {
  const Json& given = Member(object, name);
  if (given.is_null() || given == Json(wanted)) return {};
  return Unsupported(fmt::format("normalizer.{}", name), given, wanted ? "true" : "false");
}

// BertNormalizer, whose one choice is the case: accents go with it.
Result<bool> ReadLowercase(const Json& file) {
  KV_TRY(CheckType(file, "normalizer", "BertNormalizer"));
  const Json& normalizer = Member(file, "normalizer");
  KV_TRY(CheckFlag(normalizer, "clean_text", true));
  KV_TRY(CheckFlag(normalizer, "handle_chinese_chars", true));
  const Json& lowercase = Member(normalizer, "lowercase");
  if (!lowercase.is_boolean()) return Unsupported("normalizer.lowercase", lowercase, "true or false");
  const bool folds = lowercase.get<bool>();
  KV_TRY(CheckFlag(normalizer, "strip_accents", folds));
  return folds;
}

// [CLS], the text, [SEP], however it is written down.
Status CheckTemplate(const Json& file) {
  const Json& processor = Member(file, "post_processor");
  const Json& type = Member(processor, "type");
  if (type == "BertProcessing") return {};
  KV_TRY(CheckType(file, "post_processor", "TemplateProcessing"));
  const Json& single = Member(processor, "single");
  const auto is = [&](size_t i, const char* kind, const char* name) {
    return Member(Member(single[i], kind), "id") == name;
  };
  const bool fits = single.is_array() && single.size() == 3 && is(0, "SpecialToken", "[CLS]") &&
                    is(1, "Sequence", "A") && is(2, "SpecialToken", "[SEP]");
  if (fits) return {};
  return Unsupported("post_processor.single", single, "[CLS] A [SEP]");
}

// Ours of BERT's spelling of a token. Names in brackets stand for no text.
std::string OurSpelling(std::string_view token) {
  if (token.starts_with('[') && token.ends_with(']')) return std::string(token);
  if (token.starts_with(kGoesOn)) return std::string(token.substr(kGoesOn.size()));
  return std::string(kSpaceMark) + std::string(token);
}

// Puts BERT's `tokens` into a vocabulary, with the ids and types of those that are special.
Result<Vocabulary> MakeVocabulary(const std::vector<std::string>& tokens, bool lowercase) {
  Vocabulary vocabulary;
  vocabulary.model = "bert";
  vocabulary.lowercase = lowercase;
  const std::pair<std::string_view, int32_t*> special[] = {{"[UNK]", &vocabulary.unk},
                                                           {"[CLS]", &vocabulary.cls},
                                                           {"[SEP]", &vocabulary.sep},
                                                           {"[PAD]", &vocabulary.pad},
                                                           {"[MASK]", &vocabulary.mask}};
  for (size_t id = 0; id < tokens.size(); ++id) {
    vocabulary.tokens.push_back(OurSpelling(tokens[id]));
    vocabulary.types.push_back(TokenType::kNormal);
    for (const auto& [name, place] : special) {
      if (tokens[id] != name) continue;
      *place = static_cast<int32_t>(id);
      vocabulary.types.back() = TokenType::kControl;
    }
  }
  for (const auto& [name, place] : {special[0], special[1], special[2]}) {
    if (*place == kNoToken) {
      return Fail(ErrorCode::kCorrupt, fmt::format("the vocabulary of {} tokens has no {}", tokens.size(), name));
    }
  }
  vocabulary.bos = vocabulary.cls;
  return vocabulary;
}

Result<std::vector<std::string>> ReadTokens(const Json& vocab) {
  if (!vocab.is_object()) return Fail(ErrorCode::kCorrupt, "tokenizer.json: model.vocab is no object");
  std::vector<std::string> tokens(vocab.size());
  std::vector<bool> seen(vocab.size(), false);
  for (const auto& [token, id] : vocab.items()) {
    const bool fits = id.is_number_integer() && id.get<int64_t>() >= 0 && id.get<int64_t>() < kLargestId &&
                      id.get<size_t>() < tokens.size() && !seen[id.get<size_t>()];
    if (!fits) {
      return Fail(ErrorCode::kCorrupt, fmt::format("tokenizer.json: the id of a token in model.vocab is {}, but the {} "
                                                   "tokens must have the ids from 0 on, each once",
                                                   id.dump(), tokens.size()));
    }
    tokens[id.get<size_t>()] = token;
    seen[id.get<size_t>()] = true;
  }
  return tokens;
}

}  // namespace

Result<Vocabulary> VocabularyFromTokenizerJson(std::string_view json) {
  const auto parsed = base::ParseJson<Json>(json);
  if (!parsed) return Fail(ErrorCode::kCorrupt, "tokenizer.json is no JSON: " + parsed.error().message);
  const Json& file = *parsed;
  KV_TRY(CheckType(file, "model", "WordPiece"));
  const Json& model = Member(file, "model");
  if (const Json& prefix = Member(model, "continuing_subword_prefix"); prefix != Json(kGoesOn)) {
    return Unsupported("model.continuing_subword_prefix", prefix, "\"##\"");
  }
  if (const Json& unk = Member(model, "unk_token"); unk != "[UNK]")
    return Unsupported("model.unk_token", unk, "\"[UNK]\"");
  if (const Json& longest = Member(model, "max_input_chars_per_word"); !longest.is_null() && longest != 100) {
    return Unsupported("model.max_input_chars_per_word", longest, "100");
  }
  KV_ASSIGN(const bool lowercase, ReadLowercase(file));
  KV_TRY(CheckType(file, "pre_tokenizer", "BertPreTokenizer"));
  KV_TRY(CheckTemplate(file));
  KV_ASSIGN(const std::vector<std::string> tokens, ReadTokens(Member(model, "vocab")));
  return MakeVocabulary(tokens, lowercase);
}

Result<Vocabulary> VocabularyFromVocabTxt(std::string_view text, bool lowercase) {
  std::vector<std::string> tokens;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    tokens.emplace_back(line);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return MakeVocabulary(tokens, lowercase);
}

}  // namespace kvasir::text
