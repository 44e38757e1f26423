#include "grammar/nfa.h"

#include <fmt/format.h>

#include "base/check.h"
#include "grammar/dfa.h"

namespace kvasir::grammar {
namespace {

class Builder {
 public:
  explicit Builder(const SymbolNumbers& numbers) : numbers_(numbers) { Add(); }

  // Adds what reads `expr` from the state `from` on, and returns the state where it has been read. Nothing is ever
  // added that leads back into `from` itself, so several parts may begin there.
  Result<uint32_t> Build(const Expr& expr, uint32_t from) {
    if (nfa_.states.size() > kMostNfaStates) return TooManyStates(kMostNfaStates);
    return std::visit([&](const auto& value) { return BuildPart(value, from); }, expr->value);
  }

  Nfa Take(uint32_t accept) {
    nfa_.accept = accept;
    return std::move(nfa_);
  }

 private:
  uint32_t Add() {
    nfa_.states.emplace_back();
    return static_cast<uint32_t>(nfa_.states.size() - 1);
  }
  void Free(uint32_t from, uint32_t to) { nfa_.states[from].free.push_back(to); }
  uint32_t Read(uint32_t from, Symbol low, Symbol high) {
    const uint32_t to = Add();
    nfa_.states[from].edges.push_back({low, high, to});
    return to;
  }

  Result<uint32_t> BuildPart(const OneOf& one, uint32_t from) {
    const uint32_t to = Add();
    for (const SymbolRange& range : one.ranges) nfa_.states[from].edges.push_back({range.low, range.high, to});
    return to;
  }
  Result<uint32_t> BuildPart(const Text& text, uint32_t from) {
    if (text.bytes.size() > kMostNfaStates) return TooManyStates(kMostNfaStates);
    for (const char c : text.bytes) from = Read(from, static_cast<uint8_t>(c), static_cast<uint8_t>(c));
    return from;
  }
  Result<uint32_t> BuildPart(const SpecialToken& token, uint32_t from) {
    KV_CHECK(numbers_.special);
    const Symbol symbol = numbers_.special(token);
    return Read(from, symbol, symbol);
  }
  Result<uint32_t> BuildPart(const InOrder& sequence, uint32_t from) {
    for (const Expr& part : sequence.parts) {
      KV_ASSIGN(from, Build(part, from));
    }
    return from;
  }
  Result<uint32_t> BuildPart(const AnyOf& choice, uint32_t from) {
    const uint32_t end = Add();
    for (const Expr& part : choice.parts) {
      KV_ASSIGN(const uint32_t to, Build(part, from));
      Free(to, end);
    }
    return end;
  }
  Result<uint32_t> BuildPart(const Repeated& repeat, uint32_t from) {
    for (int i = 0; i < repeat.min; ++i) {
      KV_ASSIGN(from, Build(repeat.part, Next(from)));
    }
    const uint32_t end = Add();
    if (repeat.max < 0) {
      const uint32_t loop = Next(from);
      KV_ASSIGN(const uint32_t back, Build(repeat.part, loop));
      Free(back, loop);
      Free(loop, end);
      return end;
    }
    for (int i = repeat.min; i < repeat.max; ++i) {
      Free(from, end);
      KV_ASSIGN(from, Build(repeat.part, Next(from)));
    }
    Free(from, end);
    return end;
  }
  Result<uint32_t> BuildPart(const Graph& graph, uint32_t from) {
    const auto base = static_cast<uint32_t>(nfa_.states.size());
    for (uint32_t i = 0; i < graph.nodes; ++i) Add();
    Free(from, base);
    for (const Graph::Edge& edge : graph.edges) {
      uint32_t to = base + edge.from;
      if (edge.part) {
        KV_ASSIGN(to, Build(edge.part, to));
      }
      Free(to, base + edge.to);
    }
    return base + graph.end;
  }
  Result<uint32_t> BuildPart(const Compiled& compiled, uint32_t from) {
    const auto base = static_cast<uint32_t>(nfa_.states.size());
    for (size_t i = 0; i < compiled.dfa->states.size(); ++i) Add();
    const uint32_t end = Add();
    Free(from, base);
    for (size_t i = 0; i < compiled.dfa->states.size(); ++i) {
      const Dfa::State& state = compiled.dfa->states[i];
      Nfa::State& copy = nfa_.states[base + i];
      for (const Dfa::Edge& edge : state.edges) copy.edges.push_back({edge.low, edge.high, base + edge.target});
      if (state.accept) copy.free.push_back(end);
    }
    return end;
  }
  Result<uint32_t> BuildPart(const RuleCall& call, uint32_t from) {
    KV_CHECK(numbers_.call);
    const Symbol symbol = numbers_.call(call);
    return Read(from, symbol, symbol);
  }
  Result<uint32_t> BuildPart(const Scope& scope, uint32_t from) { return Build(scope.body, from); }

  // A state of its own behind `from`, so that every repeat costs something even where its part is empty.
  uint32_t Next(uint32_t from) {
    const uint32_t next = Add();
    Free(from, next);
    return next;
  }

  const SymbolNumbers& numbers_;
  Nfa nfa_;
};

}  // namespace

std::unexpected<Error> TooManyStates(size_t most) {
  return Fail(ErrorCode::kResourceExhausted,
              fmt::format("the grammar needs more than {} states; use smaller repeats (maxLength, maxItems, {{m,n}}), "
                          "simpler patterns or fewer alternatives",
                          most));
}

Result<Nfa> BuildNfa(const Expr& expr, const SymbolNumbers& numbers) {
  Builder builder(numbers);
  KV_ASSIGN(const uint32_t accept, builder.Build(expr, 0));
  return builder.Take(accept);
}

}  // namespace kvasir::grammar
