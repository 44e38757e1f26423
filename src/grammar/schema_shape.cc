// Merging the keywords of schemas that hold together. Bounds take the stricter one, types and enumerations their
// intersection, and keywords that hold schemas (members, items) are not merged but listed: what they say about one
// member is again a list of schemas that hold together.
#include "grammar/schema_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "grammar/characters.h"
#include "grammar/regex.h"

namespace kvasir::grammar {
namespace {

constexpr int kLargestCount = 1'000'000;
constexpr size_t kMostPatterns = 4;  // of patternProperties; every subset of them is looked at

const Json* Find(const SchemaPart& part, const char* keyword) {
  const auto at = part.schema->find(keyword);
  return at == part.schema->end() ? nullptr : &*at;
}

// Reads the keywords of one schema into the shape.
class ShapeReader {
 public:
  ShapeReader(const SchemaPart& part, Shape& shape) : part_(part), shape_(shape) {}

  Status Run() {
    KV_TRY(Types());
    KV_TRY(Values());
    KV_TRY(Numbers());
    KV_TRY(Count("minLength", shape_.min_length, /*at_least=*/true));
    KV_TRY(Count("maxLength", shape_.max_length, false));
    KV_TRY(Count("minItems", shape_.min_items, true));
    KV_TRY(Count("maxItems", shape_.max_items, false));
    KV_TRY(Count("minProperties", shape_.min_properties, true));
    KV_TRY(Count("maxProperties", shape_.max_properties, false));
    KV_TRY(Strings());
    KV_TRY(Lists());
    return Members();
  }

 private:
  [[nodiscard]] std::unexpected<Error> Wrong(const char* keyword, std::string_view what) const {
    return SchemaError(PointerTo(part_.pointer, keyword), what);
  }

  Status Types() {
    const Json* type = Find(part_, "type");
    if (type == nullptr) return {};
    uint32_t types = 0;
    bool integers = false;
    const Json list = type->is_array() ? *type : Json::array({*type});
    if (list.empty()) return Wrong("type", "lists no type");
    for (const Json& each : list) {
      const std::string name = each.is_string() ? each.get<std::string>() : each.dump();
      if (name == "null")
        types |= kNull;
      else if (name == "boolean")
        types |= kBoolean;
      else if (name == "number")
        types |= kNumber;
      else if (name == "string")
        types |= kString;
      else if (name == "array")
        types |= kArray;
      else if (name == "object")
        types |= kObject;
      else if (name == "integer")
        integers = true;
      else
        return Wrong("type", fmt::format("is {}, which is no type of JSON", name));
    }
    if (integers && (types & kNumber) == 0) {
      types |= kNumber;
      shape_.numbers.whole = true;
      shape_.numbers_restricted = true;
    }
    shape_.types &= types;
    return {};
  }

  Status Values() {
    for (const char* keyword : {"enum", "const"}) {
      const Json* given = Find(part_, keyword);
      if (given == nullptr) continue;
      std::vector<Json> values;
      if (std::string_view(keyword) == "const") {
        values.push_back(*given);
      } else if (given->is_array() && !given->empty()) {
        values.assign(given->begin(), given->end());
      } else {
        return Wrong(keyword, "must be a list with at least one value");
      }
      if (!shape_.values) {
        shape_.values = std::move(values);
      } else {
        std::erase_if(*shape_.values, [&](const Json& old) { return std::ranges::find(values, old) == values.end(); });
      }
    }
    return {};
  }

  Status Numbers() {
    struct Keyword {
      const char* name;
      bool low;
      bool exclusive;
    };
    static constexpr Keyword kBounds[] = {{"minimum", true, false},
                                          {"exclusiveMinimum", true, true},
                                          {"maximum", false, false},
                                          {"exclusiveMaximum", false, true}};
    for (const Keyword& keyword : kBounds) {
      const Json* given = Find(part_, keyword.name);
      if (given == nullptr) continue;
      if (!given->is_number()) return Wrong(keyword.name, "must be a number");
      const auto value = ParseDecimal(given->dump());
      if (!value)
        return Wrong(keyword.name, "has more digits than the 40 before or after the point that are supported");
      (keyword.low ? shape_.numbers.at_least : shape_.numbers.at_most).push_back({*value, keyword.exclusive});
      shape_.numbers_restricted = true;
    }
    if (const Json* given = Find(part_, "multipleOf")) {
      const auto value = given->is_number() ? ParseDecimal(given->dump()) : std::nullopt;
      if (!value || !value->fraction.empty() || value->negative || value->integer == "0" || value->integer.size() > 4 ||
          std::stoi(value->integer) > kLargestMultiple) {
        return SchemaError(PointerTo(part_.pointer, "multipleOf"),
                           fmt::format("must be a whole number from 1 to {}", kLargestMultiple),
                           ErrorCode::kUnsupported);
      }
      shape_.numbers.multiples_of.push_back(std::stoi(value->integer));
      shape_.numbers_restricted = true;
    }
    return {};
  }

  Status Count(const char* keyword, int& value, bool at_least) {
    const Json* given = Find(part_, keyword);
    if (given == nullptr) return {};
    const double number = given->is_number() ? given->get<double>() : -1;
    if (!(number >= 0) || number != std::floor(number)) return Wrong(keyword, "must be a whole number, 0 or more");
    const int count = number > kLargestCount ? kLargestCount : static_cast<int>(number);
    if (at_least) {
      value = std::max(value, count);
    } else if (number <= kLargestCount) {  // beyond it there is no bound that anybody reaches
      value = value < 0 ? count : std::min(value, count);
    }
    return {};
  }

  Status Strings() {
    for (const char* keyword : {"pattern", "format"}) {
      const Json* given = Find(part_, keyword);
      if (given == nullptr) continue;
      if (!given->is_string()) return Wrong(keyword, "must be a string");
    }
    if (Find(part_, "pattern") != nullptr || Find(part_, "format") != nullptr) shape_.strings.push_back(part_);
    return {};
  }

  Status Lists() {
    if (const Json* prefix = Find(part_, "prefixItems"); prefix != nullptr && !prefix->is_array()) {
      return Wrong("prefixItems", "must be a list of schemas");
    }
    if (const Json* items = Find(part_, "items"); items != nullptr && items->is_array()) {
      return Wrong("items", "is a list, which is the form of older drafts; write prefixItems");
    }
    const Json* unique = Find(part_, "uniqueItems");
    if (unique == nullptr || *unique == false) return {};
    return SchemaError(PointerTo(part_.pointer, "uniqueItems"),
                       "is not supported unless it is false; leave it out or list the choices",
                       ErrorCode::kUnsupported);
  }

  Status Members() {
    const Json* properties = Find(part_, "properties");
    if (properties != nullptr) {
      if (!properties->is_object()) return Wrong("properties", "must be an object of schemas");
      for (const auto& [name, value] : properties->items()) AddName(shape_.properties, name);
    }
    if (const Json* patterns = Find(part_, "patternProperties"); patterns != nullptr && !patterns->is_object()) {
      return Wrong("patternProperties", "must be an object of schemas");
    }
    const Json* required = Find(part_, "required");
    if (required == nullptr) return {};
    if (!required->is_array()) return Wrong("required", "must be a list of names");
    for (const Json& name : *required) {
      if (!name.is_string()) return Wrong("required", "must be a list of names");
      AddName(shape_.required, name.get<std::string>());
    }
    return {};
  }

  static void AddName(std::vector<std::string>& names, const std::string& name) {
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }

  const SchemaPart& part_;
  Shape& shape_;
};

Result<Dfa> PatternDfa(const std::string& pointer, const std::string& pattern) {
  auto dfa = RegexDfa(pattern, RegexMatch::kSearch);
  if (!dfa) return SchemaError(pointer, "is not usable: " + dfa.error().message, dfa.error().code);
  return dfa;
}

}  // namespace

Result<Shape> ReadShape(const SchemaList& flat) {
  Shape shape;
  for (const SchemaPart& part : flat) KV_TRY(ShapeReader(part, shape).Run());
  for (const std::string& name : shape.required) {
    if (std::ranges::find(shape.properties, name) == shape.properties.end()) shape.properties.push_back(name);
  }
  return shape;
}

Result<std::optional<SchemaList>> SchemasOfMember(const SchemaList& flat, const std::string& name) {
  SchemaList out;
  for (const SchemaPart& part : flat) {
    bool known = false;
    const auto add = [&](const Json& schema, const std::string& pointer) { out.push_back({&schema, pointer}); };
    if (const Json* properties = Find(part, "properties"); properties != nullptr && properties->contains(name)) {
      known = true;
      add((*properties)[name], PointerTo(PointerTo(part.pointer, "properties"), name));
    }
    if (const Json* patterns = Find(part, "patternProperties")) {
      for (const auto& [pattern, schema] : patterns->items()) {
        const std::string at = PointerTo(PointerTo(part.pointer, "patternProperties"), pattern);
        KV_ASSIGN(const Dfa dfa, PatternDfa(at, pattern));
        if (!dfa.Accepts(name)) continue;
        known = true;
        add(schema, at);
      }
    }
    const Json* others = Find(part, "additionalProperties");
    if (!known && others != nullptr) {
      if (*others == false) return std::nullopt;
      add(*others, PointerTo(part.pointer, "additionalProperties"));
    }
  }
  return out;
}

Result<std::vector<FreeMembers>> FreeMembersOf(const SchemaList& flat, const Shape& shape) {
  struct Pattern {
    size_t part;
    const Json* schema;
    std::string pointer;
    Dfa names;
  };
  std::vector<Pattern> patterns;
  bool open = shape.properties.empty();
  for (size_t i = 0; i < flat.size(); ++i) {
    open = open || Find(flat[i], "additionalProperties") != nullptr;
    const Json* given = Find(flat[i], "patternProperties");
    if (given == nullptr) continue;
    open = true;
    for (const auto& [pattern, schema] : given->items()) {
      const std::string at = PointerTo(PointerTo(flat[i].pointer, "patternProperties"), pattern);
      KV_ASSIGN(Dfa names, PatternDfa(at, pattern));
      patterns.push_back({i, &schema, at, std::move(names)});
      if (patterns.size() > kMostPatterns) {
        return SchemaError(at, fmt::format("is one of more than {} patterns", kMostPatterns), ErrorCode::kUnsupported);
      }
    }
  }
  std::vector<FreeMembers> out;
  if (!open) return out;
  std::vector<Expr> listed;
  listed.reserve(shape.properties.size());
  for (const std::string& name : shape.properties) listed.push_back(Exactly(name));
  KV_ASSIGN(const Dfa names, DfaOf(AnyOfThese(std::move(listed))));
  KV_ASSIGN(const Dfa text, DfaOf(AnyText()));
  KV_ASSIGN(const Dfa others, Intersection(text, Complement(names)));
  // The names are sorted by which patterns they match: each subset has its own schemas.
  for (size_t subset = 0; subset < size_t{1} << patterns.size(); ++subset) {
    FreeMembers members{.name = others, .schemas = {}};
    std::vector<bool> matched(flat.size(), false);
    for (size_t p = 0; p < patterns.size(); ++p) {
      const bool matches = (subset >> p & 1U) != 0;
      KV_ASSIGN(members.name, Intersection(members.name, matches ? patterns[p].names : Complement(patterns[p].names)));
      if (!matches) continue;
      matched[patterns[p].part] = true;
      members.schemas.push_back({patterns[p].schema, patterns[p].pointer});
    }
    for (size_t i = 0; i < flat.size(); ++i) {
      const Json* additional = Find(flat[i], "additionalProperties");
      if (!matched[i] && additional != nullptr) {
        members.schemas.push_back({additional, PointerTo(flat[i].pointer, "additionalProperties")});
      }
    }
    // An absent additionalProperties allows every name, but nobody who lists properties expects more of them in an
    // answer: names that match no pattern are free only where some schema says so.
    const bool wanted =
        subset != 0 || shape.properties.empty() ||
        std::ranges::any_of(flat, [](const SchemaPart& part) { return Find(part, "additionalProperties") != nullptr; });
    if (!members.name.states.empty() && wanted) out.push_back(std::move(members));
  }
  return out;
}

size_t PrefixLength(const SchemaList& flat) {
  size_t length = 0;
  for (const SchemaPart& part : flat) {
    if (const Json* prefix = Find(part, "prefixItems")) length = std::max(length, prefix->size());
  }
  return length;
}

SchemaList SchemasOfItem(const SchemaList& flat, size_t index) {
  SchemaList out;
  for (const SchemaPart& part : flat) {
    const Json* prefix = Find(part, "prefixItems");
    if (prefix != nullptr && index < prefix->size()) {
      out.push_back({&(*prefix)[index], PointerTo(PointerTo(part.pointer, "prefixItems"), std::to_string(index))});
    } else if (const Json* items = Find(part, "items")) {
      out.push_back({items, PointerTo(part.pointer, "items")});
    }
  }
  return out;
}

}  // namespace kvasir::grammar
