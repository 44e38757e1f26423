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
#include "kvasir/embedding.h"
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

// What the process takes beside the model: the program's own pages (21 MB were resident), threads, the tokenizer's
// tables, the heap of a server under load: 30 MB in all, and some room. Bodies and answers of unusual size come on top.
constexpr size_t kProcessBytes = 40 << 20;

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

// What requests call a model: the name that was given, without the folder and the ending of a path.
std::string ModelId(const std::string& model) {
  std::filesystem::path path(model);
  if (!path.has_filename()) path = path.parent_path();
  std::string name = path.filename().string();
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
  model.tools.separate_thoughts = settings.separate_thoughts;
  return {};
}

Result<std::unique_ptr<Model>> LoadModel(const ServeSettings& settings, const ServeHooks& hooks, size_t taken_bytes) {
  EngineOptions options = settings.engine;
  KV_ASSIGN(const ModelSummary summary, InspectModel(options));
  KV_ASSIGN(options.kv_budget_bytes, KvBudgetOf(summary, settings.memory_bytes, taken_bytes));
  auto model = std::make_unique<Model>();
  model->request_kv_bytes = summary.plan.kv_bytes;
  KV_ASSIGN(model->engine, hooks.load(options));
  KV_ASSIGN(model->scheduler, Scheduler::Create(*model->engine, settings.scheduler));
  KV_TRY(ChooseTemplate(settings, *model));
  model->id = settings.model_name.empty() ? ModelId(settings.engine.model) : settings.model_name;
  model->created = Now();
  const ModelInfo& info = model->engine->info();
  const EngineOptions& chosen = model->engine->options();
  model->fingerprint =
      fmt::format("kvasir-{}-{}-{}-{}-{:x}", hooks.version, ComputeModeName(chosen.compute), KvSpecText(chosen.kv),
                  model->engine->isa(), std::hash<std::string>{}(info.name) ^ info.file_bytes);
  return model;
}

std::unique_ptr<EmbeddingModel> MakeEmbeddingModel(std::unique_ptr<Embedder> embedder, std::string id,
                                                   const ServeSettings& settings) {
  auto model = std::make_unique<EmbeddingModel>();
  model->embedder = std::move(embedder);
  model->queue = std::make_unique<EmbeddingQueue>(*model->embedder, settings.scheduler.max_waiting);
  model->id = std::move(id);
  model->created = Now();
  return model;
}

// An encoder alone, a model with an embedding model beside it, or a model that makes embeddings itself.
Result<Served> LoadServed(const ServeSettings& settings, const ServeHooks& hooks) {
  const bool alone = IsEncoder(settings.engine.model);
  if (alone && !settings.embedding_model.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is an encoder and makes the embeddings itself; leave --embedding-model out, or name a "
                            "model that writes text with --model",
                            settings.engine.model));
  }
  Served served;
  size_t taken_bytes = 0;
  if (alone || !settings.embedding_model.empty()) {
    EmbedderOptions options{.model = alone ? settings.engine.model : settings.embedding_model,
                            .threads = settings.embedding_threads};
    if (options.threads == 0 && alone) options.threads = settings.engine.threads;
    if (options.threads == 0 && !alone) options.threads = std::max(1, InspectCpu().cpus / 2);
    KV_ASSIGN(std::unique_ptr<Embedder> embedder, Embedder::Load(options));
    taken_bytes = embedder->info().memory_bytes;
    std::string id = alone && !settings.model_name.empty() ? settings.model_name : ModelId(options.model);
    served.embedding = MakeEmbeddingModel(std::move(embedder), std::move(id), settings);
  }
  if (alone) return served;
  KV_ASSIGN(served.model, LoadModel(settings, hooks, taken_bytes));
  if (served.embedding == nullptr) {
    KV_ASSIGN(std::unique_ptr<Embedder> embedder, Embedder::Of(*served.model->engine));
    served.embedding = MakeEmbeddingModel(std::move(embedder), served.model->id, settings);
    served.embedding->separate = false;
  } else if (served.embedding->id == served.model->id) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("both models are called {}; give --model-name", served.model->id));
  }
  return served;
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

Result<size_t> KvBudgetOf(const ModelSummary& summary, size_t memory_bytes, size_t taken_bytes) {
  if (!summary.cannot_run.empty()) return Fail(ErrorCode::kUnsupported, summary.cannot_run);
  const MemoryPlan& plan = summary.plan;
  const size_t embeddings = taken_bytes > 0 ? taken_bytes : EmbeddingPageBytes(plan);
  const size_t fixed = plan.total_bytes - plan.kv_bytes + embeddings + kProcessBytes;
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
  return Fail(ErrorCode::kResourceExhausted,
              fmt::format("--memory is {:.0f} MB, but weights, scratch and the program take {:.0f} MB and one request "
                          "of {} tokens {:.0f} MB; {}",
                          mega(memory_bytes), mega(fixed), plan.context_tokens, mega(plan.kv_bytes), way_out));
}

Result<int> Serve(const ServeSettings& settings, const ServeHooks& hooks) {
  IgnoreBrokenPipes();
  KV_ASSIGN(Access::Options access, MakeAccess(settings));
  access.loopback = IsLoopback(settings.http.host);
  const bool open = !access.loopback && access.keys.empty();
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
    if (!app.ready()) std::_Exit(128 + number);  // loading cannot be interrupted, and nothing is lost
    server->Drain();
  });
  KV_ASSIGN(Served served, LoadServed(settings, hooks));
  const std::string url = Url(*server, settings.http.host);
  LogFields ready = {{"url", url}, {"keys", settings.api_key_file.empty() ? "no" : "yes"}};
  if (served.model != nullptr) {
    ready.emplace_back("model", served.model->id);
    ready.emplace_back("kv", KvSpecText(served.model->engine->options().kv));
    if (!settings.receipt.empty()) ready.emplace_back("receipt", settings.receipt);
    ready.emplace_back("kv_budget_bytes", fmt::to_string(served.model->engine->options().kv_budget_bytes));
  }
  ready.emplace_back("embedding_model", served.embedding->id);
  if (open) ready.emplace_back("warning", "open to everybody who can reach it");
  log.Write("ready", ready);
  app.SetServed(std::move(served));
  if (hooks.on_ready) {
    hooks.on_ready({.url = url,
                    .model = app.model() != nullptr ? app.model()->id : "",
                    .embedding_model = app.embedding()->id,
                    .open = open});
  }

  server->Wait();
  // No connection is left, so nobody waits for what the scheduler and the queue may still compute.
  app.embedding()->queue->Stop();
  if (app.model() != nullptr) app.model()->scheduler->Stop();
  log.Write("stopped", {});
  return 0;
}

}  // namespace kvasir::server
