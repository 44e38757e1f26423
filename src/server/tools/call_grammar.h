// Holding a model to well-formed calls: the parts of which formats make grammars.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "kvasir/grammar.h"
#include "kvasir/result.h"
#include "server/json.h"
#include "server/tools/tool.h"

namespace kvasir::server {

/// How a model spells texts in which markers stand: those that are control tokens of its vocabulary only as such.
class Spelling {
 public:
  explicit Spelling(std::vector<std::string> control_tokens) : control_tokens_(std::move(control_tokens)) {}
  [[nodiscard]] Grammar operator()(std::string_view text) const;
  [[nodiscard]] bool IsControlToken(std::string_view text) const;

 private:
  std::vector<std::string> control_tokens_;
};

/// What may be in the arguments of a call.
enum class ArgumentRule {
  kSchema,  ///< What the function's schema allows.
  kStrict,  ///< The same for strict functions; for the others any JSON object.
};

/// The arguments of `tool` as a JSON object. Members that the schema does not name are left out unless it asks for
/// them. Errors name the place in the schema.
[[nodiscard]] Result<Grammar> ArgumentsGrammar(const Tool& tool, ArgumentRule rule);

/// One of the schema's properties by itself, for formats in which every argument stands alone.
struct ParameterGrammar {
  std::string name;
  bool required = false;
  bool is_boolean = false;  ///< Of which other languages have other words.
  Grammar value;
};
/// All of them, in the schema's order. `text` makes the grammar of a value that is a plain text, of one that may be
/// anything where `choices` is empty; where it is null texts are JSON strings. Errors: as above, and keywords about
/// texts that cannot be held to outside JSON.
[[nodiscard]] Result<std::vector<ParameterGrammar>> ParameterGrammars(
    const Tool& tool, const std::function<Grammar(const std::vector<std::string>& choices)>& text);

/// Nothing.
[[nodiscard]] Grammar EmptyText();

/// `item` once, or as often as it likes with `separator` between.
[[nodiscard]] Grammar Listed(const Grammar& item, const Grammar& separator, bool many);

}  // namespace kvasir::server
