// HTTP/1.1 over TCP: connections, limits, time-outs and the orderly end. What a request means is the HttpService's
// affair.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "kvasir/result.h"
#include "server/exchange.h"
#include "server/http_message.h"

namespace kvasir::server {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8080;                   ///< 0: any free one.
  std::string tls_certificate_file;  ///< PEM; empty: plain HTTP.
  std::string tls_key_file;          ///< PEM, without a password. Both or none.
  int io_threads = 2;
  int worker_threads = 2;  ///< Parse requests, render templates, tokenise.
  int max_connections = 4096;
  size_t max_header_bytes = 64 << 10;
  size_t max_body_bytes = 16 << 20;
  std::chrono::milliseconds idle_timeout{75'000};    ///< Between requests.
  std::chrono::milliseconds header_timeout{10'000};  ///< From a request's first byte to the end of its header.
  std::chrono::milliseconds body_timeout{60'000};    ///< For the whole body.
  std::chrono::milliseconds write_timeout{60'000};   ///< For a client to take 64 KiB.
  std::chrono::milliseconds ping_interval{15'000};   ///< Of streams on which nothing happens.
  std::chrono::milliseconds drain_timeout{30'000};   ///< For answers under way when the server stops.
};

/// What is known of a request when it is over.
struct HttpRecord {
  int status = 0;  ///< 499: the client left before there was an answer.
  size_t bytes = 0;
  double seconds = 0;
  bool client_left = false;  ///< In the middle of the answer.
  LogFields summary;
};

/// Answers requests. Called from several threads.
class HttpService {
 public:
  virtual ~HttpService() = default;
  /// Called when the header is there and before the body is read; gives the refusal, if any. May fill in `tenant`.
  [[nodiscard]] virtual std::optional<HttpResponse> Screen(HttpRequest& head, std::optional<size_t> body_bytes) = 0;
  /// Whether Handle takes so little time for this request that no worker thread is needed: it is answered also while
  /// all of them are busy.
  [[nodiscard]] virtual bool IsQuick(const HttpRequest& request) const = 0;
  /// Called on a worker thread, or where the request was read if it is quick.
  [[nodiscard]] virtual std::shared_ptr<Exchange> Handle(HttpRequest& request) = 0;
  /// How `error` is said to whoever sent `head`, of which all may be empty.
  [[nodiscard]] virtual HttpResponse Refusal(const HttpRequest& head, const ApiError& error) const = 0;
  virtual void Finished(const HttpRequest& request, const HttpRecord& record) = 0;
};

class HttpServer {
 public:
  /// Binds and begins to answer. `service` must outlive the server. Errors name the address, or
  /// the file of the certificate or key, and the reason.
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> Start(const HttpOptions& options, HttpService& service);
  ~HttpServer();  ///< Stops at once.
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] int port() const;
  [[nodiscard]] bool loopback() const;  ///< Whether only this machine can reach it.
  [[nodiscard]] bool secure() const;    ///< Whether it speaks TLS.
  [[nodiscard]] int connections() const;

  /// Calls `handler` with the number of each SIGINT or SIGTERM from now on, on a thread of the server.
  void OnSignal(std::function<void(int)> handler);
  /// Takes no new connections, closes the idle ones, and lets answers under way finish for the drain time-out; what
  /// remains then is cancelled, and ends with an error. A second call cancels at once. Any thread.
  void Drain();
  /// Returns when a drain is over.
  void Wait();

  struct Impl;

 private:
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvasir::server
