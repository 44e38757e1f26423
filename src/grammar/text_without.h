// Free text that certain words end.
#pragma once

#include <string>
#include <vector>

#include "grammar/dfa.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

/// Any valid UTF-8 text in which none of `words` occurs; empty words are ignored. Errors: kResourceExhausted where the
/// words are too long or too many.
[[nodiscard]] Result<Dfa> TextWithout(const std::vector<std::string>& words);

}  // namespace kvasir::grammar
