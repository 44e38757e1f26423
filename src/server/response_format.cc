// Everything about a format is found wrong before the request is queued: it is compiled here, on the thread of the
// connection, and the engine keeps what was compiled for the request that follows.
#include "server/response_format.h"

#include <fmt/format.h>

#include <utility>

namespace kvasir::server {
namespace {

constexpr size_t kLongestText = 1 << 20;  // of a pattern or a grammar

// `grammar` if it can be used with this model; otherwise the problem is noted.
std::optional<Grammar> Usable(Result<Grammar> grammar, const std::string& path, Fields& fields, const Model& model) {
  std::string wrong;
  if (!grammar) {
    wrong = grammar.error().message;
  } else if (const auto constraint = Constrain(*model.engine, *grammar); !constraint) {
    wrong = constraint.error().message;
  }
  if (wrong.empty()) return std::move(*grammar);
  fields.Problem(BadField(path, fmt::format("cannot be used: {}", wrong)).error());
  return std::nullopt;
}

std::optional<Grammar> OfSchema(const Json* schema, const std::string& path, Fields& fields, const Model& model) {
  if (schema == nullptr) {
    fields.Problem(BadField(path, "is missing").error());
    return std::nullopt;
  }
  return Usable(Grammar::FromJsonSchema(DumpJson(*schema)), path, fields, model);
}

// name, description and strict say nothing about the text: a schema is always kept.
void ReadLabels(Fields& inner) {
  (void)inner.Text("name", kLongestName);
  (void)inner.Text("description");
  (void)inner.Bool("strict");
}

}  // namespace

std::optional<Grammar> ReadFormat(const Json& format, const std::string& path, Fields& fields, const Model& model) {
  Fields inner(format, path);
  std::optional<Grammar> grammar;
  const std::string type = inner.Text("type").value_or("");
  if (type == "json_object") {
    const Json* schema = inner.Any("schema");
    grammar = schema != nullptr ? OfSchema(schema, inner.PathOf("schema"), fields, model) : Grammar::AnyJsonObject();
  } else if (type == "json_schema") {
    if (const Json* given = inner.Object("json_schema")) {
      Fields object(*given, inner.PathOf("json_schema"));
      ReadLabels(object);
      grammar = OfSchema(object.Any("schema"), object.PathOf("schema"), fields, model);
      object.FinishInto(fields);
    } else if (inner.ok()) {
      ReadLabels(inner);
      grammar = OfSchema(inner.Any("schema"), inner.PathOf("schema"), fields, model);
    }
  } else if (type != "text" && inner.ok()) {
    inner.Problem("type",
                  fmt::format("is {}, but it must be \"text\", \"json_object\" or \"json_schema\"", Shown(type)));
  }
  inner.FinishInto(fields);
  return grammar;
}

std::optional<Grammar> ReadResponseFormat(Fields& fields, const Model& model) {
  std::optional<Grammar> grammar;
  const char* first = nullptr;
  for (const char* name : {"response_format", "json_schema", "regex", "grammar"}) {
    if (!fields.Has(name)) continue;
    const Json* format = std::string_view(name) == "response_format" ? fields.Object(name) : nullptr;
    if (format != nullptr && format->size() == 1 && format->value("type", Json()) == "text") continue;
    if (first != nullptr) {
      fields.Problem(name, fmt::format("and {} both say how the answer must look; give one of them", first));
      return std::nullopt;
    }
    first = name;
  }
  if (!fields.ok()) return std::nullopt;
  if (const Json* format = fields.Object("response_format")) {
    grammar = ReadFormat(*format, "response_format", fields, model);
  }
  if (const Json* schema = fields.Any("json_schema")) grammar = OfSchema(schema, "json_schema", fields, model);
  if (const auto pattern = fields.Text("regex", kLongestText)) {
    grammar = Usable(Grammar::FromRegex(*pattern), "regex", fields, model);
  }
  if (const auto text = fields.Text("grammar", kLongestText)) {
    grammar = Usable(Grammar::FromGbnf(*text), "grammar", fields, model);
  }
  return grammar;
}

}  // namespace kvasir::server
