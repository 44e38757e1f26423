// The answer to one request, as work that goes on: what handlers give to connections.
//
// A handler must not know sockets, and a connection must not know tokens. Between them stands a pull: the exchange says
// "wake up" from whatever thread it likes, and the connection then fetches what is ready when its socket can take it.
// So a slow client never holds the engine, and what it has not fetched yet stays in its compact form: whatever arrived
// in the meantime is one larger piece when it is fetched.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "server/api_error.h"
#include "server/http_message.h"
#include "server/log.h"

namespace kvasir::server {

/// One answer. The members are called by one connection, one at a time. `wake` of Start may be called by any thread
/// until the exchange is destroyed.
class Exchange {
 public:
  Exchange() = default;
  virtual ~Exchange() = default;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Called once, before everything else. `wake`: there may be something new to poll.
  virtual void Start(std::function<void()> wake) = 0;
  /// The head, once it is decided; called until then.
  virtual std::optional<HttpHead> Head() = 0;
  /// Appends what is ready to `body`. True: that was the end. Called after Head only.
  virtual bool Poll(std::string& body) = 0;
  /// Whether the body is sent in pieces as they come; else it is sent as a whole, with its length.
  [[nodiscard]] virtual bool streams() const { return false; }
  /// What keeps a quiet stream open; empty for none.
  [[nodiscard]] virtual std::string Ping() const { return {}; }
  /// The client has gone, or the server must stop: nobody will fetch the rest.
  virtual void Cancel() {}
  /// For the log: names and values, without anything that a user wrote.
  [[nodiscard]] virtual LogFields Summary() const { return {}; }
};

/// An answer that is complete.
class FixedExchange final : public Exchange {
 public:
  explicit FixedExchange(HttpResponse response) : response_(std::move(response)) {}
  void Start(std::function<void()> /*wake*/) override {}
  std::optional<HttpHead> Head() override { return response_.head; }
  bool Poll(std::string& body) override {
    body += response_.body;
    return true;
  }
  [[nodiscard]] LogFields Summary() const override { return response_.log; }

 private:
  HttpResponse response_;
};

[[nodiscard]] HttpResponse JsonResponse(const Json& value, int status = 200);
[[nodiscard]] HttpResponse ErrorResponse(const ApiError& error, ErrorStyle style = ErrorStyle::kOpenAi);
/// An error in the log: its code, or its type where it has none, and the member of the request that it is about. Not
/// the message, which repeats what the request says, nor a member whose name may be anything.
[[nodiscard]] LogFields ErrorLog(const ApiError& error);
[[nodiscard]] std::shared_ptr<Exchange> Fixed(HttpResponse response);

}  // namespace kvasir::server
