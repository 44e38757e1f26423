#include "server/settings.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>

#include "base/check.h"

namespace kvasir::server {
namespace {

const Setting* FindSetting(std::string_view name) {
  const auto settings = Settings();
  const auto found = std::find_if(settings.begin(), settings.end(), [&](const Setting& s) { return name == s.name; });
  return found == settings.end() ? nullptr : &*found;
}

std::string TomlName(std::string_view name) {
  std::string key(name);
  std::replace(key.begin(), key.end(), '-', '_');
  return key;
}

// Sets `values`; a list's replace what it had.
Status SetAll(ServeSettings& settings, const Setting& setting, const std::vector<std::string>& values,
              const std::string& source) {
  if (setting.kind == SettingKind::kList) {
    if (std::string_view(setting.name) == "allowed-host") settings.allowed_hosts.clear();
    if (std::string_view(setting.name) == "cors-origin") settings.cors_origins.clear();
  }
  for (const std::string& value : values) {
    if (const Status status = setting.set(settings, value); !status) {
      return Fail(status.error().code, fmt::format("{} {}", source, status.error().message));
    }
  }
  return {};
}

// "one, two" -> {"one", "two"}
std::vector<std::string> SplitList(std::string_view text) {
  std::vector<std::string> items;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    std::string_view item = text.substr(begin, end - begin);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    begin = end + 1;
  }
  return items;
}

Result<std::string> ScalarText(const toml::node& node, const std::string& where) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return fmt::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* truth = node.as_boolean()) return std::string(truth->get() ? "true" : "false");
  return Fail(ErrorCode::kInvalidArgument, where + " must be a text, a number, or true or false");
}

Status ReadToml(ServeSettings& settings, const std::string& file) {
  toml::table table;
  try {
    table = toml::parse_file(file);
  } catch (const toml::parse_error& error) {
    const auto line = error.source().begin.line;
    const std::string place = line > 0 ? fmt::format("{}, line {}", file, line) : file;
    return Fail(ErrorCode::kInvalidArgument, fmt::format("{}: {}", place, error.description()));
  }
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    const std::string where = fmt::format("{}, line {}: {}", file, node.source().begin.line, name);
    std::string flag = name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    const Setting* setting = FindSetting(flag);
    if (setting == nullptr) {
      return Fail(ErrorCode::kInvalidArgument, where + " is no setting; --print-config lists what there is");
    }
    std::vector<std::string> values;
    if (const auto* array = node.as_array(); array != nullptr && setting->kind == SettingKind::kList) {
      for (const toml::node& item : *array) {
        KV_ASSIGN(std::string text, ScalarText(item, where));
        values.push_back(std::move(text));
      }
    } else {
      KV_ASSIGN(std::string text, ScalarText(node, where));
      values.push_back(std::move(text));
    }
    KV_TRY(SetAll(settings, *setting, values, where));
  }
  return {};
}

// The cache, of the two settings that speak of it.
Status MakeCache(ServeSettings& settings) {
  auto spec = ParseKvSpec(settings.kv, settings.kv_budget);
  if (!spec) {
    const std::string budget =
        settings.kv_budget.empty() ? "" : fmt::format("kv-budget is '{}', but ", settings.kv_budget);
    return Fail(spec.error().code, fmt::format("{}kv is '{}': {}", budget, settings.kv, spec.error().message));
  }
  settings.engine.kv = *std::move(spec);
  return {};
}

std::string TomlValue(const Setting& setting, const std::vector<std::string>& values) {
  const auto quoted = [](const std::string& text) { return Json(text).dump(); };
  switch (setting.kind) {
    case SettingKind::kNumber:
    case SettingKind::kFlag: return values.front();
    case SettingKind::kText: return quoted(values.front());
    case SettingKind::kList: break;
  }
  std::string list;
  for (const std::string& value : values) list += (list.empty() ? "" : ", ") + quoted(value);
  return "[" + list + "]";
}

}  // namespace

std::string EnvironmentName(std::string_view name) {
  std::string variable = "KVASIR_SERVE_";
  for (const char c : name) variable += c == '-' ? '_' : static_cast<char>(c - 'a' + 'A');
  return variable;
}

Result<ServeSettings> GatherSettings(const std::string& config, const char* (*environment)(const char*),
                                     std::span<const GivenSetting> flags) {
  ServeSettings settings;
  if (!config.empty()) KV_TRY(ReadToml(settings, config));
  for (const Setting& setting : Settings()) {
    const std::string variable = EnvironmentName(setting.name);
    const char* value = environment(variable.c_str());
    if (value == nullptr) continue;
    const auto values = setting.kind == SettingKind::kList ? SplitList(value) : std::vector<std::string>{value};
    KV_TRY(SetAll(settings, setting, values, variable));
  }
  for (const Setting& setting : Settings()) {
    std::vector<std::string> values;
    for (const auto& [name, value] : flags) {
      if (name == setting.name) values.push_back(value);
    }
    if (!values.empty()) KV_TRY(SetAll(settings, setting, values, fmt::format("--{}", setting.name)));
  }
  KV_TRY(MakeCache(settings));
  return settings;
}

std::string PrintSettings(const ServeSettings& settings) {
  std::string text =
      "# All settings of kvasir serve. Each is also a flag and a variable: port is --port and\n"
      "# KVASIR_SERVE_PORT. Flags win over variables, variables over this file.\n";
  std::string_view group;
  for (const Setting& setting : Settings()) {
    if (group != setting.group) text += fmt::format("\n# {}\n", setting.group);
    group = setting.group;
    text += fmt::format("{} = {}\n", TomlName(setting.name), TomlValue(setting, setting.get(settings)));
  }
  return text;
}

}  // namespace kvasir::server
