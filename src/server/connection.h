// One client's connection: requests one after the other, each read within limits and answered by an exchange.
#pragma once

#include <atomic>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "server/exchange.h"
#include "server/http_server.h"
#include "server/stream.h"

namespace kvasir::server {

/// What all connections of a server share.
struct ConnectionContext {
  const HttpOptions& options;
  HttpService& service;
  boost::asio::thread_pool& workers;
  boost::asio::ssl::context* tls;  ///< Null for plain TCP.
  std::atomic<bool> draining{false};
};

/// Lives on the strand that is the socket's executor; the public members may be called from any thread.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::ip::tcp::socket socket, ConnectionContext& context);

  /// Serves until either side closes. Runs on the strand; the caller keeps the connection alive meanwhile.
  boost::asio::awaitable<void> Run();
  /// Closes it now if no request is being served.
  void CloseIfIdle();
  /// Cancels the answer under way, gives the client a moment to take the error that says so, and closes.
  void Abort();

 private:
  using Clock = std::chrono::steady_clock;
  enum class Step { kNext, kClose };

  boost::asio::awaitable<Step> ServeOne();
  boost::asio::awaitable<bool> ReadFirstBytes();
  boost::asio::awaitable<Step> Answer(HttpRequest& request);
  boost::asio::awaitable<void> Deliver(Exchange& exchange, const HttpRequest& request, HttpRecord& record);
  boost::asio::awaitable<void> DeliverPieces(Exchange& exchange, bool chunked, HttpRecord& record);
  boost::asio::awaitable<void> WatchClient();
  boost::asio::awaitable<bool> Write(std::string_view bytes);
  boost::asio::awaitable<bool> WaitForWake();
  boost::asio::awaitable<void> Linger();
  boost::asio::awaitable<Step> SendWhole(HttpRequest& request, const HttpResponse& response, bool keep);
  void Wake();
  void SetDeadline(std::chrono::milliseconds wait);
  void ClearDeadline();
  std::string HeadText(const HttpHead& head, const HttpRequest& request, std::string_view length_header);

  Stream stream_;
  ConnectionContext& context_;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer wake_;
  boost::beast::flat_buffer buffer_;
  std::shared_ptr<Exchange> exchange_;
  std::string peer_;
  bool idle_ = true;
  bool woken_ = false;
  bool keep_ = true;        // whether a further request may follow
  bool timed_out_ = false;  // the deadline closed the socket
  bool aborted_ = false;    // the deadline is the last one
};

}  // namespace kvasir::server
