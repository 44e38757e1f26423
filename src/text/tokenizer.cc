#include "text/tokenizer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "text/special_tokens.h"
#include "text/token_index.h"
#include "text/token_model.h"
#include "text/utf8.h"

namespace kvasir::text {
namespace {

// Algorithms count bytes in 32 bits, also after each space has become three bytes.
constexpr size_t kMaxPiece = size_t{1} << 30;

// Tokens that end an answer, by the names that chat models have given them; files often name only one of them as EOS.
constexpr std::array<std::string_view, 13> kEndNames = {
    "<|eot_id|>",   "<|im_end|>",      "<end_of_turn>", "<|end|>",  "<EOT>",         "<|END_OF_TURN_TOKEN|>",
    "<|eom_id|>",   "<|end_of_text|>", "<|return|>",    "<|call|>", "<|endoftext|>", "<｜end▁of▁sentence｜>",
    "<|endofturn|>"};
// The first of them that end a turn of a chat, in this order, rather than a document.
constexpr size_t kEndOfTurnNames = 6;

void CompleteTypes(Vocabulary& vocabulary) {
  vocabulary.types.resize(vocabulary.tokens.size(), TokenType::kNormal);
  for (TokenType& type : vocabulary.types) {
    if (type < TokenType::kNormal || type > TokenType::kByte) type = TokenType::kNormal;
  }
}

// The ids that end an answer, sorted. Also names the end of a turn if the file does not, and makes control tokens of
// those that the file by mistake calls text: else the user could type them, and they would be shown.
std::vector<int32_t> FindEndOfGeneration(const TokenIndex& index, Vocabulary& vocabulary) {
  std::vector<int32_t> ends;
  for (size_t i = 0; i < kEndNames.size(); ++i) {
    const int32_t id = index.Find(kEndNames[i]);
    if (id == kNoToken) continue;
    vocabulary.types[static_cast<size_t>(id)] = TokenType::kControl;
    ends.push_back(id);
    if (i < kEndOfTurnNames && vocabulary.eot == kNoToken) vocabulary.eot = id;
  }
  for (const int32_t id : {vocabulary.eos, vocabulary.eot, vocabulary.eom}) {
    if (id != kNoToken) ends.push_back(id);
  }
  std::ranges::sort(ends);
  ends.erase(std::ranges::unique(ends).begin(), ends.end());
  return ends;
}

Result<TokenModelFactory> FindFactory(std::string_view name) {
  std::vector<std::string_view> known;
  for (const TokenModelEntry& entry : TokenModels()) {
    if (entry.name == name) return entry.create;
    known.push_back(entry.name);
  }
  return Fail(ErrorCode::kUnsupported, fmt::format("unknown tokenizer model \"{}\" in tokenizer.ggml.model; known: {}",
                                                   name.substr(0, 80), fmt::join(known, ", ")));
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const Vocabulary> vocabulary, std::unique_ptr<const TokenModel> model,
                     std::unique_ptr<const TokenIndex> index, std::vector<int32_t> end_of_generation)
    : vocabulary_(std::move(vocabulary)),
      index_(std::move(index)),
      model_(std::move(model)),
      special_tokens_(std::make_unique<SpecialTokens>(*vocabulary_)),
      end_of_generation_(std::move(end_of_generation)) {}

Tokenizer::~Tokenizer() = default;

Result<std::unique_ptr<Tokenizer>> Tokenizer::Create(Vocabulary vocabulary) {
  KV_ASSIGN(const TokenModelFactory create, FindFactory(vocabulary.model));
  KV_TRY(CheckVocabulary(vocabulary));
  auto owned = std::make_unique<Vocabulary>(std::move(vocabulary));
  CompleteTypes(*owned);
  auto index = std::make_unique<TokenIndex>(owned->tokens, [](size_t) { return true; });
  std::vector<int32_t> ends = FindEndOfGeneration(*index, *owned);
  KV_ASSIGN(auto model, create(*owned));
  owned->add_bos = *owned->add_bos && owned->bos != kNoToken;
  owned->add_eos = *owned->add_eos && owned->eos != kNoToken;
  owned->add_sep = *owned->add_sep && owned->sep != kNoToken;
  return std::unique_ptr<Tokenizer>(
      new Tokenizer(std::move(owned), std::move(model), std::move(index), std::move(ends)));
}

std::vector<int32_t> Tokenizer::Encode(std::string_view text, EncodeOptions options) const {
  std::vector<int32_t> out;
  out.reserve(text.size() / 3 + 4);
  if (options.add_special && *vocabulary_->add_bos) out.push_back(vocabulary_->bos);
  while (!text.empty()) {
    const auto special = special_tokens_->Find(text, options.parse_special);
    EncodePlain(text.substr(0, special ? special->begin : text.size()), out);
    if (!special) break;
    out.push_back(special->id);
    text.remove_prefix(special->end);
  }
  if (options.add_special && *vocabulary_->add_sep) out.push_back(vocabulary_->sep);
  if (options.add_special && *vocabulary_->add_eos) out.push_back(vocabulary_->eos);
  return out;
}

void Tokenizer::EncodePlain(std::string_view text, std::vector<int32_t>& out) const {
  for (; !text.empty(); text.remove_prefix(std::min(text.size(), kMaxPiece))) {
    model_->Encode(text.substr(0, kMaxPiece), out);
  }
}

std::string Tokenizer::Decode(std::span<const int32_t> ids, DecodeOptions options) const {
  std::string out;
  bool strip = options.strip_space_prefix;
  for (const int32_t id : ids) AppendDecoded(id, options, strip, out);
  if (!options.replace_invalid_utf8) return out;
  std::string valid;
  AppendReplacingInvalid(out, valid);
  return valid;
}

void Tokenizer::AppendDecoded(int32_t id, DecodeOptions options, bool& strip, std::string& out) const {
  const size_t before = out.size();
  AppendPiece(id, !options.skip_special, out);
  if (out.size() == before) return;
  if (strip && model_->adds_space_prefix() && out[before] == ' ') out.erase(before, 1);
  strip = false;
}

void Tokenizer::AppendPiece(int32_t id, bool special, std::string& out) const {
  if (!InRange(id)) return;
  switch (type(id)) {
    case TokenType::kControl:
    case TokenType::kUnknown:
      if (special) out.append(TokenText(id));
      break;
    case TokenType::kUserDefined: out.append(TokenText(id)); break;  // spelled as it is, in no alphabet
    case TokenType::kNormal:
    case TokenType::kUnused:
    case TokenType::kByte: model_->AppendText(id, out); break;
  }
}

std::string Tokenizer::Piece(int32_t id, bool special) const {
  std::string out;
  AppendPiece(id, special, out);
  return out;
}

const std::string& Tokenizer::TokenText(int32_t id) const {
  static const std::string kEmpty;
  return InRange(id) ? vocabulary_->tokens[static_cast<size_t>(id)] : kEmpty;
}

std::optional<int32_t> Tokenizer::FindToken(std::string_view token_text) const {
  const int32_t id = index_->Find(token_text);
  return id == kNoToken ? std::nullopt : std::optional(id);
}

bool Tokenizer::IsEndOfGeneration(int32_t id) const {
  return std::ranges::binary_search(end_of_generation_, id);
}

}  // namespace kvasir::text
