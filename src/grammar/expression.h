// What a set of texts looks like before it is compiled: a tree of small immutable values, shared freely.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kvasir::grammar {

struct Dfa;
struct Expression;
using Expr = std::shared_ptr<const Expression>;

/// What an automaton reads. Symbols 0 to 255 are the bytes of the text; the others never meet a text and stand for
/// something that is resolved later.
using Symbol = uint32_t;
inline constexpr Symbol kTextBegin = 256;           ///< The place before the first byte, for the anchor ^.
inline constexpr Symbol kTextEnd = 257;             ///< The place after the last byte, for $.
inline constexpr Symbol kFirstCall = 1U << 16U;     ///< kFirstCall + r: any text of rule r.
inline constexpr Symbol kFirstSpecial = 1U << 24U;  ///< kFirstSpecial + s: the special token number s.

/// Symbols low to high, both included.
struct SymbolRange {
  Symbol low = 0;
  Symbol high = 0;
};

/// Rules that may name each other and themselves.
struct Rules {
  std::vector<std::string> names;  ///< For messages.
  std::vector<Expr> bodies;
};

struct OneOf {  ///< One symbol out of `ranges`; none: no text at all.
  std::vector<SymbolRange> ranges;
};
struct Text {  ///< Exactly this text.
  std::string bytes;
};
struct SpecialToken {  ///< The control or added token that is spelled so.
  std::string spelling;
};
struct InOrder {  ///< One after the other; none: the empty text.
  std::vector<Expr> parts;
};
struct AnyOf {  ///< Any of them; none: no text at all.
  std::vector<Expr> parts;
};
struct Repeated {  ///< `part`, `min` to `max` times; max -1: no bound.
  Expr part;
  int min = 0;
  int max = -1;
};
/// Ways through a graph from node 0 to node `end`; an edge without a part costs nothing. It says in linear size what a
/// tree of sequences and choices would have to repeat, such as "some of these members, in this order, with commas".
struct Graph {
  struct Edge {
    uint32_t from = 0;
    uint32_t to = 0;
    Expr part;
  };
  uint32_t nodes = 1;
  uint32_t end = 0;
  std::vector<Edge> edges;
};
struct Compiled {  ///< What the automaton accepts.
  std::shared_ptr<const Dfa> dfa;
};
struct RuleCall {  ///< Any text of a rule. The Scope around it keeps `rules` alive.
  const Rules* rules = nullptr;
  uint32_t rule = 0;
};
struct Scope {  ///< `body`, which may call `rules`.
  std::shared_ptr<const Rules> rules;
  Expr body;
};

struct Expression {
  std::variant<OneOf, Text, SpecialToken, InOrder, AnyOf, Repeated, Graph, Compiled, RuleCall, Scope> value;
};

[[nodiscard]] Expr Nothing();  ///< No text at all.
[[nodiscard]] Expr Empty();    ///< The empty text.
[[nodiscard]] Expr Make(Expression expression);
[[nodiscard]] Expr Bytes(std::vector<SymbolRange> ranges);
[[nodiscard]] Expr Exactly(std::string_view text);
[[nodiscard]] Expr InOrderOf(std::vector<Expr> parts);
[[nodiscard]] Expr AnyOfThese(std::vector<Expr> parts);
[[nodiscard]] Expr Times(Expr part, int min, int max);
[[nodiscard]] Expr Maybe(Expr part);
[[nodiscard]] Expr Of(Dfa dfa);

/// Whether it is AnyOf or OneOf without parts, which is how the builders say that nothing matches.
[[nodiscard]] bool IsNothing(const Expr& expr);

}  // namespace kvasir::grammar
