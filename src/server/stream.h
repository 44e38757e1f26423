// The bytes of a connection: TCP, or TLS over it. Only connection.cc and http_server.cc use it.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <optional>
#include <utility>

namespace kvasir::server {

/// One for both, chosen per server, so that everything above is written once. An AsyncReadStream and AsyncWriteStream
/// of Asio and Beast. One read and one write may be under way at a time, on the socket's strand.
class Stream {
 public:
  using executor_type = boost::asio::any_io_executor;

  /// `tls` is null for plain TCP, and must outlive the stream.
  Stream(boost::asio::ip::tcp::socket socket, boost::asio::ssl::context* tls) : socket_(std::move(socket)) {
    if (tls != nullptr) tls_.emplace(socket_, *tls);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  [[nodiscard]] executor_type get_executor() { return socket_.get_executor(); }
  [[nodiscard]] boost::asio::ip::tcp::socket& socket() { return socket_; }

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    if (tls_) return tls_->async_read_some(buffers, std::forward<Token>(token));
    return socket_.async_read_some(buffers, std::forward<Token>(token));
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    if (tls_) return tls_->async_write_some(buffers, std::forward<Token>(token));
    return socket_.async_write_some(buffers, std::forward<Token>(token));
  }

  /// Before the first byte. False: the other side does not speak TLS as we do.
  [[nodiscard]] boost::asio::awaitable<bool> Open();
  /// Says that nothing more will be sent.
  [[nodiscard]] boost::asio::awaitable<void> CloseSending();

 private:
  boost::asio::ip::tcp::socket socket_;
  std::optional<boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>> tls_;
};

}  // namespace kvasir::server
