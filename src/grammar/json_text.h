// How JSON documents are written in constrained answers.
//
// Every value has few spellings, so that sets of values and sets of texts can be computed with alike: strings are
// written as they are in UTF-8, with the short escapes \" \\ \b \f \n \r \t where JSON wants one and nowhere else (no
// \u00e9, no \/; other control characters do not occur), numbers in at most 19 digits before and 20 after the point and
// an exponent of two, and one blank may follow a comma or a colon.
#pragma once

#include <nlohmann/json.hpp>

#include "grammar/dfa.h"
#include "grammar/expression.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

using Json = nlohmann::ordered_json;

[[nodiscard]] Expr JsonComma();
[[nodiscard]] Expr JsonColon();
/// Strings whose content `content` accepts, in quotes and escaped.
[[nodiscard]] Expr JsonString(const Dfa& content);
[[nodiscard]] Expr AnyJsonString();
[[nodiscard]] Expr AnyJsonNumber();
[[nodiscard]] Expr AnyJsonArray();
[[nodiscard]] Expr AnyJsonObject();
[[nodiscard]] Expr AnyJsonValue();
/// Exactly `value`, its members in its own order.
[[nodiscard]] Expr JsonLiteral(const Json& value);

}  // namespace kvasir::grammar
