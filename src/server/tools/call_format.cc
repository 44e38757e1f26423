#include "server/tools/call_format.h"

#include <algorithm>

#include "server/tools/cursor.h"

namespace kvasir::server {

bool CallFormat::Recognises(std::string_view chat_template) const {
  return std::all_of(signs_.begin(), signs_.end(),
                     [&](const std::string& sign) { return chat_template.contains(sign); });
}

Grammar CallFormat::FreeAnswer(const Grammar& calls, const Spelling& spelled) const {
  std::vector<std::string> words = OpeningMarkers();
  std::erase_if(words, [&](const std::string& word) { return spelled.IsControlToken(word); });
  return Grammar::Sequence({Grammar::TextWithout(words), Grammar::Choice({EmptyText(), calls})});
}

std::string Trimmed(std::string_view text) {
  while (!text.empty() && IsSpace(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsSpace(text.back())) text.remove_suffix(1);
  return std::string(text);
}

}  // namespace kvasir::server
