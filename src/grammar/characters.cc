// A range of code points becomes sequences of byte ranges: first it is cut where the length of the encoding changes,
// then where the continuation bytes do not run over their whole range, until every piece is one range per byte.
#include "grammar/characters.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <string>

#include "base/check.h"
#include "grammar/dfa.h"
#include "text/utf8.h"

namespace kvasir::grammar {
namespace {

constexpr char32_t kLastCharacter = 0x10FFFF;
constexpr char32_t kFirstSurrogate = 0xD800;
constexpr char32_t kLastSurrogate = 0xDFFF;

// Both ends have encodings of the same length.
void AddEncoded(char32_t low, char32_t high, std::vector<Expr>& out) {
  std::string first;
  std::string last;
  text::AppendUtf8(low, first);
  text::AppendUtf8(high, last);
  const size_t length = first.size();
  // A piece must not begin or end inside a block of 64, 4096, ... unless it stays inside that block.
  for (size_t tail = 1; tail < length; ++tail) {
    const char32_t mask = (char32_t{1} << (6 * tail)) - 1;
    if ((low & ~mask) == (high & ~mask)) continue;
    if ((low & mask) != 0) {
      AddEncoded(low, low | mask, out);
      AddEncoded((low | mask) + 1, high, out);
      return;
    }
    if ((high & mask) != mask) {
      AddEncoded(low, (high & ~mask) - 1, out);
      AddEncoded(high & ~mask, high, out);
      return;
    }
  }
  std::vector<Expr> bytes;
  bytes.reserve(length);
  for (size_t i = 0; i < length; ++i) {
    bytes.push_back(Bytes({{static_cast<uint8_t>(first[i]), static_cast<uint8_t>(last[i])}}));
  }
  out.push_back(InOrderOf(std::move(bytes)));
}

void AddCut(char32_t low, char32_t high, std::vector<Expr>& out) {
  static constexpr std::array<CharacterRange, 5> kLengths = {{{0, 0x7F},
                                                              {0x80, 0x7FF},
                                                              {0x800, kFirstSurrogate - 1},
                                                              {kLastSurrogate + 1, 0xFFFF},
                                                              {0x10000, kLastCharacter}}};
  for (const CharacterRange& part : kLengths) {
    const char32_t from = std::max(low, part.low);
    const char32_t to = std::min(high, part.high);
    if (from <= to) AddEncoded(from, to, out);
  }
}

struct CategoryName {
  const char* name;
  utf8proc_category_t category;
};
constexpr auto kCategories = std::to_array<CategoryName>({
    {"Lu", UTF8PROC_CATEGORY_LU}, {"Ll", UTF8PROC_CATEGORY_LL}, {"Lt", UTF8PROC_CATEGORY_LT},
    {"Lm", UTF8PROC_CATEGORY_LM}, {"Lo", UTF8PROC_CATEGORY_LO}, {"Mn", UTF8PROC_CATEGORY_MN},
    {"Mc", UTF8PROC_CATEGORY_MC}, {"Me", UTF8PROC_CATEGORY_ME}, {"Nd", UTF8PROC_CATEGORY_ND},
    {"Nl", UTF8PROC_CATEGORY_NL}, {"No", UTF8PROC_CATEGORY_NO}, {"Pc", UTF8PROC_CATEGORY_PC},
    {"Pd", UTF8PROC_CATEGORY_PD}, {"Ps", UTF8PROC_CATEGORY_PS}, {"Pe", UTF8PROC_CATEGORY_PE},
    {"Pi", UTF8PROC_CATEGORY_PI}, {"Pf", UTF8PROC_CATEGORY_PF}, {"Po", UTF8PROC_CATEGORY_PO},
    {"Sm", UTF8PROC_CATEGORY_SM}, {"Sc", UTF8PROC_CATEGORY_SC}, {"Sk", UTF8PROC_CATEGORY_SK},
    {"So", UTF8PROC_CATEGORY_SO}, {"Zs", UTF8PROC_CATEGORY_ZS}, {"Zl", UTF8PROC_CATEGORY_ZL},
    {"Zp", UTF8PROC_CATEGORY_ZP},
});

// One pass over Unicode for all categories, when the first is asked for.
const std::map<std::string, CharacterSet, std::less<>>& Categories() {
  static const auto* const table = [] {
    std::array<std::vector<CharacterRange>, 32> ranges;
    for (char32_t c = 0; c <= kLastCharacter; ++c) {
      auto& list = ranges[static_cast<size_t>(utf8proc_category(static_cast<utf8proc_int32_t>(c)))];
      if (!list.empty() && list.back().high + 1 == c) {
        list.back().high = c;
      } else {
        list.push_back({c, c});
      }
    }
    auto* sets = new std::map<std::string, CharacterSet, std::less<>>;
    for (const CategoryName& each : kCategories) {
      const CharacterSet set(ranges[static_cast<size_t>(each.category)]);
      (*sets)[each.name].Add(set);
      (*sets)[std::string(1, each.name[0])].Add(set);
    }
    return sets;
  }();
  return *table;
}

}  // namespace

void CharacterSet::Add(char32_t low, char32_t high) {
  ranges_.push_back({low, high});
  Tidy();
}

void CharacterSet::Add(const CharacterSet& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  Tidy();
}

void CharacterSet::Tidy() {
  std::ranges::sort(ranges_, {}, &CharacterRange::low);
  std::vector<CharacterRange> out;
  for (const CharacterRange& range : ranges_) {
    if (!out.empty() && range.low <= out.back().high + 1) {
      out.back().high = std::max(out.back().high, range.high);
    } else {
      out.push_back(range);
    }
  }
  ranges_ = std::move(out);
}

CharacterSet CharacterSet::Negated() const {
  CharacterSet all = *this;
  all.Add(kFirstSurrogate, kLastSurrogate);
  CharacterSet out;
  char32_t next = 0;
  for (const CharacterRange& range : all.ranges_) {
    if (range.low > next) out.ranges_.push_back({next, range.low - 1});
    next = range.high + 1;
  }
  if (next <= kLastCharacter) out.ranges_.push_back({next, kLastCharacter});
  return out;
}

Expr CharacterSet::ToExpr() const {
  std::vector<SymbolRange> ascii;
  std::vector<Expr> parts;
  for (const CharacterRange& range : ranges_) {
    if (range.low < 0x80) ascii.push_back({range.low, std::min<char32_t>(range.high, 0x7F)});
    if (range.high >= 0x80) AddCut(std::max<char32_t>(range.low, 0x80), range.high, parts);
  }
  if (!ascii.empty()) parts.push_back(Bytes(std::move(ascii)));
  return AnyOfThese(std::move(parts));
}

Expr AnyCharacter() {
  // As the smallest automaton, because a maxLength has thousands of copies of it.
  static const Expr any = [] {
    auto dfa = DfaOf(CharacterSet().Negated().ToExpr());
    KV_CHECK(dfa.has_value());
    return Of(std::move(*dfa));
  }();
  return any;
}

Expr AnyText() {
  static const Expr any = Times(AnyCharacter(), 0, -1);
  return any;
}

Result<CharacterSet> CharactersOfCategory(std::string_view name) {
  const auto& categories = Categories();
  const auto at = categories.find(name);
  if (at != categories.end()) return at->second;
  std::string known;
  for (const auto& [each, set] : categories) known += (known.empty() ? "" : ", ") + each;
  return Fail(ErrorCode::kUnsupported, fmt::format("the character class {} is not known; there are: {}", name, known));
}

}  // namespace kvasir::grammar
