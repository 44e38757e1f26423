#include "grammar/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <string>

#include "grammar/dfa.h"
#include "grammar/matching_test_support.h"
#include "grammar/walker.h"

namespace kvasir::grammar {
namespace {

using testing::HasSubstr;

// Random expressions over a and b, of bounded size.
Expr RandomExpr(int depth) {
  const int kind = *rc::gen::inRange(0, depth == 0 ? 2 : 6);
  const auto part = [&] { return RandomExpr(depth - 1); };
  switch (kind) {
    case 0: return Exactly(*rc::gen::element<std::string>("", "a", "b", "ab"));
    case 1: return Bytes({{'a', *rc::gen::element<Symbol>('a', 'b')}});
    case 2: return InOrderOf({part(), part()});
    case 3: return AnyOfThese({part(), part()});
    case 4: {
      const int min = *rc::gen::inRange(0, 3);
      return Times(part(), min, *rc::gen::element(-1, min, min + 1));
    }
    default: {
      Graph graph{.nodes = 3, .end = 2, .edges = {}};
      graph.edges = {{0, 1, part()}, {1, 2, part()}, {0, 2, part()}, {1, 1, Exactly("a")}, {0, 1, nullptr}};
      return Make({std::move(graph)});
    }
  }
}

// The ends of all texts that begin at `from` and that the expression matches, by trying everything.
std::set<size_t> Ends(const Expr& expr, const std::string& text, size_t from) {
  const auto after = [&](const Expr& part, const std::set<size_t>& begins) {
    std::set<size_t> out;
    for (const size_t begin : begins) out.merge(Ends(part, text, begin));
    return out;
  };
  if (const auto* t = std::get_if<Text>(&expr->value)) {
    return text.substr(from).starts_with(t->bytes) ? std::set<size_t>{from + t->bytes.size()} : std::set<size_t>{};
  }
  if (const auto* one = std::get_if<OneOf>(&expr->value)) {
    if (from == text.size()) return {};
    for (const SymbolRange& range : one->ranges) {
      if (static_cast<uint8_t>(text[from]) >= range.low && static_cast<uint8_t>(text[from]) <= range.high) {
        return {from + 1};
      }
    }
    return {};
  }
  std::set<size_t> ends = {from};
  if (const auto* order = std::get_if<InOrder>(&expr->value)) {
    for (const Expr& part : order->parts) ends = after(part, ends);
    return ends;
  }
  if (const auto* any = std::get_if<AnyOf>(&expr->value)) {
    ends.clear();
    for (const Expr& part : any->parts) ends.merge(Ends(part, text, from));
    return ends;
  }
  if (const auto* repeat = std::get_if<Repeated>(&expr->value)) {
    for (int i = 0; i < repeat->min; ++i) ends = after(repeat->part, ends);
    std::set<size_t> all = ends;
    const int more = repeat->max < 0 ? static_cast<int>(text.size()) + 1 : repeat->max - repeat->min;
    for (int i = 0; i < more; ++i) {
      ends = after(repeat->part, ends);
      all.insert(ends.begin(), ends.end());
    }
    return all;
  }
  const auto& graph = std::get<Graph>(expr->value);
  std::set<std::pair<uint32_t, size_t>> seen = {{0, from}};
  for (bool changed = true; changed;) {
    changed = false;
    for (const Graph::Edge& edge : graph.edges) {
      for (const auto& [node, at] : std::set(seen)) {
        if (node != edge.from) continue;
        for (const size_t end : edge.part ? Ends(edge.part, text, at) : std::set<size_t>{at}) {
          changed = seen.emplace(edge.to, end).second || changed;
        }
      }
    }
  }
  ends.clear();
  for (const auto& [node, at] : seen) {
    if (node == graph.end) ends.insert(at);
  }
  return ends;
}

RC_GTEST_PROP(ProgramProperty, MatchesWhatTryingEverythingMatches, ()) {
  const Expr expr = RandomExpr(3);
  const auto program = Program::Compile(expr);
  const auto dfa = DfaOf(expr);
  RC_ASSERT(dfa.has_value());
  Dfa complement = Complement(*dfa);
  for (int i = 0; i < 20; ++i) {
    const auto text = *rc::gen::container<std::string>(rc::gen::element('a', 'b'));
    const bool expected = text.size() < 12 && Ends(expr, text, 0).contains(text.size());
    if (text.size() >= 12) continue;
    RC_ASSERT(dfa->Accepts(text) == expected);
    RC_ASSERT(complement.Accepts(text) != expected);
    if (!program) {
      RC_ASSERT(!expected);
      continue;
    }
    Walker walker(*program);
    RC_ASSERT(walker.complete(walker.NextText(walker.Start(), text)) == expected);
  }
}

RC_GTEST_PROP(ProgramProperty, IntersectionIsBoth, ()) {
  const auto a = DfaOf(RandomExpr(3));
  const auto b = DfaOf(RandomExpr(3));
  RC_ASSERT(a.has_value() && b.has_value());
  const auto both = Intersection(*a, *b);
  RC_ASSERT(both.has_value());
  for (int i = 0; i < 20; ++i) {
    const auto text = *rc::gen::container<std::string>(rc::gen::element('a', 'b'));
    RC_ASSERT(both->Accepts(text) == (a->Accepts(text) && b->Accepts(text)));
  }
}

std::shared_ptr<Rules> RulesOf(std::vector<std::string> names) {
  auto rules = std::make_shared<Rules>();
  rules->names = std::move(names);
  rules->bodies.resize(rules->names.size());
  return rules;
}
Expr Call(const std::shared_ptr<Rules>& rules, uint32_t rule) {
  return Make({RuleCall{rules.get(), rule}});
}

TEST(ProgramTest, RulesMayContainThemselves) {
  const auto rules = RulesOf({"nested"});
  // nested = "(" nested? ")"
  rules->bodies[0] = InOrderOf({Exactly("("), Maybe(Call(rules, 0)), Exactly(")")});
  const Expr root = Make({Scope{rules, Call(rules, 0)}});
  EXPECT_TRUE(MatchesForTest(root, "()"));
  EXPECT_TRUE(MatchesForTest(root, "((()))"));
  EXPECT_FALSE(MatchesForTest(root, "((())"));
  EXPECT_FALSE(MatchesForTest(root, "(()))"));
  EXPECT_FALSE(MatchesForTest(root, ""));
}

TEST(ProgramTest, RulesThatMayBeEmptyMayBeEverywhere) {
  const auto rules = RulesOf({"blanks", "list", "empty"});
  rules->bodies[0] = Times(Exactly(" "), 0, -1);
  rules->bodies[1] = Maybe(InOrderOf({Call(rules, 0), Exactly("x"), Call(rules, 0), Call(rules, 1)}));
  rules->bodies[2] = Empty();
  const Expr root =
      Make({Scope{rules, InOrderOf({Call(rules, 2), Call(rules, 0), Call(rules, 1), Call(rules, 0), Call(rules, 2)})}});
  for (const char* text : {"", " ", "x", " x  x", "xx ", "   "}) EXPECT_TRUE(MatchesForTest(root, text)) << text;
  for (const char* text : {"y", " y", "xy"}) EXPECT_FALSE(MatchesForTest(root, text)) << text;
}

TEST(ProgramTest, RecursionAtTheEndNeedsNoDepth) {
  const auto rules = RulesOf({"as"});
  rules->bodies[0] = InOrderOf({Exactly("a"), Maybe(Call(rules, 0))});
  const Expr root = Make({Scope{rules, Call(rules, 0)}});
  EXPECT_TRUE(MatchesForTest(root, std::string(10 * Walker::kDeepest, 'a')));
}

TEST(ProgramTest, RecursionInTheMiddleHasABoundOnDepth) {
  const auto rules = RulesOf({"nested"});
  rules->bodies[0] = InOrderOf({Exactly("("), Maybe(Call(rules, 0)), Exactly(")")});
  const auto program = Program::Compile(Make({Scope{rules, Call(rules, 0)}}));
  ASSERT_TRUE(program.has_value());
  Walker walker(*program);
  (void)walker.NextText(walker.Start(), std::string(2 * Walker::kDeepest, '('));
  ASSERT_FALSE(walker.status().has_value());
  EXPECT_THAT(walker.status().error().message, HasSubstr("nests more than 1000"));
}

TEST(ProgramTest, RefusesRulesThatBeginWithThemselves) {
  const auto rules = RulesOf({"sum", "blanks", "term"});
  rules->bodies[1] = Times(Exactly(" "), 0, -1);
  rules->bodies[2] = InOrderOf({Call(rules, 0), Exactly("+")});
  rules->bodies[0] = AnyOfThese({Exactly("1"), InOrderOf({Call(rules, 1), Call(rules, 2)})});
  const auto program = Program::Compile(Make({Scope{rules, Call(rules, 0)}}));
  ASSERT_FALSE(program.has_value());
  EXPECT_THAT(program.error().message, HasSubstr("may begin with itself"));
}

TEST(ProgramTest, RefusesWhatMatchesNothing) {
  const auto rules = RulesOf({"forever"});
  rules->bodies[0] = InOrderOf({Exactly("a"), Call(rules, 0)});
  const auto endless = Program::Compile(Make({Scope{rules, Call(rules, 0)}}));
  ASSERT_FALSE(endless.has_value());
  EXPECT_THAT(endless.error().message, HasSubstr("matches no text"));
  EXPECT_FALSE(Program::Compile(Nothing()).has_value());
  // A choice that never ends is left out.
  EXPECT_FALSE(MatchesForTest(Make({Scope{rules, AnyOfThese({Exactly("b"), Call(rules, 0)})}}), "aa"));
}

TEST(ProgramTest, LimitsAreErrorsThatNameTheWayOut) {
  const Expr big = Times(Times(Times(Bytes({{'a', 'z'}}), 1000, 1000), 1000, 1000), 1000, 1000);
  const auto huge = Program::Compile(big);
  ASSERT_FALSE(huge.has_value());
  EXPECT_EQ(huge.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(huge.error().message, HasSubstr("use smaller repeats"));
  // (a|b)*a(a|b){20} has two million states as a deterministic automaton.
  const Expr ab = Bytes({{'a', 'b'}});
  const auto exponential = DfaOf(InOrderOf({Times(ab, 0, -1), Exactly("a"), Times(ab, 20, 20)}));
  ASSERT_FALSE(exponential.has_value());
  EXPECT_EQ(exponential.error().code, ErrorCode::kResourceExhausted);
  // Repeats of nothing are bounded as well.
  EXPECT_FALSE(Program::Compile(Times(Times(Times(Empty(), 9999, 9999), 9999, 9999), 9999, 9999)).has_value());
}

TEST(ProgramTest, StatesThatAgreeOnTokensShareAClass) {
  const auto program = Program::Compile(Times(Bytes({{'a', 'z'}}), 0, 1000));
  ASSERT_TRUE(program.has_value());
  std::set<uint32_t> classes;
  for (uint32_t s = 0; s < program->size(); ++s) {
    classes.insert(program->class_of(s));
    EXPECT_EQ(program->class_of(program->class_of(s)), program->class_of(s));
  }
  EXPECT_EQ(program->size(), 1001u);
  EXPECT_EQ(classes.size(), kHorizon + 1);
}

TEST(DfaTest, MinimizedHasTheFewestStates) {
  // Ends with "ab": three states.
  const Expr ab = Bytes({{'a', 'b'}});
  const auto dfa = DfaOf(InOrderOf({Times(ab, 0, -1), Exactly("ab")}));
  ASSERT_TRUE(dfa.has_value());
  EXPECT_EQ(dfa->states.size(), 3u);
  const auto same =
      DfaOf(AnyOfThese({Exactly("xab"), Exactly("yab"), InOrderOf({Bytes({{'x', 'z'}}), Exactly("ab")})}));
  ASSERT_TRUE(same.has_value());
  EXPECT_EQ(same->states.size(), 4u);
}

}  // namespace
}  // namespace kvasir::grammar
