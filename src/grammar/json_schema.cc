// A schema is not a description of texts but a list of conditions, and conditions meet: by allOf, by a $ref with
// neighbours, by properties beside anyOf. So what is compiled is never one schema but a list of schemas that hold
// together. Such a list is taken apart in four steps:
//
// 1. $ref and allOf are replaced by what they stand for (SchemaDocument::Flatten);
// 2. the first anyOf or oneOf in it is replaced by a choice: the same list with one of its alternatives added;
// 3. the keywords that are left are merged (ReadShape), type by type;
// 4. members and items are again lists of schemas.
//
// A list that a $ref led to becomes a rule, found again by the pointers in it, so recursive schemas become recursive
// rules. Strings and numbers are sets computed with automata (length, pattern and format all hold), so nothing of a
// schema is approximated: what cannot be kept is an error.
#include "grammar/json_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/check.h"
#include "grammar/json_text.h"
#include "grammar/schema_disjoint.h"
#include "grammar/schema_shape.h"
#include "grammar/schema_values.h"

namespace kvasir::grammar {
namespace {

constexpr int kDeepestList = 200;
constexpr int kMostLists = 5'000;  // lists of schemas that are compiled
constexpr int kInlineTimes = 3;    // a part that may occur more often becomes a rule

class SchemaCompiler {
 public:
  explicit SchemaCompiler(const SchemaDocument& document) : document_(document), rules_(std::make_shared<Rules>()) {}

  Result<Expr> Run() {
    KV_ASSIGN(Expr body, Compile({document_.root()}));
    if (IsNothing(body)) return Fail(ErrorCode::kInvalidArgument, "no document can satisfy the schema");
    return Make({Scope{rules_, std::move(body)}});
  }

 private:
  Result<Expr> Compile(const SchemaList& parts) {
    bool has_ref = false;
    KV_ASSIGN(const std::optional<SchemaList> flat, document_.Flatten(parts, &has_ref));
    if (!flat) return Nothing();
    const std::string& pointer = parts.empty() ? document_.root().pointer : parts.front().pointer;
    if (++lists_ > kMostLists || depth_ >= kDeepestList) {
      return SchemaError(pointer, "makes the schema too large: its alternatives and references multiply",
                         ErrorCode::kResourceExhausted);
    }
    if (!has_ref) return CompileFlat(*flat);
    std::string key;
    for (const SchemaPart& part : *flat) {
      key += fmt::format("{}{}{} ", static_cast<const void*>(part.schema), part.any_of_done ? "a" : "",
                         part.one_of_done ? "o" : "");
    }
    const auto [at, is_new] = known_.try_emplace(key, static_cast<uint32_t>(rules_->bodies.size()));
    const uint32_t number = at->second;
    if (is_new) {
      rules_->names.push_back(pointer);
      rules_->bodies.push_back(Nothing());
      KV_ASSIGN(Expr body, CompileFlat(*flat));
      rules_->bodies[number] = std::move(body);
    }
    return Call(number);
  }

  [[nodiscard]] Expr Call(uint32_t rule) const { return Make({RuleCall{rules_.get(), rule}}); }

  // A rule of its own for what is repeated often, so that it is there once.
  Expr AsRule(Expr expr, std::string name) {
    if (std::holds_alternative<RuleCall>(expr->value) || IsNothing(expr)) return expr;
    rules_->names.push_back(std::move(name));
    rules_->bodies.push_back(std::move(expr));
    return Call(static_cast<uint32_t>(rules_->bodies.size() - 1));
  }

  Result<Expr> CompileFlat(const SchemaList& flat) {
    ++depth_;
    auto expr = CompileChoices(flat);
    --depth_;
    return expr;
  }

  Result<Expr> CompileChoices(const SchemaList& flat) {
    for (size_t i = 0; i < flat.size(); ++i) {
      for (const bool one_of : {false, true}) {
        const char* keyword = one_of ? "oneOf" : "anyOf";
        const bool done = one_of ? flat[i].one_of_done : flat[i].any_of_done;
        if (done || !flat[i].schema->contains(keyword)) continue;
        const Json& alternatives = (*flat[i].schema)[keyword];
        const std::string at = PointerTo(flat[i].pointer, keyword);
        if (!alternatives.is_array() || alternatives.empty()) {
          return SchemaError(at, "must be a list with at least one schema");
        }
        SchemaList rest = flat;
        (one_of ? rest[i].one_of_done : rest[i].any_of_done) = true;
        return Alternatives(rest, alternatives, at, one_of);
      }
    }
    return CompileShape(flat);
  }

  Result<Expr> Alternatives(const SchemaList& rest, const Json& alternatives, const std::string& at, bool one_of) {
    std::vector<SchemaList> lists;
    std::vector<Expr> parts;
    for (size_t i = 0; i < alternatives.size(); ++i) {
      SchemaList list = rest;
      list.push_back({&alternatives[i], PointerTo(at, std::to_string(i))});
      KV_ASSIGN(Expr part, Compile(list));
      parts.push_back(std::move(part));
      lists.push_back(std::move(list));  // also one that we have no text for: others may satisfy it
    }
    for (size_t i = 0; one_of && i < lists.size(); ++i) {
      for (size_t j = i + 1; j < lists.size(); ++j) {
        KV_ASSIGN(const bool apart, AreDisjoint(document_, lists[i], lists[j]));
        if (apart) continue;
        return SchemaError(
            at,
            fmt::format("has alternatives ({} and {}) that one value may satisfy together, as far as can "
                        "be seen; write anyOf, or give them a required member with different constants",
                        lists[i].back().pointer, lists[j].back().pointer),
            ErrorCode::kUnsupported);
      }
    }
    return AnyOfThese(std::move(parts));
  }

  Result<Expr> CompileShape(const SchemaList& flat) {
    KV_ASSIGN(const Shape shape, ReadShape(flat));
    if (shape.values) return CompileValues(flat, shape);
    if (flat.empty()) return AnyJsonValue();
    std::vector<Expr> parts;
    if ((shape.types & kObject) != 0) {
      KV_ASSIGN(Expr object, CompileObject(flat, shape));
      parts.push_back(std::move(object));
    }
    if ((shape.types & kArray) != 0) {
      KV_ASSIGN(Expr array, CompileArray(flat, shape));
      parts.push_back(std::move(array));
    }
    if ((shape.types & kString) != 0) {
      KV_ASSIGN(const Dfa strings, StringsOf(shape));
      if (!strings.states.empty()) parts.push_back(JsonString(strings));
    }
    if ((shape.types & kNumber) != 0) {
      if (shape.numbers_restricted) {
        KV_ASSIGN(Dfa numbers, DecimalsIn(shape.numbers));
        parts.push_back(Of(std::move(numbers)));
      } else {
        parts.push_back(AnyJsonNumber());
      }
    }
    if ((shape.types & kBoolean) != 0) parts.push_back(AnyOfThese({Exactly("true"), Exactly("false")}));
    if ((shape.types & kNull) != 0) parts.push_back(Exactly("null"));
    return AnyOfThese(std::move(parts));
  }

  Result<Expr> CompileValues(const SchemaList& flat, const Shape& shape) {
    std::vector<Expr> parts;
    for (const Json& value : *shape.values) {
      if ((TypeOf(value) & shape.types) == 0) continue;
      if (value.is_number() && !InRange(value.get<double>(), shape.numbers)) continue;
      if (value.is_string()) {
        KV_ASSIGN(const Dfa strings, StringsOf(shape));
        if (!strings.Accepts(value.get<std::string>())) continue;
      }
      if (value.is_structured() && HasPartKeywords(flat)) {
        return SchemaError(
            flat.front().pointer,
            "lists objects or arrays in enum or const beside keywords about their members or items; leave "
            "one of the two out",
            ErrorCode::kUnsupported);
      }
      parts.push_back(JsonLiteral(value));
    }
    return AnyOfThese(std::move(parts));
  }

  static bool HasPartKeywords(const SchemaList& flat) {
    static constexpr const char* kKeywords[] = {"properties", "patternProperties", "additionalProperties",
                                                "required",   "minProperties",     "maxProperties",
                                                "items",      "prefixItems",       "minItems",
                                                "maxItems"};
    return std::ranges::any_of(flat, [](const SchemaPart& part) {
      return std::ranges::any_of(kKeywords, [&](const char* keyword) { return part.schema->contains(keyword); });
    });
  }

  Result<Expr> CompileArray(const SchemaList& flat, const Shape& shape) {
    const size_t prefix = PrefixLength(flat);
    int max = shape.max_items;
    KV_ASSIGN(Expr rest, Compile(SchemasOfItem(flat, prefix)));
    if (IsNothing(rest)) max = max < 0 ? static_cast<int>(prefix) : std::min(max, static_cast<int>(prefix));
    std::vector<Expr> items;
    for (size_t i = 0; i < prefix && (max < 0 || static_cast<int>(i) < max); ++i) {
      KV_ASSIGN(Expr item, Compile(SchemasOfItem(flat, i)));
      if (IsNothing(item)) max = static_cast<int>(i);
      items.push_back(std::move(item));
    }
    if (max >= 0 && shape.min_items > max) return Nothing();
    if (max > kInlineTimes || shape.min_items > kInlineTimes) {
      rest = AsRule(std::move(rest), PointerTo(flat.empty() ? "#" : flat.front().pointer, "items"));
    }
    return ArrayOf(items, rest, shape.min_items, max);
  }

  // Node i of the graph: i items are written.
  static Expr ArrayOf(std::vector<Expr> items, const Expr& rest, int min, int max) {
    if (max < 0 || max > static_cast<int>(items.size())) {
      if (items.empty()) items.push_back(rest);
    }
    if (max >= 0 && items.size() > static_cast<size_t>(max)) items.resize(static_cast<size_t>(max));
    Graph graph;
    const auto known = static_cast<uint32_t>(items.size());
    graph.nodes = known + 2;
    graph.end = known + 1;
    for (uint32_t i = 0; i < known; ++i) {
      graph.edges.push_back({i, i + 1, i == 0 ? items[i] : InOrderOf({JsonComma(), items[i]})});
      if (static_cast<int>(i) >= min) graph.edges.push_back({i, graph.end, nullptr});
    }
    const int most = max < 0 ? -1 : max - static_cast<int>(known);
    const int least = std::max(min - static_cast<int>(known), 0);
    graph.edges.push_back({known, graph.end, most == 0 ? Empty() : Times(InOrderOf({JsonComma(), rest}), least, most)});
    return InOrderOf({Exactly("["), Make({std::move(graph)}), Exactly("]")});
  }

  Result<Expr> CompileObject(const SchemaList& flat, const Shape& shape) {
    std::vector<Member> members;
    for (const std::string& name : shape.properties) {
      const bool required = std::ranges::find(shape.required, name) != shape.required.end();
      KV_ASSIGN(const std::optional<SchemaList> schemas, SchemasOfMember(flat, name));
      Expr value = Nothing();
      if (schemas) {
        KV_ASSIGN(value, Compile(*schemas));
      }
      if (IsNothing(value) && required) return Nothing();
      if (IsNothing(value)) continue;
      members.push_back({InOrderOf({Exactly(Json(name).dump()), JsonColon(), std::move(value)}), required});
    }
    KV_ASSIGN(const Expr others, CompileFreeMembers(flat, shape));
    KV_ASSIGN(const ObjectCounts counts, CountsOf(flat, shape, members, IsNothing(others)));
    if (counts.impossible) return Nothing();
    return ObjectOf(members, others, counts);
  }

  struct Member {
    Expr text;
    bool required = false;
  };
  struct ObjectCounts {
    bool not_empty = false;
    int most_others = -1;  // members that are not listed
    bool impossible = false;
  };

  Result<Expr> CompileFreeMembers(const SchemaList& flat, const Shape& shape) {
    KV_ASSIGN(const std::vector<FreeMembers> kinds, FreeMembersOf(flat, shape));
    std::vector<Expr> parts;
    for (const FreeMembers& kind : kinds) {
      KV_ASSIGN(Expr value, Compile(kind.schemas));
      parts.push_back(InOrderOf({JsonString(kind.name), JsonColon(), std::move(value)}));
    }
    return AsRule(AnyOfThese(std::move(parts)), "members");
  }

  // minProperties and maxProperties count different names. Free names may repeat in an answer, so only bounds that a
  // repetition cannot break are kept.
  static Result<ObjectCounts> CountsOf(const SchemaList& flat, const Shape& shape, const std::vector<Member>& members,
                                       bool closed) {
    ObjectCounts counts;
    const auto listed = static_cast<int>(members.size());
    const auto required = static_cast<int>(std::ranges::count_if(members, &Member::required));
    const std::string& pointer = flat.empty() ? "#" : flat.front().pointer;
    if (shape.min_properties > required) {
      counts.not_empty = true;
      counts.impossible = closed && listed < shape.min_properties;
      if (shape.min_properties > 1 && !counts.impossible) {
        return SchemaError(
            PointerTo(pointer, "minProperties"),
            fmt::format("is {}, but {} are required; more than 1 beyond those cannot be enforced, so list "
                        "them in required",
                        shape.min_properties, required),
            ErrorCode::kUnsupported);
      }
    }
    if (shape.max_properties >= 0 && (listed > shape.max_properties || !closed)) {
      counts.impossible = counts.impossible || required > shape.max_properties;
      if (listed > required && !counts.impossible) {
        return SchemaError(PointerTo(pointer, "maxProperties"),
                           "cannot be enforced beside optional properties; make them required or leave it out",
                           ErrorCode::kUnsupported);
      }
      counts.most_others = shape.max_properties - required;
    }
    return counts;
  }

  // Two rows of nodes, one for "nothing written yet" and one for "something written, so a comma comes first"; both lead
  // to the same copy of each member. The free members come last.
  static Expr ObjectOf(const std::vector<Member>& members, const Expr& others, const ObjectCounts& counts) {
    Graph graph;
    const auto n = static_cast<uint32_t>(members.size());
    const auto fresh = [](uint32_t i) { return 3 * i; };
    const auto begun = [](uint32_t i) { return 3 * i + 1; };
    const auto member = [](uint32_t i) { return 3 * i + 2; };
    graph.nodes = 3 * (n + 1) + 1;
    graph.end = graph.nodes - 1;
    const auto add = [&graph](uint32_t from, uint32_t to, Expr part) {
      graph.edges.push_back({from, to, std::move(part)});
    };
    for (uint32_t i = 0; i < n; ++i) {
      add(fresh(i), member(i), nullptr);
      add(begun(i), member(i), JsonComma());
      add(member(i), begun(i + 1), members[i].text);
      if (members[i].required) continue;
      add(fresh(i), fresh(i + 1), nullptr);
      add(begun(i), begun(i + 1), nullptr);
    }
    if (!counts.not_empty) add(fresh(n), graph.end, nullptr);
    add(begun(n), graph.end, nullptr);
    if (!IsNothing(others) && counts.most_others != 0) {
      const int more = counts.most_others < 0 ? -1 : counts.most_others - 1;
      add(fresh(n), member(n), nullptr);
      add(begun(n), member(n), JsonComma());
      add(member(n), graph.end, InOrderOf({others, Times(InOrderOf({JsonComma(), others}), 0, more)}));
    }
    return InOrderOf({Exactly("{"), Make({std::move(graph)}), Exactly("}")});
  }

  const SchemaDocument& document_;
  std::shared_ptr<Rules> rules_;
  std::map<std::string, uint32_t> known_;
  int depth_ = 0;
  int lists_ = 0;
};

}  // namespace

Result<Expr> ParseJsonSchema(std::string_view schema) {
  KV_ASSIGN(const SchemaDocument document, SchemaDocument::Parse(schema));
  return SchemaCompiler(document).Run();
}

}  // namespace kvasir::grammar
