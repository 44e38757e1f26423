#include "engine/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace kvasir {
namespace {

// The length of the longest suffix of `text` that is a proper prefix of `stop`.
size_t OpenPrefix(std::string_view text, std::string_view stop) {
  for (size_t length = std::min(text.size(), stop.size() - 1); length > 0; --length) {
    if (text.substr(text.size() - length) == stop.substr(0, length)) return length;
  }
  return 0;
}

}  // namespace

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase_if(stops_, [](const std::string& stop) { return stop.empty(); });
}

std::string StopMatcher::Push(std::string_view piece) {
  if (stopped()) return "";
  held_ += piece;
  size_t end = std::string::npos;  // of the match
  size_t open = 0;
  for (const std::string& stop : stops_) {
    const size_t found = held_.find(stop);
    const size_t found_end = found == std::string::npos ? found : found + stop.size();
    if (found_end < end || (found_end == end && found != std::string::npos && stop.size() > match_.size())) {
      end = found_end;
      match_ = stop;
    }
    open = std::max(open, OpenPrefix(held_, stop));
  }
  if (stopped()) {
    held_.resize(end - match_.size());
    return std::exchange(held_, "");
  }
  std::string ready = held_.substr(0, held_.size() - open);
  held_.erase(0, ready.size());
  return ready;
}

std::string StopMatcher::Flush() {
  return std::exchange(held_, "");
}

}  // namespace kvasir
