// Who may ask: API keys, and the checks that keep web pages of other sites out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kvasir/result.h"
#include "server/api_error.h"
#include "server/http_message.h"

namespace kvasir::server {

struct ApiKey {
  std::string name;  ///< What logs and the queue call its holder.
  std::string key;
  int max_priority = 0;  ///< Of its requests.
};

/// Reads a key file: a line is KEY or NAME KEY, perhaps with priority=N behind it, and '#' begins a comment. Keys have
/// at least 8 characters. Errors name the file and the line, never the key.
[[nodiscard]] Result<std::vector<ApiKey>> ParseKeyFile(std::string_view text, std::string_view file);

/// Whether two texts are equal, in a time that depends on their lengths only.
[[nodiscard]] bool ConstantTimeEqual(std::string_view a, std::string_view b);

/// Decides about a request by its header alone.
class Access {
 public:
  struct Options {
    std::vector<ApiKey> keys;                  ///< Empty: everybody may.
    std::vector<std::string> allowed_origins;  ///< "https://chat.example.org"; "*" is any.
    std::vector<std::string> allowed_hosts;    ///< Names by which clients may call this machine.
    bool loopback = true;                      ///< The server listens on a loopback address.
  };
  explicit Access(Options options) : options_(std::move(options)) {}

  /// The Host must be this machine or an allowed name: a page that made its own name resolve here (DNS rebinding) has
  /// another. Where the server listens for other machines too, any address passes (a page has a name), and any name
  /// where keys protect it and no names were given. An Origin must be the server's own or an allowed one. 403
  /// otherwise.
  [[nodiscard]] ApiStatus CheckSource(const HttpRequest& request) const;
  /// The key in "authorization: Bearer KEY", "x-api-key: KEY" or as the password of Basic (which lets a browser ask for
  /// it); null where the server has no keys. 401 otherwise. Every key is compared, always.
  [[nodiscard]] ApiResult<const ApiKey*> CheckKey(const HttpRequest& request) const;
  /// What tells a browser that the page which asked may read the answer; empty for other pages.
  [[nodiscard]] Headers CorsHeaders(const HttpRequest& request) const;

 private:
  [[nodiscard]] bool MayBeCalled(std::string_view host) const;

  Options options_;
};

}  // namespace kvasir::server
