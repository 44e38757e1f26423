// How the server awaits.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace kvasir::server {

/// co_await gives the error beside the result, instead of throwing it: a client that leaves is nothing unusual.
inline constexpr auto kNoThrow = boost::asio::as_tuple(boost::asio::use_awaitable);

}  // namespace kvasir::server
