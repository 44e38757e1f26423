// What a request says about tools: functions that a model may ask its client to call.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "base/ascii.h"
#include "server/json.h"

namespace kvasir::server {

/// One function.
struct Tool {
  std::string name;  ///< Letters, digits, '_', '-' and '.'.
  std::string description;
  Json parameters;  ///< A JSON schema of an object, with the member "properties".
  bool strict = false;
};

enum class ToolUse {
  kNever,   ///< The answer is text.
  kMaybe,   ///< The model decides.
  kAlways,  ///< The answer is a call.
};

/// The tools of a request and how they may be used.
struct ToolOptions {
  std::vector<Tool> tools;
  ToolUse use = ToolUse::kMaybe;
  std::string only;      ///< The one function that may be called; empty: any.
  bool parallel = true;  ///< An answer may have more than one call.

  /// Whether the answer may have calls at all.
  [[nodiscard]] bool offered() const { return !tools.empty() && use != ToolUse::kNever; }
  /// Those that may be called.
  [[nodiscard]] std::vector<Tool> Callable() const {
    std::vector<Tool> callable;
    std::copy_if(tools.begin(), tools.end(), std::back_inserter(callable),
                 [&](const Tool& tool) { return only.empty() || tool.name == only; });
    return callable;
  }
};

/// A call as a model wrote it.
struct ToolCall {
  std::string name;
  std::string arguments;  ///< Meant to be a JSON object; what a model writes without a constraint may be anything.
};

/// Whether `c` may be part of a function's name.
[[nodiscard]] inline bool IsNameCharacter(char c) {
  return base::IsAlphanumeric(c) || c == '_' || c == '-' || c == '.';
}

}  // namespace kvasir::server
