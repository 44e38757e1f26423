// What the server says about itself: /health, /v1/models, /metrics, /slots, /cache, /openapi.json.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/check.h"
#include "server/embedded_files.h"
#include "server/routes.h"

namespace kvasir::server {
namespace {

constexpr int kBlockTokens = 64;

// Whose a request is, and what its client called it, is its key's affair.
Json RequestJson(const RequestView& view, const std::string& asker) {
  const bool own = view.tenant == asker;
  return {{"id", view.id},
          {"request", own ? Json(view.label) : Json(nullptr)},
          {"key", own ? Json(view.tenant) : Json(nullptr)},
          {"priority", view.priority},
          {"phase", RequestPhaseName(view.phase)},
          {"prompt_tokens", view.prompt_tokens},
          {"cached_tokens", view.cached_tokens},
          {"computed_tokens", view.computed_tokens},
          {"generated_tokens", view.generated_tokens},
          {"preemptions", view.preemptions},
          {"kv_bytes", view.kv_bytes},
          {"age_seconds", view.age_seconds}};
}

Json ModelJson(const Model& model) {
  const ModelInfo& info = model.engine->info();
  const EngineOptions& options = model.engine->options();
  return {{"id", model.id},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "kvasir"},
          {"max_model_len", options.context_tokens},
          {"meta",
           {{"name", info.name},
            {"architecture", info.architecture},
            {"n_ctx_train", info.trained_context},
            {"n_vocab", info.vocabulary},
            {"n_embd", info.embedding},
            {"size", info.file_bytes},
            {"compute", ComputeModeName(options.compute)},
            {"kv", KvSpecText(options.kv)},
            {"isa", model.engine->isa()}}}};
}

Json EmbeddingModelJson(const EmbeddingModel& model) {
  const EmbedderInfo& info = model.embedder->info();
  return {{"id", model.id},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "kvasir"},
          {"max_model_len", info.max_tokens},
          {"meta",
           {{"name", info.name},
            {"architecture", info.architecture},
            {"n_vocab", info.vocabulary},
            {"n_embd", info.dimensions},
            {"size", info.file_bytes},
            {"pooling", info.pooling},
            {"normalised", info.normalised}}}};
}

ModelFacts FactsOf(const Model& model) {
  const EngineOptions& options = model.engine->options();
  const int request_blocks = (options.context_tokens + kBlockTokens - 1) / kBlockTokens;
  return {.weight_bytes = model.engine->memory().weight_bytes,
          .block_tokens = kBlockTokens,
          .cache_blocks = options.kv_budget_bytes * static_cast<size_t>(request_blocks) /
                          std::max<size_t>(1, model.request_kv_bytes),
          .kv = KvSpecText(options.kv),
          .prefix_cache = model.scheduler->options().prefix_cache};
}

// "a%2Fb" -> "a/b"; a '%' that begins no byte stays.
std::string PercentDecoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const char* begin = text.data() + i + 1;
    const bool coded =
        text[i] == '%' && i + 2 < text.size() && std::from_chars(begin, begin + 2, byte, 16).ptr == begin + 2;
    decoded += coded ? static_cast<char>(byte) : text[i];
    if (coded) i += 2;
  }
  return decoded;
}

}  // namespace

Handled HandleHealth(const Call& call) {
  KV_TRY(CheckReady(call.app));
  return Fixed(JsonResponse({{"status", "ok"}}));
}

Handled HandleModels(const Call& call) {
  KV_TRY(CheckReady(call.app));
  Json list = Json::array();
  if (call.model != nullptr) list.push_back(ModelJson(*call.model));
  const EmbeddingModel& embedding = *call.app.embedding();
  if (embedding.separate) list.push_back(EmbeddingModelJson(embedding));
  return Fixed(JsonResponse({{"object", "list"}, {"data", std::move(list)}}));
}

Handled HandleOneModel(const Call& call) {
  KV_TRY(CheckReady(call.app));
  const std::string id = PercentDecoded(std::string_view(call.http.path).substr(kModelsFolder.size()));
  if (call.model != nullptr && id == call.model->id) return Fixed(JsonResponse(ModelJson(*call.model)));
  const EmbeddingModel& embedding = *call.app.embedding();
  if (id == embedding.id) return Fixed(JsonResponse(EmbeddingModelJson(embedding)));
  return Refuse(404, "there is no such model; GET /v1/models lists what there is", "model_not_found");
}

Handled HandleMetrics(const Call& call) {
  std::optional<SchedulerStats> stats;
  if (call.model != nullptr) stats = call.model->scheduler->Stats();
  std::string text = call.app.metrics.Text(stats ? &*stats : nullptr, call.model != nullptr ? call.model->id : "",
                                           call.app.connections(), call.app.metric_aliases, call.app.ready());
  if (call.model != nullptr) {
    AppendModelMetrics(text, FactsOf(*call.model), call.model->id, call.app.metric_aliases);
  }
  if (const EmbeddingModel* embedding = call.app.embedding()) {
    AppendEmbeddingMetrics(text, embedding->queue->Stats(), embedding->id);
  }
  return Fixed({.head = {.status = 200, .headers = {{"content-type", "text/plain; version=0.0.4; charset=utf-8"}}},
                .body = text});
}

Handled HandleOpenApi(const Call& /*call*/) {
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    if (file.name != "openapi.json") continue;
    return Fixed({.head = {.status = 200, .headers = {{"content-type", "application/json"}}},
                  .body = std::string(file.content)});
  }
  return Refuse(500, "the description of the API is not part of this program", "internal_error");
}

Handled HandleSlots(const Call& call) {
  const SchedulerStats stats = call.model->scheduler->Stats();
  const MemoryReport memory = call.model->engine->memory();
  Json requests = Json::array();
  for (const RequestView& view : stats.requests) requests.push_back(RequestJson(view, call.http.tenant));
  return Fixed(JsonResponse({
      {"running", stats.running},
      {"waiting", stats.waiting},
      {"max_running", call.model->scheduler->options().max_running},
      {"steps", stats.steps},
      {"last_step_ms", stats.last_step_ms},
      {"prompt_chunk_tokens", stats.prompt_chunk_tokens},
      {"tokens",
       {{"prompt", stats.prompt_tokens},
        {"cached", stats.cached_tokens},
        {"generated", stats.generated_tokens},
        {"recomputed", stats.recomputed_tokens}}},
      {"prefix_cache",
       {{"lookups", stats.prefix_lookups}, {"hits", stats.prefix_hits}, {"evicted_blocks", stats.evicted_blocks}}},
      {"memory",
       {{"weights", memory.weight_bytes},
        {"mapped", memory.mapped_bytes},
        {"activations", memory.activation_bytes},
        {"kv_budget", stats.kv_budget_bytes},
        {"kv", stats.kv_bytes},
        {"kv_shared", stats.kv_shared_bytes},
        {"kv_cached", stats.kv_cached_bytes},
        {"kv_record", stats.kv_record_bytes},
        {"peak_resident", memory.peak_resident_bytes}}},
      {"requests", std::move(requests)},
  }));
}

Handled HandleCache(const Call& call) {
  constexpr int kMostSegments = 500;  // more than a screen can show, and about 60 kB
  const CacheMap map = call.model->scheduler->Cache(kMostSegments);
  Json segments = Json::array();
  for (const CacheSegment& segment : map.segments) {
    segments.push_back({{"id", segment.id},
                        {"parent", segment.parent},
                        {"first_token", segment.first_token},
                        {"tokens", segment.tokens},
                        {"bytes", segment.bytes},
                        {"requests", segment.requests}});
  }
  Json requests = Json::array();
  for (const CacheTail& tail : map.requests) {
    requests.push_back({{"id", tail.id}, {"segment", tail.segment}, {"tokens", tail.tokens}});
  }
  return Fixed(JsonResponse({{"block_tokens", kBlockTokens},
                             {"segments", std::move(segments)},
                             {"requests", std::move(requests)},
                             {"left_out", {{"segments", map.left_out_segments}, {"bytes", map.left_out_bytes}}}}));
}

}  // namespace kvasir::server
