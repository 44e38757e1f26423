#include "grammar/schema_disjoint.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/check.h"
#include "grammar/schema_values.h"

namespace kvasir::grammar {
namespace {

constexpr int kDeepestMember = 4;  // members of members that are looked at

Result<bool> Apart(const SchemaDocument& document, const SchemaList& a, const SchemaList& b, int depth);

bool ValuesApart(const Shape& a, const Shape& b) {
  const auto fits = [](const Json& value, const Shape& shape) {
    if (shape.values) return std::ranges::find(*shape.values, value) != shape.values->end();
    return (TypeOf(value) & shape.types) != 0;
  };
  const Shape& listed = a.values ? a : b;
  const Shape& other = a.values ? b : a;
  return std::ranges::none_of(*listed.values, [&](const Json& value) { return fits(value, other); });
}

// Our strings of these formats are some of the valid ones, so their being apart proves nothing.
bool HasLooseFormat(const Shape& shape) {
  return std::ranges::any_of(shape.strings, [](const SchemaPart& part) { return part.schema->contains("format"); });
}

// Two kinds of objects are apart where one needs a member that the other forbids or gives other values.
Result<bool> MembersApart(const SchemaDocument& document, const SchemaList& flat_a, const Shape& a,
                          const SchemaList& flat_b, const Shape& b, int depth) {
  const auto requires_it = [](const Shape& shape, const std::string& name) {
    return std::ranges::find(shape.required, name) != shape.required.end();
  };
  std::vector<std::string> names = a.required;
  names.insert(names.end(), b.required.begin(), b.required.end());
  for (const std::string& name : names) {
    KV_ASSIGN(const auto in_a, SchemasOfMember(flat_a, name));
    KV_ASSIGN(const auto in_b, SchemasOfMember(flat_b, name));
    if (!in_a || !in_b) return true;
    if (!requires_it(a, name) || !requires_it(b, name)) continue;
    KV_ASSIGN(const bool apart, Apart(document, *in_a, *in_b, depth + 1));
    if (apart) return true;
  }
  return false;
}

Result<bool> Apart(const SchemaDocument& document, const SchemaList& a, const SchemaList& b, int depth) {
  bool has_ref = false;
  KV_ASSIGN(const std::optional<SchemaList> flat_a, document.Flatten(a, &has_ref));
  KV_ASSIGN(const std::optional<SchemaList> flat_b, document.Flatten(b, &has_ref));
  if (!flat_a || !flat_b) return true;
  KV_ASSIGN(const Shape shape_a, ReadShape(*flat_a));
  KV_ASSIGN(const Shape shape_b, ReadShape(*flat_b));
  const uint32_t types = shape_a.types & shape_b.types;
  if (types == 0) return true;
  if (shape_a.values || shape_b.values) return ValuesApart(shape_a, shape_b);
  if ((types & ~uint32_t{kNumber | kString | kObject}) != 0 || depth > kDeepestMember) return false;
  if ((types & kNumber) != 0) {
    KV_ASSIGN(const Dfa x, DecimalsIn(shape_a.numbers));
    KV_ASSIGN(const Dfa y, DecimalsIn(shape_b.numbers));
    KV_ASSIGN(const Dfa both, Intersection(x, y));
    // Without bounds numbers may have an exponent, which is not looked at here; and elsewhere 1.0 is 1, here it is not.
    const bool decimals = shape_a.numbers_restricted && shape_b.numbers_restricted;
    if (!decimals || !both.states.empty() || shape_a.numbers.whole != shape_b.numbers.whole) return false;
  }
  if ((types & kString) != 0) {
    KV_ASSIGN(const Dfa x, StringsOf(shape_a));
    KV_ASSIGN(const Dfa y, StringsOf(shape_b));
    KV_ASSIGN(const Dfa both, Intersection(x, y));
    if (!both.states.empty() || HasLooseFormat(shape_a) || HasLooseFormat(shape_b)) return false;
  }
  if ((types & kObject) == 0) return true;
  return MembersApart(document, *flat_a, shape_a, *flat_b, shape_b, depth);
}

}  // namespace

Result<bool> AreDisjoint(const SchemaDocument& document, const SchemaList& a, const SchemaList& b) {
  return Apart(document, a, b, 0);
}

}  // namespace kvasir::grammar
