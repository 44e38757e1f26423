// Test support: whether an expression matches a text, and how long refusals may take.
#pragma once

#include <gtest/gtest.h>

#include <string_view>

#include "grammar/expression.h"
#include "grammar/program.h"
#include "grammar/walker.h"

namespace kvasir::grammar {

/// For a handful of hostile inputs, which plainly take a fraction of one: generous, because sanitizers are slow.
inline constexpr double kSoonSeconds = 20;

/// Through the program and the walker, as requests do it. A grammar that does not compile fails the test.
inline bool MatchesForTest(const Expr& expr, std::string_view text) {
  const auto program = Program::Compile(expr, /*specials_as_text=*/true);
  if (!program) {
    ADD_FAILURE() << program.error().message;
    return false;
  }
  Walker walker(*program);
  const bool matches = walker.complete(walker.NextText(walker.Start(), text));
  EXPECT_TRUE(walker.status().has_value());
  return matches;
}

}  // namespace kvasir::grammar
