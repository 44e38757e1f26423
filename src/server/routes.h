// The routes: which path is answered by whom.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "server/api_error.h"
#include "server/app.h"
#include "server/exchange.h"
#include "server/http_message.h"

namespace kvasir::server {

/// One request on its way to a handler.
struct Call {
  App& app;
  const Model* model;  ///< Null while it loads or where there is none; never null for routes that need it.
  const HttpRequest& http;
  const Json& body;  ///< Of a POST; else null.
};

using Handled = ApiResult<std::shared_ptr<Exchange>>;

/// Behind it stands the id of a model.
inline constexpr std::string_view kModelsFolder = "/v1/models/";

struct Route {
  const char* method;
  const char* path;  ///< As it must be, or with {model} for what a request names there.
  Handled (*handle)(const Call& call);
  bool needs_model;
  const char* summary;  ///< For the description of the API.
};

[[nodiscard]] std::span<const Route> Routes();

/// 503 while the models load.
[[nodiscard]] ApiStatus CheckReady(const App& app);

/// The route of `path` and `method` (HEAD is answered as GET). 404 for an unknown path, 405 with what exists for
/// another method. Paths are compared exactly: there is one spelling of each, so no check can be walked around. The
/// files of the web page are one route, "/", and so are all models.
[[nodiscard]] ApiResult<const Route*> FindRoute(std::string_view method, std::string_view path);

/// In whose words the errors of a path are written.
[[nodiscard]] ErrorStyle ErrorStyleOf(std::string_view path);

// web_page.cc
Handled HandleWebPage(const Call& call);
// status_api.cc
Handled HandleHealth(const Call& call);
Handled HandleModels(const Call& call);
Handled HandleOneModel(const Call& call);
Handled HandleMetrics(const Call& call);
Handled HandleSlots(const Call& call);
Handled HandleCache(const Call& call);
Handled HandleOpenApi(const Call& call);
// token_api.cc
Handled HandleTokenize(const Call& call);
Handled HandleDetokenize(const Call& call);
Handled HandleApplyTemplate(const Call& call);
Handled HandleTokenizerInfo(const Call& call);
// chat_api.cc, responses_api.cc, messages_api.cc, completion_api.cc
Handled HandleChat(const Call& call);
Handled HandleResponses(const Call& call);
Handled HandleMessages(const Call& call);
Handled HandleCountTokens(const Call& call);
Handled HandleCompletion(const Call& call);
// embeddings_api.cc
Handled HandleEmbeddings(const Call& call);

}  // namespace kvasir::server
