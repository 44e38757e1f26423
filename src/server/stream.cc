#include "server/stream.h"

#include "server/no_throw.h"

namespace kvasir::server {

namespace asio = boost::asio;

asio::awaitable<bool> Stream::Open() {
  if (!tls_) co_return true;
  const auto [error] = co_await tls_->async_handshake(asio::ssl::stream_base::server, kNoThrow);
  co_return !error;
}

asio::awaitable<void> Stream::CloseSending() {
  // Without the word of farewell a client could not tell an end from an attacker who cut the line. That the client does
  // not return it, or still sends, is no matter.
  if (tls_) co_await tls_->async_shutdown(kNoThrow);
  boost::system::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
}

}  // namespace kvasir::server
