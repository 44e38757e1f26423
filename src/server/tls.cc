#include "server/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509err.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/check.h"

namespace kvasir::server {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

Status CheckReadable(const char* flag, const std::string& file) {
  errno = 0;
  const std::ifstream stream(file, std::ios::binary);
  if (stream && stream.rdbuf()->is_open()) return {};
  return Fail(ErrorCode::kNotFound, fmt::format("{} {} cannot be read: {}", flag, file, std::strerror(errno)));
}

Status Unusable(const char* flag, const std::string& file, const char* expected, const error_code& error) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("{} {} is not usable: it must be {} ({})", flag, file, expected, error.message()));
}

}  // namespace

Result<std::unique_ptr<ssl::context>> MakeTls(const std::string& certificate_file, const std::string& key_file) {
  KV_TRY(CheckReadable("--tls-cert", certificate_file));
  KV_TRY(CheckReadable("--tls-key", key_file));
  auto context = std::make_unique<ssl::context>(ssl::context::tls_server);
  error_code error;
  context->set_options(ssl::context::default_workarounds | ssl::context::no_sslv2 | ssl::context::no_sslv3 |
                           ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1 | ssl::context::no_compression,
                       error);
  if (error) return Fail(ErrorCode::kIo, fmt::format("TLS cannot be set up: {}", error.message()));
  // A server that waits at a terminal for a password would never come up by itself.
  context->set_password_callback([](size_t, ssl::context::password_purpose) { return std::string(); }, error);
  context->use_certificate_chain_file(certificate_file, error);
  if (error) {
    KV_TRY(Unusable("--tls-cert", certificate_file, "a certificate in PEM, followed by those that lead to its issuer",
                    error));
  }
  context->use_private_key_file(key_file, ssl::context::pem, error);
  if (error) {
    const bool other = ERR_GET_REASON(static_cast<unsigned long>(error.value())) == X509_R_KEY_VALUES_MISMATCH;
    KV_TRY(Unusable("--tls-key", key_file,
                    other ? "the key of the certificate in --tls-cert" : "a private key in PEM without a password",
                    error));
  }
  return context;
}

}  // namespace kvasir::server
