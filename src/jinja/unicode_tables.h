// Facts of the Unicode Character Database that utf8proc does not offer.
#pragma once

#include <span>

namespace kvasir::jinja {

/// A code point whose upper or title case is more than one code point (SpecialCasing.txt); 0 ends a sequence.
struct SpecialCase {
  char32_t code_point;
  char32_t upper[4];
  char32_t title[4];
};

struct CodePointRange {
  char32_t first;
  char32_t last;
};

extern const std::span<const SpecialCase> kSpecialCases;       ///< sorted by code point
extern const std::span<const CodePointRange> kOtherLowercase;  ///< lowercase, but not of category Ll
extern const std::span<const CodePointRange> kOtherUppercase;  ///< uppercase, but not of category Lu
extern const std::span<const CodePointRange> kOtherDigits;     ///< numeric type Digit, but not of category Nd
extern const std::span<const CodePointRange> kOtherNumeric;    ///< numeric ideographs, categories other than N*

}  // namespace kvasir::jinja
