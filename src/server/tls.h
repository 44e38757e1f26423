// The server's certificate.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>

#include "kvasir/result.h"

namespace kvasir::server {

/// What TLS connections are opened with: TLS 1.2 or newer, the certificate (with those that lead to its issuer) and its
/// key, both PEM. Errors name the file and what is wrong with it: it cannot be read, it holds no certificate or key,
/// the key has a password, the two do not belong together.
[[nodiscard]] Result<std::unique_ptr<boost::asio::ssl::context>> MakeTls(const std::string& certificate_file,
                                                                         const std::string& key_file);

}  // namespace kvasir::server
