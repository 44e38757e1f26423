// From HTTP to handlers: who may ask, for what, in which form; what is logged and counted.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "server/access.h"
#include "server/app.h"
#include "server/http_server.h"
#include "server/log.h"

namespace kvasir::server {

class Service final : public HttpService {
 public:
  Service(App& app, Access access, Log& log, size_t max_body_bytes)
      : app_(app), access_(std::move(access)), log_(log), max_body_bytes_(max_body_bytes) {}

  [[nodiscard]] std::optional<HttpResponse> Screen(HttpRequest& head, std::optional<size_t> body_bytes) override;
  [[nodiscard]] bool IsQuick(const HttpRequest& request) const override { return request.path == "/health"; }
  [[nodiscard]] std::shared_ptr<Exchange> Handle(HttpRequest& request) override;
  [[nodiscard]] HttpResponse Refusal(const HttpRequest& head, const ApiError& error) const override;
  void Finished(const HttpRequest& request, const HttpRecord& record) override;

 private:
  ApiStatus Check(HttpRequest& head, std::optional<size_t> body_bytes) const;

  App& app_;
  Access access_;
  Log& log_;
  size_t max_body_bytes_;
};

/// The id a client gave in x-request-id, if it is harmless (letters, digits, '-', '_', '.', 64 at most), else a new
/// one.
[[nodiscard]] std::string ChooseRequestId(std::string_view given);

}  // namespace kvasir::server
