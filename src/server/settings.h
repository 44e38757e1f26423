// Everything `kvasir serve` can be told, in one table: flags, environment, TOML file and --print-config are made from
// it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kvasir/options.h"
#include "kvasir/result.h"
#include "kvasir/scheduler.h"
#include "server/app.h"
#include "server/http_server.h"
#include "server/json.h"
#include "server/log.h"

namespace kvasir::server {

struct ServeSettings {
  EngineOptions engine;
  SchedulerOptions scheduler;
  HttpOptions http;
  JsonLimits json;
  SamplingDefaults sampling;
  std::string kv = "auto";         ///< What GatherSettings makes the cache of `engine` of, with ...
  std::string kv_budget;           ///< ... what its eviction keeps, whatever `kv` says; empty: that.
  std::string model_name;          ///< What requests call the model; empty: its name or file's name.
  std::string embedding_model;     ///< For /v1/embeddings; empty: the model's own vectors.
  int embedding_threads = 0;       ///< 0: all CPUs, or half of them beside another model.
  std::string chat_template_file;  ///< Empty: the model's own template.
  bool separate_thoughts = true;   ///< What a model thinks is not part of the text of its answer.
  size_t memory_bytes = 0;         ///< For weights, cache and scratch; 0: chosen by what the machine has.
  std::string api_key_file;        ///< Empty: no keys.
  std::vector<std::string> allowed_hosts;
  std::vector<std::string> cors_origins;
  LogFormat log = LogFormat::kText;
  bool vllm_metrics = true;
  bool no_receipt = false;  ///< Without a cache of its own, do not look for the model's receipt.
  /// The receipt that the cache of `engine` was taken from, empty where it was not. No setting: the program says it.
  std::string receipt;
};

enum class SettingKind { kText, kNumber, kFlag, kList };

/// One thing to set. Its name is the flag's ("max-queue"); in TOML it is max_queue, in the environment
/// KVASIR_SERVE_MAX_QUEUE.
struct Setting {
  const char* name;
  const char* short_flag;  ///< "-m", or ""
  SettingKind kind;
  const char* type;  ///< What the help shows for the value.
  const char* group;
  const char* help;
  /// Takes a value; an error continues "... is 'x', but". A list is given its items one by one.
  Status (*set)(ServeSettings& settings, std::string_view text);
  /// The values it has: one, or a list's items.
  std::vector<std::string> (*get)(const ServeSettings& settings);
};

[[nodiscard]] std::span<const Setting> Settings();

/// A value on the command line: the setting's name and the text.
using GivenSetting = std::pair<std::string, std::string>;

/// Defaults, then the TOML file (`config`, may be empty), then the environment, then `flags`; a later list replaces an
/// earlier one. `environment` gives the value of a variable or null. Errors name the file and line, the variable or the
/// flag, the value, and what is allowed.
[[nodiscard]] Result<ServeSettings> GatherSettings(const std::string& config, const char* (*environment)(const char*),
                                                   std::span<const GivenSetting> flags);

/// All settings as a TOML file that says the same.
[[nodiscard]] std::string PrintSettings(const ServeSettings& settings);

/// "KVASIR_SERVE_MAX_QUEUE" for "max-queue".
[[nodiscard]] std::string EnvironmentName(std::string_view name);

/// Reads "1048576", "512K", "64M" or "4G" (powers of 1024).
[[nodiscard]] Result<size_t> ParseBytes(std::string_view text);
/// The inverse: the shortest exact form.
[[nodiscard]] std::string FormatBytes(size_t bytes);

}  // namespace kvasir::server
