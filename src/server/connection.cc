// Beast parses the requests; the answers are framed here, because a status line and chunk lengths are less code than
// the templates that write them.
//
// While an answer is under way, two coroutines share the strand: one delivers, the other reads. The reader is there to
// notice at once that the client has gone, also while the request still waits in a queue and nothing is written. What
// it reads belongs to the next request and stays in the buffer. A client that shuts down only its sending side counts
// as gone: the two cannot be told apart before it is too late to save the work.
#include "server/connection.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http.hpp>
#include <exception>
#include <utility>

#include "base/ascii.h"
#include "base/seconds_since.h"
#include "server/no_throw.h"

namespace kvasir::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using std::chrono::milliseconds;

constexpr size_t kReadBytes = 16 << 10;
constexpr size_t kMaxAheadBytes = 256 << 10;  // of further requests, read while one is being answered
constexpr size_t kWriteBytes = 64 << 10;      // each such piece has the write time-out for itself
constexpr int kStatusClientLeft = 499;
constexpr milliseconds kFarewell(2000);  // for the last words of an answer that the server breaks off

HttpRequest ReadHead(const http::request<http::string_body>& message) {
  HttpRequest request;
  request.method = std::string(message.method_string());
  const std::string target(message.target());
  const size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string::npos) request.query = target.substr(question + 1);
  for (const auto& field : message) {
    request.headers.emplace_back(base::Lowered(field.name_string()), std::string(field.value()));
  }
  request.old_http = message.version() == 10;
  return request;
}

ApiError SyntaxError(const error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return Refuse(431, "the header of this request is too large").error();
  }
  if (error == http::error::body_limit) {
    return Refuse(413, "the body of this request is too large", "request_too_large").error();
  }
  if (error == http::error::bad_version) return Refuse(505, "only HTTP/1.0 and 1.1 are spoken").error();
  return Refuse(400, "this is no well-formed HTTP request: " + error.message()).error();
}

std::shared_ptr<Exchange> HandleSafely(HttpService& service, HttpRequest& request) {
  try {
    return service.Handle(request);
  } catch (const std::exception& error) {
    return Fixed(service.Refusal(request, Refuse(500, error.what(), "internal_error").error()));
  }
}

bool HasBody(int status) {
  return status != 204 && status != 304;
}

bool IsSyntax(const error_code& error) {
  return error.category() == http::make_error_code(http::error::bad_method).category() &&
         error != http::error::end_of_stream && error != http::error::partial_message;
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, ConnectionContext& context)
    : stream_(std::move(socket), context.tls),
      context_(context),
      deadline_(stream_.get_executor()),
      wake_(stream_.get_executor()) {
  error_code ignored;
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  const auto endpoint = stream_.socket().remote_endpoint(ignored);
  if (!ignored) peer_ = endpoint.address().to_string();
}

// A deadline closes the socket, which ends whatever waits for it. A handler that was already on its way when the
// deadline moved finds that its time has not come.
void Connection::SetDeadline(milliseconds wait) {
  if (aborted_) return;
  deadline_.expires_after(wait);
  deadline_.async_wait([weak = weak_from_this()](const error_code& error) {
    const auto self = weak.lock();
    if (error || !self || self->deadline_.expiry() > Clock::now()) return;
    self->timed_out_ = true;
    error_code ignored;
    self->stream_.socket().cancel(ignored);
  });
}

void Connection::ClearDeadline() {
  if (aborted_) return;
  deadline_.expires_at(Clock::time_point::max());
}

void Connection::Wake() {
  asio::post(stream_.get_executor(), [weak = weak_from_this()] {
    if (const auto self = weak.lock()) {
      self->woken_ = true;
      self->wake_.cancel();
    }
  });
}

// False: nothing happened for the ping interval.
asio::awaitable<bool> Connection::WaitForWake() {
  if (!woken_) {
    wake_.expires_after(context_.options.ping_interval);
    co_await wake_.async_wait(kNoThrow);
  }
  co_return std::exchange(woken_, false);
}

void Connection::CloseIfIdle() {
  asio::post(stream_.get_executor(), [weak = weak_from_this()] {
    const auto self = weak.lock();
    error_code ignored;
    if (self && self->idle_) self->stream_.socket().close(ignored);
  });
}

void Connection::Abort() {
  asio::post(stream_.get_executor(), [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    error_code ignored;
    if (!self->exchange_) self->stream_.socket().close(ignored);
    self->SetDeadline(kFarewell);
    self->aborted_ = true;
    // A cancelled answer ends with an error, which wakes and is delivered like any other end.
    if (self->exchange_) self->exchange_->Cancel();
  });
}

asio::awaitable<void> Connection::Run() {
  SetDeadline(context_.options.header_timeout);
  const bool opened = co_await stream_.Open();
  Step step = opened ? Step::kNext : Step::kClose;
  while (step == Step::kNext) step = co_await ServeOne();
  error_code ignored;
  stream_.socket().close(ignored);
  deadline_.cancel();
}

asio::awaitable<bool> Connection::ReadFirstBytes() {
  if (aborted_) co_return false;
  if (buffer_.size() > 0) co_return true;
  idle_ = true;
  if (context_.draining) co_return false;
  SetDeadline(context_.options.idle_timeout);
  const auto [error, count] = co_await stream_.async_read_some(buffer_.prepare(kReadBytes), kNoThrow);
  idle_ = false;
  buffer_.commit(count);
  co_return !error && !timed_out_;
}

asio::awaitable<Connection::Step> Connection::ServeOne() {
  const bool begun = co_await ReadFirstBytes();
  if (!begun) co_return Step::kClose;
  http::request_parser<http::string_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(context_.options.max_header_bytes));
  parser.body_limit(boost::none);  // Screen judges an announced length; the limit for chunks is set below
  SetDeadline(context_.options.header_timeout);
  const auto [header_error, header_bytes] = co_await http::async_read_header(stream_, buffer_, parser, kNoThrow);
  HttpRequest request;
  request.peer = peer_;
  if (header_error) {
    if (timed_out_) {
      timed_out_ = false;
      const ApiError slow = Refuse(408, "the header of this request did not arrive in time").error();
      const HttpResponse refusal = context_.service.Refusal(request, slow);
      co_return co_await SendWhole(request, refusal, /*keep=*/false);
    }
    if (!IsSyntax(header_error)) co_return Step::kClose;
    const HttpResponse refusal = context_.service.Refusal(request, SyntaxError(header_error));
    co_return co_await SendWhole(request, refusal, /*keep=*/false);
  }
  request = ReadHead(parser.get());
  request.peer = peer_;
  keep_ = parser.get().keep_alive();

  std::optional<size_t> announced;
  if (parser.content_length()) announced = static_cast<size_t>(*parser.content_length());
  request.body_ahead = parser.chunked() || announced.value_or(0) > 0;
  const std::optional<HttpResponse> refused = context_.service.Screen(request, announced);
  if (refused) co_return co_await SendWhole(request, *refused, keep_ && !request.body_ahead);

  if (request.Header("expect") == "100-continue" && request.body_ahead) {
    const bool sent = co_await Write("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return Step::kClose;
  }
  if (!parser.is_done()) {
    parser.body_limit(context_.options.max_body_bytes);
    SetDeadline(context_.options.body_timeout);
    const auto [body_error, body_bytes] = co_await http::async_read(stream_, buffer_, parser, kNoThrow);
    if (body_error && timed_out_) {
      timed_out_ = false;
      const ApiError slow = Refuse(408, "the body of this request did not arrive in time").error();
      const HttpResponse refusal = context_.service.Refusal(request, slow);
      co_return co_await SendWhole(request, refusal, /*keep=*/false);
    }
    if (body_error) {
      if (!IsSyntax(body_error)) co_return Step::kClose;
      const HttpResponse refusal = context_.service.Refusal(request, SyntaxError(body_error));
      co_return co_await SendWhole(request, refusal, /*keep=*/false);
    }
  }
  ClearDeadline();
  request.body = std::move(parser.get().body());
  co_return co_await Answer(request);
}

asio::awaitable<Connection::Step> Connection::SendWhole(HttpRequest& request, const HttpResponse& response, bool keep) {
  keep_ = keep;
  const auto start = Clock::now();
  FixedExchange exchange(response);
  HttpRecord record;
  co_await Deliver(exchange, request, record);
  record.summary = exchange.Summary();
  record.seconds = base::SecondsSince(start);
  context_.service.Finished(request, record);
  if (keep_ && !record.client_left) co_return Step::kNext;
  co_await Linger();
  co_return Step::kClose;
}

asio::awaitable<Connection::Step> Connection::Answer(HttpRequest& request) {
  using namespace asio::experimental::awaitable_operators;
  const auto start = Clock::now();
  const auto self = shared_from_this();
  if (context_.service.IsQuick(request)) {
    exchange_ = HandleSafely(context_.service, request);
  } else {
    // The request is this coroutine's, which waits here until the worker is done with it.
    asio::post(context_.workers, [self, &request] {
      std::shared_ptr<Exchange> exchange = HandleSafely(self->context_.service, request);
      asio::post(self->stream_.get_executor(), [self, exchange = std::move(exchange)]() mutable {
        self->exchange_ = std::move(exchange);
        self->woken_ = true;
        self->wake_.cancel();
      });
    });
  }
  while (!exchange_) co_await WaitForWake();

  const std::shared_ptr<Exchange> exchange = exchange_;
  exchange->Start([weak = weak_from_this()] {
    if (const auto connection = weak.lock()) connection->Wake();
  });
  HttpRecord record;
  const auto finished = co_await (Deliver(*exchange, request, record) || WatchClient());
  if (finished.index() == 1 || record.client_left) {
    exchange->Cancel();
    record.client_left = true;
    if (record.status == 0) record.status = kStatusClientLeft;
  }
  exchange_.reset();
  record.summary = exchange->Summary();
  record.seconds = base::SecondsSince(start);
  context_.service.Finished(request, record);
  if (record.client_left) co_return Step::kClose;
  if (keep_) co_return Step::kNext;
  co_await Linger();
  co_return Step::kClose;
}

std::string Connection::HeadText(const HttpHead& head, const HttpRequest& request, std::string_view length_header) {
  if (context_.draining || request.old_http) keep_ = false;
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", head.status, ReasonPhrase(head.status));
  for (const auto& [name, value] : head.headers) text += fmt::format("{}: {}\r\n", name, value);
  if (!request.id.empty()) text += fmt::format("x-request-id: {}\r\n", request.id);
  text += length_header;
  text += keep_ ? "connection: keep-alive\r\n\r\n" : "connection: close\r\n\r\n";
  return text;
}

asio::awaitable<void> Connection::Deliver(Exchange& exchange, const HttpRequest& request, HttpRecord& record) {
  std::optional<HttpHead> head = exchange.Head();
  while (!head) {
    co_await WaitForWake();
    head = exchange.Head();
  }
  const bool in_pieces = exchange.streams() && request.method != "HEAD";
  std::string text;
  if (in_pieces) {
    text = HeadText(*head, request, request.old_http ? "" : "transfer-encoding: chunked\r\n");
  } else {
    std::string body;
    while (!exchange.Poll(body)) co_await WaitForWake();
    const std::string length = HasBody(head->status) ? fmt::format("content-length: {}\r\n", body.size()) : "";
    text = HeadText(*head, request, length);
    if (request.method != "HEAD" && HasBody(head->status)) text += body;
  }
  record.status = head->status;
  record.bytes = text.size();
  const bool sent = co_await Write(text);
  record.client_left = !sent;
  if (in_pieces && sent) co_await DeliverPieces(exchange, !request.old_http, record);
}

asio::awaitable<void> Connection::DeliverPieces(Exchange& exchange, bool chunked, HttpRecord& record) {
  bool done = false;
  bool quiet = false;
  while (!done) {
    std::string body;
    done = exchange.Poll(body);
    if (body.empty() && quiet) body = exchange.Ping();
    quiet = false;
    if (!body.empty() || done) {
      std::string text;
      if (!chunked) {
        text = std::move(body);
      } else {
        if (!body.empty()) text = fmt::format("{:x}\r\n{}\r\n", body.size(), body);
        if (done) text += "0\r\n\r\n";
      }
      record.bytes += text.size();
      const bool sent = co_await Write(text);
      if (!sent) {
        record.client_left = true;
        co_return;
      }
    }
    if (!done) {
      const bool woken = co_await WaitForWake();
      quiet = !woken;
    }
  }
}

// Returns when the client has closed; what else it sends waits in the buffer.
asio::awaitable<void> Connection::WatchClient() {
  while (buffer_.size() < kMaxAheadBytes) {
    const auto [error, count] = co_await stream_.async_read_some(buffer_.prepare(kReadBytes), kNoThrow);
    buffer_.commit(count);
    if (error) co_return;
  }
  // So much was sent ahead that no more is read until this answer is done.
  asio::steady_timer never(stream_.get_executor(), Clock::time_point::max());
  co_await never.async_wait(kNoThrow);
}

asio::awaitable<bool> Connection::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view piece = bytes.substr(0, kWriteBytes);
    SetDeadline(context_.options.write_timeout);
    const auto [error, count] = co_await asio::async_write(stream_, asio::buffer(piece.data(), piece.size()), kNoThrow);
    if (error) co_return false;
    bytes.remove_prefix(piece.size());
  }
  ClearDeadline();
  co_return true;
}

// Closing a socket while the client still sends would reset it, and the client might never see the answer that says
// why.
asio::awaitable<void> Connection::Linger() {
  constexpr milliseconds kLongest(1000);
  constexpr size_t kMostBytes = 4 << 20;
  if (timed_out_) co_return;
  SetDeadline(kLongest);
  co_await stream_.CloseSending();
  std::array<char, kReadBytes> sink;
  for (size_t total = 0; total < kMostBytes && !timed_out_;) {
    const auto [error, count] = co_await stream_.socket().async_read_some(asio::buffer(sink), kNoThrow);
    if (error) co_return;
    total += count;
  }
}

}  // namespace kvasir::server
