#include "grammar/json_text.h"

#include <array>
#include <memory>

#include "base/check.h"
#include "grammar/characters.h"
#include "grammar/json_number.h"

namespace kvasir::grammar {
namespace {

struct Escape {
  uint8_t byte;
  uint8_t letter;
};
// By letter.
constexpr auto kEscapes =
    std::to_array<Escape>({{'"', '"'}, {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'}, {'\n', 'n'}, {'\r', 'r'}, {'\t', 't'}});

// Edges over bytes that stand for themselves, and for each state one more that is reached by a backslash.
Dfa Escaped(const Dfa& content) {
  static constexpr auto kPlain = std::to_array<SymbolRange>({{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0xFF}});
  Dfa out;
  out.states.resize(content.states.size());
  for (size_t s = 0; s < content.states.size(); ++s) {
    std::vector<Dfa::Edge> edges;
    std::vector<Dfa::Edge> letters;
    for (const Dfa::Edge& edge : content.states[s].edges) {
      for (const SymbolRange& plain : kPlain) {
        const Symbol low = std::max(edge.low, plain.low);
        const Symbol high = std::min(edge.high, plain.high);
        if (low <= high) edges.push_back({low, high, edge.target});
      }
    }
    for (const Escape& escape : kEscapes) {
      const int64_t target = content.Next(static_cast<uint32_t>(s), escape.byte);
      if (target >= 0) letters.push_back({escape.letter, escape.letter, static_cast<uint32_t>(target)});
    }
    if (!letters.empty()) {
      edges.push_back({'\\', '\\', static_cast<uint32_t>(out.states.size())});
      out.states.push_back({.edges = std::move(letters), .accept = false});
    }
    std::ranges::sort(edges, {}, &Dfa::Edge::low);
    out.states[s].edges = std::move(edges);
    out.states[s].accept = content.states[s].accept;
  }
  return Trimmed(out);
}

enum AnyRule : uint32_t { kAnyValue, kAnyObject, kAnyArray };

// The rules of JSON itself, made once.
const std::shared_ptr<Rules>& AnyRules() {
  static const std::shared_ptr<Rules> rules = [] {
    auto made = std::make_shared<Rules>();
    made->names = {"value", "object", "array"};
    const auto call = [&](AnyRule rule) { return Make({RuleCall{made.get(), rule}}); };
    const Expr member = InOrderOf({AnyJsonString(), JsonColon(), call(kAnyValue)});
    const auto list = [](const Expr& each) {
      return Maybe(InOrderOf({each, Times(InOrderOf({JsonComma(), each}), 0, -1)}));
    };
    made->bodies = {AnyOfThese({AnyJsonString(), AnyJsonNumber(), Exactly("true"), Exactly("false"), Exactly("null"),
                                call(kAnyObject), call(kAnyArray)}),
                    InOrderOf({Exactly("{"), list(member), Exactly("}")}),
                    InOrderOf({Exactly("["), list(call(kAnyValue)), Exactly("]")})};
    return made;
  }();
  return rules;
}

Expr Any(AnyRule rule) {
  return Make({Scope{AnyRules(), Make({RuleCall{AnyRules().get(), rule}})}});
}

Dfa MustCompile(const Expr& expr) {
  auto dfa = DfaOf(expr);
  KV_CHECK(dfa.has_value());  // a constant of ours
  return std::move(*dfa);
}

}  // namespace

Expr JsonComma() {
  static const Expr comma = InOrderOf({Exactly(","), Maybe(Exactly(" "))});
  return comma;
}
Expr JsonColon() {
  static const Expr colon = InOrderOf({Exactly(":"), Maybe(Exactly(" "))});
  return colon;
}

Expr JsonString(const Dfa& content) {
  const Expr inside = Of(Escaped(content));
  return InOrderOf({Exactly("\""), inside, Exactly("\"")});
}

Expr AnyJsonString() {
  static const Expr any = JsonString(MustCompile(AnyText()));
  return any;
}
Expr AnyJsonNumber() {
  static const Expr any = [] {
    const Expr digit = Bytes({{'0', '9'}});
    const Expr exponent =
        InOrderOf({Bytes({{'E', 'E'}, {'e', 'e'}}), Maybe(Bytes({{'+', '+'}, {'-', '-'}})), Times(digit, 1, 2)});
    return Of(MustCompile(InOrderOf({AnyDecimal(), Maybe(exponent)})));
  }();
  return any;
}
Expr AnyJsonArray() {
  return Any(kAnyArray);
}
Expr AnyJsonObject() {
  return Any(kAnyObject);
}
Expr AnyJsonValue() {
  return Any(kAnyValue);
}

Expr JsonLiteral(const Json& value) {
  if (!value.is_structured()) return Exactly(value.dump());
  std::vector<Expr> parts = {Exactly(value.is_array() ? "[" : "{")};
  bool first = true;
  for (const auto& [name, item] : value.items()) {
    if (!first) parts.push_back(JsonComma());
    first = false;
    if (value.is_object()) {
      parts.push_back(Exactly(Json(name).dump()));
      parts.push_back(JsonColon());
    }
    parts.push_back(JsonLiteral(item));
  }
  parts.push_back(Exactly(value.is_array() ? "]" : "}"));
  return InOrderOf(std::move(parts));
}

}  // namespace kvasir::grammar
