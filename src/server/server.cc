#include "server/server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/check.h"
#include "kvasir/inspect.h"
#include "server/access.h"
#include "server/answer.h"
#include "server/app.h"
#include "server/http_server.h"
#include "server/log.h"
#include "server/service.h"

namespace kvasir::server {
namespace {

// Requests of full length that the cache holds when nobody said how much memory there is; most requests are far
// shorter.
constexpr size_t kDefaultFullRequests = 8;

Result<std::string> ReadFile(const std::string& path, const char* what) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(ErrorCode::kNotFound, fmt::format("cannot read the {} in {}", what, path));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<Access::Options> MakeAccess(const ServeSettings& settings) {
  Access::Options options{
      .keys = {}, .allowed_origins = settings.cors_origins, .allowed_hosts = settings.allowed_hosts};
  if (settings.api_key_file.empty()) return options;
  KV_ASSIGN(const std::string text, ReadFile(settings.api_key_file, "API keys"));
  KV_ASSIGN(options.keys, ParseKeyFile(text, settings.api_key_file));
  return options;
}

std::string ModelId(const ServeSettings& settings) {
  if (!settings.model_name.empty()) return settings.model_name;
  std::string name = std::filesystem::path(settings.engine.model).filename().string();
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  return name;
}

// The template that was given, or the model's own; a base model has none.
Status ChooseTemplate(const ServeSettings& settings, Model& model) {
  const Tokenizer& tokenizer = model.engine->tokenizer();
  if (!settings.chat_template_file.empty()) {
    KV_ASSIGN(const std::string source, ReadFile(settings.chat_template_file, "chat template"));
    const auto text = [&](int32_t token) { return token < 0 ? std::string() : tokenizer.Piece(token); };
    auto parsed = ChatTemplate::Parse(source, text(tokenizer.bos()), text(tokenizer.eos()));
    if (!parsed) {
      return Fail(parsed.error().code, fmt::format("{}: {}", settings.chat_template_file, parsed.error().message));
    }
    model.given_template = std::move(*parsed);
    model.chat_template = &*model.given_template;
  } else if (const auto own = model.engine->chat_template()) {
    model.chat_template = *own;
  } else {
    model.chat_template_problem = own.error().message;
    return {};
  }
  model.tools = DialectOf(*model.chat_template, tokenizer);
  return {};
}

Result<std::unique_ptr<Model>> LoadModel(const ServeSettings& settings, const ServeHooks& hooks) {
  EngineOptions options = settings.engine;
  KV_ASSIGN(options.kv_budget_bytes, PlanKvBudget(options, settings.memory_bytes));
  auto model = std::make_unique<Model>();
  KV_ASSIGN(model->engine, hooks.load(options));
  KV_ASSIGN(model->scheduler, Scheduler::Create(*model->engine, settings.scheduler));
  KV_TRY(ChooseTemplate(settings, *model));
  model->id = ModelId(settings);
  model->created = Now();
  const ModelInfo& info = model->engine->info();
  const EngineOptions& chosen = model->engine->options();
  model->fingerprint = fmt::format("kvasir-{}-{}-{}-{}-{:x}", hooks.version, ComputeModeName(chosen.compute),
                                   KvFormatName(chosen.kv_format), model->engine->isa(),
                                   std::hash<std::string>{}(info.name) ^ info.file_bytes);
  return model;
}

std::string Url(const HttpServer& server, const std::string& host) {
  const std::string name = host == "0.0.0.0" || host == "::"     ? "localhost"
                           : host.find(':') != std::string::npos ? "[" + host + "]"
                                                                 : host;
  return fmt::format("{}://{}:{}", server.secure() ? "https" : "http", name, server.port());
}

bool IsLoopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

// A write to a client that has gone must be an error, not the end of the program.
void IgnoreBrokenPipes() {
  std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

Result<size_t> PlanKvBudget(const EngineOptions& options, size_t memory_bytes) {
  KV_ASSIGN(const ModelSummary summary, InspectModel(options));
  if (!summary.cannot_run.empty()) return Fail(ErrorCode::kUnsupported, summary.cannot_run);
  const MemoryPlan& plan = summary.plan;
  const size_t fixed = plan.total_bytes - plan.kv_bytes;
  const size_t most =
      memory_bytes > 0 ? memory_bytes : fixed + (plan.available_bytes - std::min(plan.available_bytes, fixed)) / 2;
  const size_t room = most - std::min(most, fixed);
  if (memory_bytes == 0) return std::max(plan.kv_bytes, std::min(room, plan.kv_bytes * kDefaultFullRequests));
  if (room >= plan.kv_bytes) return room;
  constexpr double kMega = 1e6;
  const auto mega = [](size_t bytes) { return static_cast<double>(bytes) / kMega; };
  const size_t fitting =
      plan.kv_bytes == 0 ? 0 : room * static_cast<size_t>(plan.context_tokens) / plan.kv_bytes / 64 * 64;
  const std::string way_out =
      fitting >= 64 ? fmt::format("use --ctx {} or --memory {}M", fitting, (fixed + plan.kv_bytes) / 1'000'000 + 1)
                    : fmt::format("use --memory {}M", (fixed + plan.kv_bytes) / 1'000'000 + 1);
  return Fail(
      ErrorCode::kResourceExhausted,
      fmt::format("--memory is {:.0f} MB, but weights and scratch take {:.0f} MB and one request of {} tokens {:.0f} "
                  "MB; {}",
                  mega(memory_bytes), mega(fixed), plan.context_tokens, mega(plan.kv_bytes), way_out));
}

Result<int> Serve(const ServeSettings& settings, const ServeHooks& hooks) {
  IgnoreBrokenPipes();
  KV_ASSIGN(Access::Options access, MakeAccess(settings));
  access.loopback = IsLoopback(settings.http.host);
  Log log(settings.log);
  App app;
  app.sampling = settings.sampling;
  app.json_limits = settings.json;
  app.metric_aliases = settings.vllm_metrics;
  app.version = hooks.version;
  Service service(app, Access(std::move(access)), log, settings.http.max_body_bytes);

  std::atomic<const HttpServer*> started{nullptr};
  app.connections = [&started] {
    const HttpServer* there = started.load();
    return there == nullptr ? 0 : there->connections();
  };
  KV_ASSIGN(const std::unique_ptr<HttpServer> server, HttpServer::Start(settings.http, service));
  started = server.get();
  // Beyond this point /health answers, with 503 until the model is there.
  server->OnSignal([&](int number) {
    log.Write("signal", {{"number", fmt::to_string(number)}});
    if (app.model() == nullptr) std::_Exit(128 + number);  // loading cannot be interrupted, and nothing is lost
    server->Drain();
  });
  KV_ASSIGN(std::unique_ptr<Model> model, LoadModel(settings, hooks));
  const std::string url = Url(*server, settings.http.host);
  log.Write("ready", {{"url", url},
                      {"model", model->id},
                      {"kv_budget_bytes", fmt::to_string(model->engine->options().kv_budget_bytes)},
                      {"keys", settings.api_key_file.empty() ? "no" : "yes"}});
  app.SetModel(std::move(model));
  if (hooks.on_ready) hooks.on_ready(url, app.model()->id);

  server->Wait();
  // No connection is left, so nobody waits for what the scheduler may still compute.
  app.model()->scheduler->Stop();
  log.Write("stopped", {});
  return 0;
}

}  // namespace kvasir::server
