#include "server/routes.h"

#include <fmt/format.h>

#include <array>

#include "server/web_page.h"

namespace kvasir::server {

std::span<const Route> Routes() {
  static constexpr auto kRoutes = std::to_array<Route>({
      {"GET", "/", HandleWebPage, false, "the web page; needs no key, its calls do"},
      {"GET", "/health", HandleHealth, false, "200 when the model is loaded, 503 before; needs no key"},
      {"GET", "/v1/models", HandleModels, false, "the models that are served"},
      {"GET", "/v1/models/{model}", HandleOneModel, false, "one of them"},
      {"POST", "/v1/chat/completions", HandleChat, true, "answer a conversation"},
      {"POST", "/v1/responses", HandleResponses, true, "answer a conversation, in OpenAI's newer words"},
      {"POST", "/v1/messages", HandleMessages, true, "answer a conversation, in Anthropic's words"},
      {"POST", "/v1/messages/count_tokens", HandleCountTokens, true, "how many tokens such a conversation has"},
      {"POST", "/v1/completions", HandleCompletion, true, "continue a text"},
      {"POST", "/v1/embeddings", HandleEmbeddings, false, "texts to vectors"},
      {"POST", "/tokenize", HandleTokenize, true, "text to tokens"},
      {"POST", "/detokenize", HandleDetokenize, true, "tokens to text"},
      {"POST", "/apply-template", HandleApplyTemplate, true, "the text that a model sees of a conversation"},
      {"GET", "/tokenizer_info", HandleTokenizerInfo, true, "the tokenizer's special tokens"},
      {"GET", "/metrics", HandleMetrics, false, "counters and histograms for Prometheus"},
      {"GET", "/slots", HandleSlots, true, "what is being computed, and what the cache holds"},
      {"GET", "/cache", HandleCache, true, "the cached texts as a tree, and who reads them"},
      {"GET", "/openapi.json", HandleOpenApi, false, "the description of all this"},
  });
  return kRoutes;
}

ApiStatus CheckReady(const App& app) {
  if (app.ready()) return {};
  ApiError loading = Refuse(503, "the model is still loading", "loading").error();
  loading.retry_after_seconds = 1;
  return std::unexpected(std::move(loading));
}

ApiResult<const Route*> FindRoute(std::string_view method, std::string_view path) {
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  if (FindPageFile(path) != nullptr) path = "/";
  if (path.starts_with(kModelsFolder) && path.size() > kModelsFolder.size()) path = "/v1/models/{model}";
  std::string allowed;
  for (const Route& route : Routes()) {
    if (path != route.path) continue;
    if (wanted == route.method) return &route;
    allowed += fmt::format("{}{}", allowed.empty() ? "" : ", ", route.method);
  }
  if (allowed.empty()) return Refuse(404, "there is nothing at this path; GET /openapi.json lists what there is");
  ApiError error = Refuse(405, fmt::format("this path is for {}, not for {}", allowed, method.substr(0, 20))).error();
  error.allow = allowed == "GET" ? "GET, HEAD, OPTIONS" : allowed + ", OPTIONS";
  return std::unexpected(std::move(error));
}

ErrorStyle ErrorStyleOf(std::string_view path) {
  return path.starts_with("/v1/messages") ? ErrorStyle::kAnthropic : ErrorStyle::kOpenAi;
}

}  // namespace kvasir::server
