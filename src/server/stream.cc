#include "server/stream.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace kvasir::server {
namespace {

namespace asio = boost::asio;

constexpr auto kNoThrow = asio::as_tuple(asio::use_awaitable);

}  // namespace

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
