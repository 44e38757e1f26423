#include "server/tools/tool_fields.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvasir::server {
namespace {

constexpr size_t kMostTools = 128;

std::string ReadName(Fields& fields) {
  const std::string name = fields.Text("name").value_or("");
  if (name.empty()) {
    fields.Problem("name", "is missing");
  } else if (name.size() > kLongestName || !std::all_of(name.begin(), name.end(), IsNameCharacter)) {
    fields.Problem("name", fmt::format("is {}, but it must be 1 to {} letters, digits, '_', '-' or '.'", Shown(name),
                                       kLongestName));
  }
  return name;
}

// The members of a function, wherever they stand.
Tool ReadFunction(Fields& function, std::string_view schema_member) {
  Tool tool;
  tool.name = ReadName(function);
  tool.description = function.Text("description").value_or("");
  tool.parameters = ReadParameters(function, schema_member);
  tool.strict = function.Bool("strict").value_or(false);
  return tool;
}

Tool ReadChatTool(Fields& item) {
  if (item.Text("type").value_or("") != "function") item.Problem("type", "must be \"function\"");
  Tool tool;
  if (const Json* given = item.Object("function")) {
    Fields function(*given, item.PathOf("function"));
    tool = ReadFunction(function, "parameters");
    function.FinishInto(item);
  } else {
    item.Problem("function", "is missing");
  }
  return tool;
}

Tool ReadResponseTool(Fields& item) {
  const std::string type = item.Text("type").value_or("");
  if (type != "function") {
    item.Problem("type",
                 fmt::format("is {}, but it must be \"function\": this server has no tools of its own", Shown(type)));
  }
  return ReadFunction(item, "parameters");
}

Tool ReadMessageTool(Fields& item) {
  const std::string type = item.Text("type").value_or("custom");
  if (type != "custom") {
    item.Problem("type",
                 fmt::format("is {}, but it must be \"custom\": this server has no tools of its own", Shown(type)));
  }
  (void)item.Object("cache_control");  // what was computed is kept by itself
  if (!item.Has("input_schema")) item.Problem("input_schema", "is missing");
  return ReadFunction(item, "input_schema");
}

std::vector<Tool> ReadTools(Fields& fields, Tool (*read)(Fields& item)) {
  std::vector<Tool> tools;
  const Json* list = fields.Array("tools");
  if (list == nullptr) return tools;
  if (list->size() > kMostTools) {
    fields.Problem("tools", fmt::format("has {} items, but it may have {} at most", list->size(), kMostTools));
    return tools;
  }
  for (size_t i = 0; i < list->size() && fields.ok(); ++i) {
    Fields item((*list)[i], fmt::format("tools[{}]", i));
    Tool tool = read(item);
    const bool twice =
        std::any_of(tools.begin(), tools.end(), [&](const Tool& other) { return other.name == tool.name; });
    if (twice) item.Problem("name", fmt::format("is {}, which is the name of another tool", Shown(tool.name)));
    item.FinishInto(fields);
    tools.push_back(std::move(tool));
  }
  return tools;
}

// The one function that must be called.
void ReadOnly(Fields& choice, ToolOptions& options) {
  options.use = ToolUse::kAlways;
  options.only = choice.Text("name").value_or("");
  if (options.only.empty()) choice.Problem("name", "is missing");
}

void CheckChoice(Fields& fields, const ToolOptions& options) {
  if (options.use == ToolUse::kAlways && options.tools.empty()) fields.Problem("tool_choice", "needs tools");
  const bool known = options.only.empty() || std::any_of(options.tools.begin(), options.tools.end(),
                                                         [&](const Tool& tool) { return tool.name == options.only; });
  if (!known) fields.Problem("tool_choice", fmt::format("names {}, which is none of the tools", Shown(options.only)));
}

// "none", "auto" or "required".
void ReadTextChoice(Fields& fields, const Json& choice, ToolOptions& options) {
  if (choice == "none") {
    options.use = ToolUse::kNever;
  } else if (choice == "required") {
    options.use = ToolUse::kAlways;
  } else if (choice != "auto") {
    fields.Problem(
        "tool_choice",
        fmt::format("is {}, but it must be \"none\", \"auto\", \"required\" or name a function", Shown(choice)));
  }
}

// What both of OpenAI's APIs have; `named` reads the function that an object in tool_choice names.
ToolOptions ReadOpenAiTools(Fields& fields, Tool (*read)(Fields& item),
                            void (*named)(Fields& choice, ToolOptions& options)) {
  ToolOptions options{.tools = ReadTools(fields, read)};
  options.parallel = fields.Bool("parallel_tool_calls").value_or(true);
  if (const Json* choice = fields.Any("tool_choice"); choice != nullptr && choice->is_object()) {
    Fields inner(*choice, "tool_choice");
    if (inner.Text("type").value_or("") != "function") inner.Problem("type", "must be \"function\"");
    named(inner, options);
    inner.FinishInto(fields);
  } else if (choice != nullptr) {
    ReadTextChoice(fields, *choice, options);
  }
  CheckChoice(fields, options);
  return options;
}

}  // namespace

Json ReadParameters(Fields& function, std::string_view member) {
  const Json* given = function.Object(member);
  Json schema = given == nullptr ? Json::object() : *given;
  if (!schema.contains("type")) schema["type"] = "object";
  if (schema["type"] != "object") {
    function.Problem(fmt::format("{}.type", member), "must be \"object\": arguments have names");
  }
  // Many templates go through the properties without asking whether there are any.
  if (!schema.contains("properties")) schema["properties"] = Json::object();
  return schema;
}

ToolOptions ReadChatTools(Fields& fields) {
  return ReadOpenAiTools(fields, ReadChatTool, [](Fields& choice, ToolOptions& options) {
    if (const Json* function = choice.Object("function")) {
      Fields named(*function, choice.PathOf("function"));
      ReadOnly(named, options);
      named.FinishInto(choice);
    } else {
      choice.Problem("function", "is missing");
    }
  });
}

ToolOptions ReadResponseTools(Fields& fields) {
  return ReadOpenAiTools(fields, ReadResponseTool, ReadOnly);
}

ToolOptions ReadMessageTools(Fields& fields) {
  ToolOptions options{.tools = ReadTools(fields, ReadMessageTool)};
  if (const Json* choice = fields.Object("tool_choice")) {
    Fields inner(*choice, "tool_choice");
    const std::string type = inner.Text("type").value_or("");
    options.parallel = !inner.Bool("disable_parallel_tool_use").value_or(false);
    if (type == "none") {
      options.use = ToolUse::kNever;
    } else if (type == "any") {
      options.use = ToolUse::kAlways;
    } else if (type == "tool") {
      ReadOnly(inner, options);
    } else if (type != "auto") {
      inner.Problem("type", fmt::format("is {}, but it must be \"auto\", \"any\", \"tool\" or \"none\"", Shown(type)));
    }
    inner.FinishInto(fields);
  }
  CheckChoice(fields, options);
  return options;
}

}  // namespace kvasir::server
