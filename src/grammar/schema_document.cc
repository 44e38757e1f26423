// Parsing and taking apart: what $ref and allOf stand for, and that every keyword is one we know.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <ranges>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/parse_json.h"
#include "grammar/schema_shape.h"

namespace kvasir::grammar {
namespace {

constexpr size_t kLongestSchema = 1 << 20;
constexpr int kDeepestSchema = 100;
constexpr size_t kMostParts = 200;  // schemas that hold together for one value

// What the rest of this room reads.
constexpr auto kKeywords = std::to_array<std::string_view>({
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "required",
    "type",
    "uniqueItems",
});
// Members that say nothing about which documents are valid.
constexpr auto kAnnotations = std::to_array<std::string_view>({
    "$anchor",
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "contentEncoding",
    "contentMediaType",
    "default",
    "definitions",
    "deprecated",
    "description",
    "discriminator",
    "example",
    "examples",
    "readOnly",
    "title",
    "writeOnly",
});

// The parser of nlohmann-json builds what it reads without a bound on depth, so that is counted first.
int DepthOf(std::string_view text) {
  int depth = 0;
  int deepest = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return deepest;
}

Status CheckKeywords(const SchemaPart& part, const Json& root) {
  if (part.schema != &root && part.schema->contains("$id")) {
    return SchemaError(PointerTo(part.pointer, "$id"),
                       "makes a document inside the document, whose references would mean something else; leave it out",
                       ErrorCode::kUnsupported);
  }
  for (const auto& [name, value] : part.schema->items()) {
    if (std::ranges::find(kKeywords, name) != kKeywords.end()) continue;
    if (std::ranges::find(kAnnotations, name) != kAnnotations.end()) continue;
    return SchemaError(PointerTo(part.pointer, name),
                       "is a keyword that is not supported; an answer could break it, so leave it out or write it with "
                       "the keywords of docs/structured-output.md",
                       ErrorCode::kUnsupported);
  }
  return {};
}

}  // namespace

std::string PointerTo(const std::string& pointer, std::string_view step) {
  std::string out = pointer + "/";
  for (const char c : step) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  return out;
}

std::unexpected<Error> SchemaError(const std::string& pointer, std::string_view what, ErrorCode code) {
  return Fail(code, fmt::format("the schema at {} {}", pointer, what));
}

Result<SchemaDocument> SchemaDocument::Parse(std::string_view text) {
  if (text.size() > kLongestSchema) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("the schema has {} bytes; at most {} are read", text.size(), kLongestSchema));
  }
  if (const int depth = DepthOf(text); depth > kDeepestSchema) {
    return Fail(
        ErrorCode::kResourceExhausted,
        fmt::format("the schema nests {} levels deep; at most {} are read, so use $ref", depth, kDeepestSchema));
  }
  auto root = base::ParseJson<Json>(text);
  if (!root) return Fail(ErrorCode::kInvalidArgument, "the schema is not valid JSON: " + root.error().message);
  SchemaDocument document;
  document.root_ = std::make_unique<const Json>(std::move(*root));
  return document;
}

Result<SchemaPart> SchemaDocument::Resolve(const SchemaPart& from) const {
  const Json& ref = (*from.schema)["$ref"];
  const std::string at = PointerTo(from.pointer, "$ref");
  if (!ref.is_string()) return SchemaError(at, "must be a string");
  const auto name = ref.get<std::string>();
  if (name == "#") return root();
  if (!name.starts_with("#/")) {
    return SchemaError(at, fmt::format("is {}, but only places inside the document (#/...) can be named", ref.dump()),
                       ErrorCode::kUnsupported);
  }
  // Steps are separated by / and may hold ~0, ~1 and percent escapes.
  const Json* here = root_.get();
  size_t begin = 2;
  while (true) {
    const size_t end = std::min(name.find('/', begin), name.size());
    std::string step;
    for (size_t i = begin; i < end; ++i) {
      int byte = 0;
      if (name[i] == '~' && i + 1 < end) {
        step += name[++i] == '1' ? '/' : '~';
      } else if (name[i] == '%' && i + 2 < end &&
                 std::from_chars(name.data() + i + 1, name.data() + i + 3, byte, 16).ptr == name.data() + i + 3) {
        step += static_cast<char>(byte);
        i += 2;
      } else {
        step += name[i];
      }
    }
    const Json* next = nullptr;
    if (here->is_object() && here->contains(step)) next = &(*here)[step];
    if (here->is_array()) {
      size_t index = 0;
      const auto [last, error] = std::from_chars(step.data(), step.data() + step.size(), index);
      if (error == std::errc() && last == step.data() + step.size() && index < here->size()) next = &(*here)[index];
    }
    if (next == nullptr) return SchemaError(at, fmt::format("is {}, but the document has no such place", ref.dump()));
    here = next;
    if (end == name.size()) break;
    begin = end + 1;
  }
  return SchemaPart{here, name};
}

namespace {

// A schema to take apart, and those that led to it without a step into a value.
struct OpenPart {
  SchemaPart part;
  std::vector<const Json*> from;

  [[nodiscard]] Result<OpenPart> Next(SchemaPart next) const {
    OpenPart open{std::move(next), from};
    open.from.push_back(part.schema);
    if (std::ranges::count(open.from, open.part.schema) == 0) return open;
    return SchemaError(part.pointer, "leads back to itself for the same value, which never ends",
                       ErrorCode::kUnsupported);
  }
};

}  // namespace

Result<std::optional<SchemaList>> SchemaDocument::Flatten(const SchemaList& parts, bool* has_ref) const {
  SchemaList flat;
  std::vector<OpenPart> open;  // the next one is the last
  for (const SchemaPart& part : parts | std::views::reverse) open.push_back({part, {}});
  std::map<const Json*, std::pair<bool, bool>> seen;
  bool impossible = false;
  while (!open.empty()) {
    OpenPart next = std::move(open.back());
    open.pop_back();
    SchemaPart& part = next.part;
    if (part.schema->is_boolean()) {
      impossible = impossible || !part.schema->get<bool>();
      continue;
    }
    if (!part.schema->is_object()) return SchemaError(part.pointer, "must be an object or a boolean");
    const std::pair done(part.any_of_done, part.one_of_done);
    const auto [before, is_new] = seen.try_emplace(part.schema, done);
    if (!is_new && before->second != done) {
      return SchemaError(part.pointer, "is an alternative of itself for the same value, which never ends",
                         ErrorCode::kUnsupported);
    }
    if (!is_new) continue;
    if (seen.size() > kMostParts) {
      return SchemaError(part.pointer, fmt::format("is one of more than {} schemas for the same value", kMostParts),
                         ErrorCode::kResourceExhausted);
    }
    KV_TRY(CheckKeywords(part, *root_));
    const bool was_expanded = std::exchange(part.expanded, true);
    flat.push_back(part);
    if (was_expanded) continue;
    if (part.schema->contains("allOf")) {
      const Json& all = (*part.schema)["allOf"];
      const std::string at = PointerTo(part.pointer, "allOf");
      if (!all.is_array() || all.empty()) return SchemaError(at, "must be a list with at least one schema");
      for (size_t i = all.size(); i-- > 0;) {
        KV_ASSIGN(OpenPart one, next.Next({&all[i], PointerTo(at, std::to_string(i))}));
        open.push_back(std::move(one));
      }
    }
    if (part.schema->contains("$ref")) {
      *has_ref = true;
      KV_ASSIGN(SchemaPart target, Resolve(part));
      KV_ASSIGN(OpenPart one, next.Next(std::move(target)));
      open.push_back(std::move(one));
    }
  }
  if (impossible) return std::nullopt;
  return flat;
}

}  // namespace kvasir::grammar
