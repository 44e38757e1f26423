#include "grammar/schema_values.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/check.h"
#include "grammar/characters.h"
#include "grammar/regex.h"
#include "grammar/string_formats.h"

namespace kvasir::grammar {

Result<Dfa> StringsOf(const Shape& shape) {
  if (shape.max_length >= 0 && shape.min_length > shape.max_length) return Dfa();
  KV_ASSIGN(Dfa out, DfaOf(Times(AnyCharacter(), shape.min_length, shape.max_length)));
  for (const SchemaPart& part : shape.strings) {
    if (part.schema->contains("pattern")) {
      const std::string at = PointerTo(part.pointer, "pattern");
      auto dfa = RegexDfa((*part.schema)["pattern"].get<std::string>(), RegexMatch::kSearch);
      if (!dfa) return SchemaError(at, "is not usable: " + dfa.error().message, dfa.error().code);
      KV_ASSIGN(out, Intersection(out, *dfa));
    }
    if (part.schema->contains("format")) {
      const std::string at = PointerTo(part.pointer, "format");
      auto dfa = FormatDfa((*part.schema)["format"].get<std::string>());
      if (!dfa) return SchemaError(at, "is not usable: " + dfa.error().message, dfa.error().code);
      KV_ASSIGN(out, Intersection(out, *dfa));
    }
  }
  return out;
}

uint32_t TypeOf(const Json& value) {
  if (value.is_null()) return kNull;
  if (value.is_boolean()) return kBoolean;
  if (value.is_number()) return kNumber;
  if (value.is_string()) return kString;
  return value.is_array() ? kArray : kObject;
}

bool InRange(double value, const NumberRange& range) {
  const auto number = [](const Decimal& decimal) {
    return std::stod((decimal.negative ? "-" : "") + decimal.integer + "." + decimal.fraction + "0");
  };
  for (const NumberBound& bound : range.at_least) {
    if (value < number(bound.value) || (bound.exclusive && value == number(bound.value))) return false;
  }
  for (const NumberBound& bound : range.at_most) {
    if (value > number(bound.value) || (bound.exclusive && value == number(bound.value))) return false;
  }
  if (range.whole && value != std::floor(value)) return false;
  return std::ranges::all_of(range.multiples_of, [value](int divisor) { return std::fmod(value, divisor) == 0; });
}

}  // namespace kvasir::grammar
