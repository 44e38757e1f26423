#include "text/sentencepiece_text.h"

#include "base/ascii.h"
#include "text/utf8.h"

namespace kvasir::text {
void AppendEscapingSpaces(std::string_view text, std::string& out) {
  for (size_t space = text.find(' '); space != std::string_view::npos; space = text.find(' ')) {
    out.append(text.substr(0, space)).append(kSpaceMark);
    text.remove_prefix(space + 1);
  }
  out.append(text);
}

std::optional<uint8_t> ByteOfSpelling(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling.back() != '>') return std::nullopt;
  const int high = base::DigitValue(spelling[3]), low = base::DigitValue(spelling[4]);
  if (high >= 16 || low >= 16) return std::nullopt;
  return static_cast<uint8_t>(high << 4 | low);
}

void AppendSentencePieceText(const Vocabulary& vocabulary, int32_t id, std::string& out) {
  std::string_view spelling = vocabulary.tokens[static_cast<size_t>(id)];
  if (vocabulary.types[static_cast<size_t>(id)] == TokenType::kByte) {
    if (const auto byte = ByteOfSpelling(spelling)) return out.push_back(static_cast<char>(*byte));
  }
  for (size_t mark = spelling.find(kSpaceMark); mark != std::string_view::npos; mark = spelling.find(kSpaceMark)) {
    out.append(spelling.substr(0, mark)).push_back(' ');
    spelling.remove_prefix(mark + kSpaceMark.size());
  }
  out.append(spelling);
}

ByteTokens::ByteTokens(const Vocabulary& vocabulary) {
  ids_.fill(kNoToken);
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.types[id] != TokenType::kByte) continue;
    if (const auto byte = ByteOfSpelling(vocabulary.tokens[id])) ids_[*byte] = static_cast<int32_t>(id);
  }
}

bool ByteTokens::Append(std::string_view bytes, std::vector<int32_t>& out) const {
  const size_t before = out.size();
  for (const char byte : bytes) {
    const int32_t id = ids_[static_cast<uint8_t>(byte)];
    if (id == kNoToken) {
      out.resize(before);
      return false;
    }
    out.push_back(id);
  }
  return true;
}

}  // namespace kvasir::text
