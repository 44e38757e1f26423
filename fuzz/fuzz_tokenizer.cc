// Vocabularies and texts from one input: no pair of them may crash, hang or break what the tokenizer promises.
//
// The input is text in lines. Line 1: model, pre-tokenizer, flags (space-separated). Lines up to an empty one: a token
// each, its first byte the type ('1' to '6'), its second the score. Lines up to the next empty one: merges. Then one
// line of the normalisation table; what remains is the text to encode.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace {

using kvasir::text::Tokenizer;
using kvasir::text::TokenType;
using kvasir::text::Vocabulary;

// Takes the text before the first `separator` off the front of `rest`.
std::string_view Cut(std::string_view& rest, char separator) {
  const size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}

Vocabulary ReadVocabulary(std::string_view& rest) {
  Vocabulary vocabulary;
  std::string_view head = Cut(rest, '\n');
  vocabulary.model = Cut(head, ' ');
  vocabulary.pre = Cut(head, ' ');
  vocabulary.add_space_prefix = head.find('p') != std::string_view::npos;
  vocabulary.remove_extra_whitespaces = head.find('w') != std::string_view::npos;
  vocabulary.lowercase = head.find('l') != std::string_view::npos;
  for (std::string_view line = Cut(rest, '\n'); line.size() >= 2; line = Cut(rest, '\n')) {
    vocabulary.types.push_back(static_cast<TokenType>(line[0] - '0'));
    vocabulary.scores.push_back(static_cast<float>(static_cast<int8_t>(line[1])));
    vocabulary.tokens.emplace_back(line.substr(2));
  }
  for (std::string_view line = Cut(rest, '\n'); !line.empty(); line = Cut(rest, '\n'))
    vocabulary.merges.emplace_back(line);
  for (const char byte : Cut(rest, '\n')) vocabulary.precompiled_charsmap.push_back(static_cast<std::byte>(byte));
  return vocabulary;
}

void CheckPromises(const Tokenizer& tokenizer, std::string_view text, bool parse_special) {
  const std::vector<int32_t> ids = tokenizer.Encode(text, {.add_special = false, .parse_special = parse_special});
  kvasir::text::StreamDecoder decoder(tokenizer);
  std::string joined;
  for (const int32_t id : ids) {
    KV_CHECK(id >= 0 && id < tokenizer.vocab_size());
    KV_CHECK(parse_special || !tokenizer.IsControl(id) || id == tokenizer.unk());
    joined += decoder.Push(id);
  }
  joined += decoder.Flush();
  KV_CHECK(joined == tokenizer.Decode(ids, {.replace_invalid_utf8 = true}));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto tokenizer = Tokenizer::Create(ReadVocabulary(rest));
  if (!tokenizer) return 0;
  CheckPromises(**tokenizer, rest, false);
  CheckPromises(**tokenizer, rest, true);
  return 0;
}
