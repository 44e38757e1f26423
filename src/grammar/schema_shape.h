// What several JSON schemas ask for together, keyword by keyword.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "grammar/json_number.h"
#include "grammar/json_text.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

/// A schema inside the document, and what messages call it: a JSON pointer such as "#/properties/age".
struct SchemaPart {
  const Json* schema = nullptr;
  std::string pointer;
  bool any_of_done = false;  ///< Its anyOf was taken apart already: an alternative is in the list beside it.
  bool one_of_done = false;
  bool expanded = false;  ///< What its $ref and allOf stand for is in the list as well.
};
/// Schemas that must hold all.
using SchemaList = std::vector<SchemaPart>;

enum JsonType : uint32_t {
  kNull = 1U << 0U,
  kBoolean = 1U << 1U,
  kNumber = 1U << 2U,
  kString = 1U << 3U,
  kArray = 1U << 4U,
  kObject = 1U << 5U,
  kAllTypes = (1U << 6U) - 1,
};

/// The keywords of a flat list (no $ref, no allOf), merged. Keywords that hold other schemas are asked for with the
/// functions below.
struct Shape {
  uint32_t types = kAllTypes;
  std::optional<std::vector<Json>> values;  ///< enum and const.
  NumberRange numbers;
  bool numbers_restricted = false;
  int min_length = 0;
  int max_length = -1;
  std::vector<SchemaPart> strings;  ///< Schemas with a pattern or a format.
  int min_items = 0;
  int max_items = -1;
  int min_properties = 0;
  int max_properties = -1;
  std::vector<std::string> required;    ///< In the order of their first mention, as are these:
  std::vector<std::string> properties;  ///< Listed in `properties` or `required`.
};

/// A JSON document and the places in it that $ref may name.
class SchemaDocument {
 public:
  /// Errors: kInvalidArgument where the text is no JSON, nests too deep or is too long.
  [[nodiscard]] static Result<SchemaDocument> Parse(std::string_view text);

  [[nodiscard]] SchemaPart root() const { return {root_.get(), "#"}; }
  /// `parts` with $ref and allOf replaced by what they stand for, each schema once, without `true`. `has_ref` is set
  /// where a $ref was among them. None: a schema that nothing satisfies is in it. Errors: a keyword that is not known,
  /// a $ref that leads nowhere or out of the document, wrong types of keywords.
  [[nodiscard]] Result<std::optional<SchemaList>> Flatten(const SchemaList& parts, bool* has_ref) const;

 private:
  SchemaDocument() = default;
  [[nodiscard]] Result<SchemaPart> Resolve(const SchemaPart& from) const;

  std::unique_ptr<const Json> root_;
};

/// Reads the keywords of a flat list. Errors name the pointer.
[[nodiscard]] Result<Shape> ReadShape(const SchemaList& flat);

/// The schemas for the member `name`; none: it is forbidden.
[[nodiscard]] Result<std::optional<SchemaList>> SchemasOfMember(const SchemaList& flat, const std::string& name);

/// Members that are not listed: those whose names match `name` have to satisfy `schemas`.
struct FreeMembers {
  Dfa name;
  SchemaList schemas;
};
[[nodiscard]] Result<std::vector<FreeMembers>> FreeMembersOf(const SchemaList& flat, const Shape& shape);

/// The schemas for item number `index`, and for all items from `prefix_length` on.
[[nodiscard]] size_t PrefixLength(const SchemaList& flat);
[[nodiscard]] SchemaList SchemasOfItem(const SchemaList& flat, size_t index);

/// `pointer` with one more step.
[[nodiscard]] std::string PointerTo(const std::string& pointer, std::string_view step);
/// kInvalidArgument or another code, beginning "the schema at POINTER ".
[[nodiscard]] std::unexpected<Error> SchemaError(const std::string& pointer, std::string_view what,
                                                 ErrorCode code = ErrorCode::kInvalidArgument);

}  // namespace kvasir::grammar
