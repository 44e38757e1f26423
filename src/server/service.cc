#include "server/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "base/ascii.h"
#include "base/check.h"
#include "server/routes.h"
#include "server/web_page.h"

namespace kvasir::server {
namespace {

bool IsJsonType(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  constexpr std::string_view kJson = "application/json";
  return std::equal(type.begin(), type.end(), kJson.begin(), kJson.end(), [](char a, char b) {
    return (static_cast<unsigned char>(a) | 0x20U) == static_cast<unsigned char>(b) || a == b;
  });
}

// A header that decides something must not have two values, of which each reader could take another.
ApiStatus CheckSingle(const HttpRequest& request) {
  for (const char* name : {"host", "authorization", "x-api-key", "origin", "content-type"}) {
    const auto count = std::count_if(request.headers.begin(), request.headers.end(),
                                     [&](const auto& header) { return header.first == name; });
    if (count > 1) return Refuse(400, fmt::format("the header {} appears {} times", name, count));
  }
  return {};
}

// What everybody may see, without a key.
bool IsPublic(std::string_view path) {
  return path == "/health" || FindPageFile(path) != nullptr;
}

HttpResponse Preflight(const HttpRequest& request, const Access& access) {
  HttpResponse response{.head = {.status = 204, .headers = access.CorsHeaders(request)}, .body = ""};
  const auto route = FindRoute("OPTIONS", request.path);
  if (!route && route.error().status == 404) return ErrorResponse(route.error());
  if (!route) response.head.headers.emplace_back("allow", route.error().allow);
  return response;
}

// Adds headers to whatever head another exchange decides on.
class WithHeaders final : public Exchange {
 public:
  WithHeaders(std::shared_ptr<Exchange> inner, Headers headers)
      : inner_(std::move(inner)), headers_(std::move(headers)) {}
  void Start(std::function<void()> wake) override { inner_->Start(std::move(wake)); }
  std::optional<HttpHead> Head() override {
    std::optional<HttpHead> head = inner_->Head();
    if (head) head->headers.insert(head->headers.end(), headers_.begin(), headers_.end());
    return head;
  }
  bool Poll(std::string& body) override { return inner_->Poll(body); }
  [[nodiscard]] bool streams() const override { return inner_->streams(); }
  [[nodiscard]] std::string Ping() const override { return inner_->Ping(); }
  void Cancel() override { inner_->Cancel(); }
  [[nodiscard]] LogFields Summary() const override { return inner_->Summary(); }

 private:
  std::shared_ptr<Exchange> inner_;
  Headers headers_;
};

Handled Dispatch(App& app, const HttpRequest& request) {
  KV_ASSIGN(const Route* route, FindRoute(request.method, request.path));
  const Model* model = app.model();
  if (route->needs_model) {
    KV_TRY(CheckReady(app));
    if (model == nullptr) {
      return Refuse(404,
                    fmt::format("this server has no model that writes text, only \"{}\" for embeddings: POST "
                                "/v1/embeddings",
                                app.embedding()->id),
                    "model_not_found");
    }
  }
  Json body;
  if (std::string_view(route->method) == "POST") {
    auto parsed = ParseJson(request.body, app.json_limits);
    if (!parsed) return std::unexpected(FromEngine(parsed.error()));
    body = std::move(*parsed);
  }
  return route->handle({.app = app, .model = model, .http = request, .body = body});
}

}  // namespace

std::string ChooseRequestId(std::string_view given) {
  constexpr size_t kLongest = 64;
  const bool harmless = !given.empty() && given.size() <= kLongest &&
                        std::all_of(given.begin(), given.end(),
                                    [](char c) { return base::IsAlphanumeric(c) || c == '-' || c == '_' || c == '.'; });
  if (harmless) return std::string(given);
  thread_local std::mt19937_64 random{std::random_device{}()};
  return fmt::format("req-{:016x}", random());
}

ApiStatus Service::Check(HttpRequest& head, std::optional<size_t> body_bytes) const {
  KV_TRY(CheckSingle(head));
  KV_TRY(access_.CheckSource(head));
  // A browser asks before it sends a key, so the preflight has none; it tells nothing but methods.
  if (!IsPublic(head.path) && head.method != "OPTIONS") {
    KV_ASSIGN(const ApiKey* key, access_.CheckKey(head));
    if (key != nullptr) {
      head.tenant = key->name;
      head.max_priority = key->max_priority;
    }
  }
  if (head.method == "OPTIONS") return {};
  KV_ASSIGN(const Route* route, FindRoute(head.method, head.path));
  if (body_bytes.value_or(0) > max_body_bytes_) {
    return Refuse(413, fmt::format("the body has {} bytes, but it may have {} at most", *body_bytes, max_body_bytes_),
                  "request_too_large");
  }
  if (std::string_view(route->method) == "POST" && !IsJsonType(head.Header("content-type"))) {
    return Refuse(415, "the body must be JSON, announced by the header 'Content-Type: application/json'");
  }
  return {};
}

std::optional<HttpResponse> Service::Screen(HttpRequest& head, std::optional<size_t> body_bytes) {
  head.id = ChooseRequestId(head.Header("x-request-id"));
  const ApiStatus status = Check(head, body_bytes);
  if (status) return std::nullopt;
  return Refusal(head, status.error());
}

HttpResponse Service::Refusal(const HttpRequest& head, const ApiError& error) const {
  HttpResponse response = ErrorResponse(error, ErrorStyleOf(head.path));
  const Headers cors = access_.CorsHeaders(head);
  response.head.headers.insert(response.head.headers.end(), cors.begin(), cors.end());
  return response;
}

std::shared_ptr<Exchange> Service::Handle(HttpRequest& request) {
  if (request.method == "OPTIONS") return Fixed(Preflight(request, access_));
  Handled handled = Dispatch(app_, request);
  std::shared_ptr<Exchange> exchange =
      handled ? std::move(*handled) : Fixed(ErrorResponse(handled.error(), ErrorStyleOf(request.path)));
  Headers cors = access_.CorsHeaders(request);
  if (cors.empty()) return exchange;
  return std::make_shared<WithHeaders>(std::move(exchange), std::move(cors));
}

void Service::Finished(const HttpRequest& request, const HttpRecord& record) {
  const auto route = FindRoute(request.method, request.path);
  const std::string name = route ? (*route)->path : "other";
  app_.metrics.CountHttp(name, record.status);
  if (record.client_left) app_.metrics.CountClientLeft();
  LogFields fields = {{"id", request.id},
                      {"method", request.method.substr(0, 10)},
                      {"route", name},
                      {"status", fmt::to_string(record.status)},
                      {"seconds", fmt::format("{:.4f}", record.seconds)},
                      {"bytes", fmt::to_string(record.bytes)},
                      {"peer", request.peer}};
  if (!request.tenant.empty()) fields.emplace_back("key", request.tenant);
  if (record.client_left) fields.emplace_back("client", "left");
  fields.insert(fields.end(), record.summary.begin(), record.summary.end());
  log_.Write("request", fields);
}

}  // namespace kvasir::server
