// kvasir serve: the settings of src/server as flags, and what is said while it runs.
#include <fmt/format.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "cli/calibration_note.h"
#include "cli/command_list.h"
#include "cli/flags.h"
#include "cli/load.h"
#include "cli/output.h"
#include "cli/receipt_use.h"
#include "server/server.h"
#include "server/settings.h"

namespace kvasir::cli {
namespace {

constexpr const char* kServeExamples =
    "Examples:\n"
    "  kvasir serve -m smollm2\n"
    "  kvasir serve -m smollm2 --host 0.0.0.0 --api-key-file keys.txt\n"
    "  kvasir serve --config serve.toml --print-config\n"
    "\n"
    "Every option can also stand in the TOML file of --config (max-queue as max_queue) and in the environment\n"
    "(KVASIR_SERVE_MAX_QUEUE). The command line wins over the environment, and that over the file.\n"
    "Ctrl-C lets answers under way finish; a second one ends them.";

struct ServeOptions {
  std::vector<server::GivenSetting> given;
  std::string config;
  bool print_config = false;
};

const char* Environment(const char* name) {
  return std::getenv(name);
}

void AddSetting(CLI::App& app, const server::Setting& setting, ServeOptions& options) {
  const std::string flag = fmt::format("--{}", setting.name);
  const std::string names = *setting.short_flag == '\0' ? flag : fmt::format("{},{}", setting.short_flag, flag);
  const std::string name = setting.name;
  if (setting.kind == server::SettingKind::kFlag) {
    AddSwitch(
        app, names, [&options, name] { options.given.emplace_back(name, "on"); }, setting.help)
        .Group(setting.group);
    return;
  }
  // Checked at once, on settings of its own, so that the message names the flag.
  const Setter set = [&options, &setting, name](std::string_view text) -> Status {
    server::ServeSettings scratch;
    KV_TRY(setting.set(scratch, text));
    options.given.emplace_back(name, text);
    return {};
  };
  const bool list = setting.kind == server::SettingKind::kList;
  AddValue(app, names, setting.type, list ? fmt::format("{}; may be repeated", setting.help) : setting.help, set, list)
      .Group(setting.group);
}

constexpr const char* kOpenWarning =
    "WARNING: there are no API keys, so everybody who can reach this machine can use this server and see what it does\n"
    "WARNING: for others. Give --api-key-file, or listen at 127.0.0.1 only. Until then it answers to localhost, to\n"
    "WARNING: addresses and to the names of --allowed-host, because any web site could bring a name of its own.\n";

void Announce(const server::ReadyServer& ready, bool keys) {
  if (ready.open) WriteNote(kOpenWarning);
  const bool writes = !ready.model.empty();
  const std::string both = writes && ready.embedding_model != ready.model
                               ? fmt::format("{} and {}", ready.model, ready.embedding_model)
                               : ready.embedding_model;
  WriteNote(
      fmt::format("Serving {} at {} (Ctrl-C stops). {}:\n"
                  "  curl {}/v1/{} -H 'Content-Type: application/json' \\\n"
                  "    {}-d '{}'\n",
                  both, ready.url, writes ? "Open that page in a browser, or try" : "Try", ready.url,
                  writes ? "chat/completions" : "embeddings", keys ? "-H \"Authorization: Bearer $API_KEY\" " : "",
                  writes ? R"({"messages": [{"role": "user", "content": "Why is the sky blue?"}]})"
                         : R"({"input": "A man is eating food."})"));
}

Result<int> RunServe(const CLI::App& app, const ServeOptions& options, const std::string& version) {
  KV_ASSIGN(server::ServeSettings settings, server::GatherSettings(options.config, Environment, options.given));
  if (options.print_config) {
    WriteOut(server::PrintSettings(settings));
    return 0;
  }
  if (settings.engine.model.empty()) return UsageError(app, "--model is required");
  ReceiptUse use = UseReceipt(settings.engine, settings.no_receipt);
  settings.engine = std::move(use.engine);
  if (use.file) {
    settings.receipt = use.file->path;
    WriteNote(ReceiptLine(*use.file) + "\n");
  }
  NoteMissingCalibration(settings.engine.model, {&settings.engine.kv, 1});
  const bool keys = !settings.api_key_file.empty();
  return server::Serve(settings, {.version = version,
                                  .load = [](const EngineOptions& engine) { return LoadEngine(engine); },
                                  .on_ready = [keys](const server::ReadyServer& ready) { Announce(ready, keys); }});
}

}  // namespace

Action DefineServe(CLI::App& app) {
  auto options = std::make_shared<ServeOptions>();
  for (const server::Setting& setting : server::Settings()) AddSetting(app, setting, *options);
  AddText(app, "--config", "FILE", "a TOML file of settings", options->config).Group("Operation");
  AddSwitch(app, "--print-config", options->print_config, "print the settings in effect as TOML, and end")
      .Group("Operation");
  SetFooter(app, kServeExamples);
  return [&app, options]() -> Result<int> { return RunServe(app, *options, KVASIR_VERSION); };
}

}  // namespace kvasir::cli
