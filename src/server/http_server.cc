// One acceptor, a strand per connection, a few threads that run whatever is ready. Thousands of open streams cost a
// coroutine frame and a buffer each, not a thread. Work that takes milliseconds (parsing, templates, tokens) goes to
// the worker threads, so that it never delays somebody's stream.
#include "server/http_server.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/strand.hpp>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>
#include <vector>

#include "base/check.h"
#include "server/connection.h"
#include "server/no_throw.h"
#include "server/tls.h"

namespace kvasir::server {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Each stream is a descriptor; the usual soft limit of 1024 is far below the hard one.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

struct HttpServer::Impl {
  Impl(const HttpOptions& chosen, HttpService& service, std::unique_ptr<asio::ssl::context> certificate)
      : options(chosen),
        workers(static_cast<size_t>(chosen.worker_threads)),
        tls(std::move(certificate)),
        context{.options = options, .service = service, .workers = workers, .tls = tls.get()},
        acceptor(asio::make_strand(io)),
        accept_pause(acceptor.get_executor()),
        drain_timer(acceptor.get_executor()),
        signals(acceptor.get_executor()) {}

  HttpOptions options;
  asio::io_context io;
  asio::thread_pool workers;
  const std::unique_ptr<asio::ssl::context> tls;  // null for plain HTTP
  ConnectionContext context;
  tcp::acceptor acceptor;
  asio::steady_timer accept_pause;
  asio::steady_timer drain_timer;
  asio::signal_set signals;
  std::function<void(int)> on_signal;
  tcp::endpoint endpoint;
  std::vector<std::thread> threads;

  std::mutex mutex;
  std::condition_variable changed;
  std::list<std::weak_ptr<Connection>> open;
  bool drained = false;

  Status Bind();
  asio::awaitable<void> AcceptLoop();
  asio::awaitable<void> Serve(std::shared_ptr<Connection> connection,
                              std::list<std::weak_ptr<Connection>>::iterator place);
  void WaitForSignal();
  void BeginDrain();
  void AbortAll();
  void Stop();
};

Status HttpServer::Impl::Bind() {
  const auto failed = [this](const error_code& error) -> Status {
    const char* hint = error == asio::error::address_in_use ? "; another program listens there, choose another --port"
                       : error == asio::error::access_denied
                           ? "; ports below 1024 need more rights, choose another --port"
                           : "; --host must be an address of this machine";
    return Fail(ErrorCode::kIo,
                fmt::format("cannot listen at {} port {}: {}{}", options.host, options.port, error.message(), hint));
  };
  error_code error;
  const std::string host = options.host == "localhost" ? "127.0.0.1" : options.host;
  const asio::ip::address address = asio::ip::make_address(host, error);
  if (error) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("--host is '{}', but it must be an IP address such as 127.0.0.1, 0.0.0.0 or ::1", options.host));
  }
  endpoint = tcp::endpoint(address, static_cast<uint16_t>(options.port));
  if (acceptor.open(endpoint.protocol(), error); error) return failed(error);
  if (acceptor.set_option(tcp::acceptor::reuse_address(true), error); error) return failed(error);
  if (acceptor.bind(endpoint, error); error) return failed(error);
  if (acceptor.listen(asio::socket_base::max_listen_connections, error); error) return failed(error);
  endpoint = acceptor.local_endpoint(error);
  return {};
}

asio::awaitable<void> HttpServer::Impl::Serve(std::shared_ptr<Connection> connection,
                                              std::list<std::weak_ptr<Connection>>::iterator place) {
  co_await connection->Run();
  connection.reset();
  const std::lock_guard lock(mutex);
  open.erase(place);
  changed.notify_all();
}

asio::awaitable<void> HttpServer::Impl::AcceptLoop() {
  while (acceptor.is_open()) {
    size_t count = 0;
    {
      const std::lock_guard lock(mutex);
      count = open.size();
    }
    if (count < static_cast<size_t>(options.max_connections)) {
      tcp::socket socket(asio::make_strand(io));
      const auto [error] = co_await acceptor.async_accept(socket, kNoThrow);
      if (!error) {
        const auto executor = socket.get_executor();
        auto connection = std::make_shared<Connection>(std::move(socket), context);
        std::list<std::weak_ptr<Connection>>::iterator place;
        {
          const std::lock_guard lock(mutex);
          place = open.insert(open.end(), connection);
        }
        asio::co_spawn(executor, Serve(std::move(connection), place), asio::detached);
        continue;
      }
      if (!acceptor.is_open()) break;
    }
    // Full, or out of descriptors: who waits in the system's queue is served when somebody leaves.
    accept_pause.expires_after(std::chrono::milliseconds(20));
    co_await accept_pause.async_wait(kNoThrow);
  }
}

void HttpServer::Impl::WaitForSignal() {
  signals.async_wait([this](const error_code& error, int number) {
    if (error) return;
    if (on_signal) on_signal(number);
    WaitForSignal();
  });
}

void HttpServer::Impl::AbortAll() {
  const std::lock_guard lock(mutex);
  for (const auto& weak : open) {
    if (const auto connection = weak.lock()) connection->Abort();
  }
}

void HttpServer::Impl::BeginDrain() {
  error_code ignored;
  acceptor.close(ignored);
  accept_pause.cancel();
  {
    const std::lock_guard lock(mutex);
    for (const auto& weak : open) {
      if (const auto connection = weak.lock()) connection->CloseIfIdle();
    }
    drained = true;
    changed.notify_all();
  }
  drain_timer.expires_after(options.drain_timeout);
  drain_timer.async_wait([this](const error_code& error) {
    if (!error) AbortAll();
  });
}

void HttpServer::Impl::Stop() {
  context.draining = true;
  io.stop();
  workers.stop();
  for (std::thread& thread : threads) thread.join();
  threads.clear();
  workers.join();
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  impl_->Stop();
}

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpOptions& options, HttpService& service) {
  RaiseDescriptorLimit();
  if (options.tls_certificate_file.empty() != options.tls_key_file.empty()) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("TLS needs a certificate and its key; give --tls-{} too",
                                                         options.tls_key_file.empty() ? "key" : "cert"));
  }
  std::unique_ptr<asio::ssl::context> tls;
  if (!options.tls_certificate_file.empty()) {
    KV_ASSIGN(tls, MakeTls(options.tls_certificate_file, options.tls_key_file));
  }
  auto impl = std::make_unique<Impl>(options, service, std::move(tls));
  KV_TRY(impl->Bind());
  asio::co_spawn(impl->acceptor.get_executor(), impl->AcceptLoop(), asio::detached);
  for (int i = 0; i < options.io_threads; ++i) {
    impl->threads.emplace_back([raw = impl.get()] {
      const auto work = asio::make_work_guard(raw->io);
      raw->io.run();
    });
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

int HttpServer::port() const {
  return impl_->endpoint.port();
}

bool HttpServer::loopback() const {
  return impl_->endpoint.address().is_loopback();
}

bool HttpServer::secure() const {
  return impl_->tls != nullptr;
}

int HttpServer::connections() const {
  const std::lock_guard lock(impl_->mutex);
  return static_cast<int>(impl_->open.size());
}

void HttpServer::OnSignal(std::function<void(int)> handler) {
  impl_->on_signal = std::move(handler);
  error_code ignored;
  impl_->signals.add(SIGINT, ignored);
  impl_->signals.add(SIGTERM, ignored);
  impl_->WaitForSignal();
}

void HttpServer::Drain() {
  const bool again = impl_->context.draining.exchange(true);
  asio::post(impl_->acceptor.get_executor(),
             [impl = impl_.get(), again] { again ? impl->AbortAll() : impl->BeginDrain(); });
}

void HttpServer::Wait() {
  std::unique_lock lock(impl_->mutex);
  impl_->changed.wait(lock, [this] { return impl_->drained && impl_->open.empty(); });
}

}  // namespace kvasir::server
