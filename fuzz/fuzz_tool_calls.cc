// libFuzzer target: any bytes as an answer in which a model calls functions.
//
// The first line names the format (what names none stands for one of them all the same). What follows the last line
// "---" chooses how the answer is cut into pieces: each byte is a length, over and over. Whatever comes, in one piece,
// byte by byte or cut in that way: the events are the same, calls are well nested, and an answer without calls comes
// out as it went in. Calls are then written down again, as the server does with those of earlier answers.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <string_view>
#include <vector>

#include "server/tools/calls_testing.h"
#include "server/tools/formats.h"

namespace {

using kvasir::server::CallEvent;
using kvasir::server::CallEvents;
using kvasir::server::CallFormat;
using kvasir::server::EventsOf;
using kvasir::server::ToolCall;

constexpr std::string_view kSeparator = "\n---\n";
constexpr size_t kLongestPiece = 32;

const CallFormat& FormatCalled(std::string_view name) {
  const auto formats = kvasir::server::CallFormats();
  for (const auto& format : formats) {
    if (format->name() == name) return *format;
  }
  const size_t sum = std::accumulate(name.begin(), name.end(), size_t{0},
                                     [](size_t before, char c) { return before + static_cast<uint8_t>(c); });
  return sum % (formats.size() + 1) == formats.size() ? kvasir::server::GenericFormat()
                                                      : *formats[sum % (formats.size() + 1)];
}

std::vector<size_t> CutsOf(std::string_view lengths, size_t size) {
  std::vector<size_t> cuts;
  size_t at = 0;
  for (size_t i = 0; !lengths.empty(); i = (i + 1) % lengths.size()) {
    at += 1 + static_cast<uint8_t>(lengths[i]) % kLongestPiece;
    if (at >= size) break;
    cuts.push_back(at);
  }
  return cuts;
}

[[noreturn]] void Die(const CallFormat& format, std::string_view fault, const CallEvents& events) {
  std::fprintf(stderr, "%s: %.*s\n", format.name().c_str(), static_cast<int>(fault.size()), fault.data());
  for (const CallEvent& event : events) {
    std::fprintf(stderr, "  %d <%s>\n", static_cast<int>(event.kind), event.text.c_str());
  }
  std::abort();
}

std::vector<ToolCall> CallsOf(const CallEvents& events) {
  std::vector<ToolCall> calls;
  for (const CallEvent& event : events) {
    if (event.kind == CallEvent::Kind::kBegin) calls.push_back({.name = event.text, .arguments = ""});
    if (event.kind == CallEvent::Kind::kArguments) calls.back().arguments += event.text;
  }
  return calls;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = input.find('\n');
  if (line == std::string_view::npos) return 0;
  const CallFormat& format = FormatCalled(input.substr(0, line));
  std::string_view text = input.substr(line + 1);
  std::string_view lengths;
  if (const size_t separator = text.rfind(kSeparator); separator != std::string_view::npos) {
    lengths = text.substr(separator + kSeparator.size());
    text = text.substr(0, separator);
  }
  const CallEvents whole = EventsOf(format, text, {});
  if (const std::string fault = FaultOf(format, whole, text); !fault.empty()) Die(format, fault, whole);
  const CallEvents bytes = EventsOf(format, text, CutsOf(std::string_view("\0", 1), text.size()));
  if (bytes != whole) Die(format, "byte by byte it is something else", bytes);
  const CallEvents pieces = EventsOf(format, text, CutsOf(lengths, text.size()));
  if (pieces != whole) Die(format, "in pieces it is something else", pieces);
  (void)format.Write(CallsOf(whole));
  return 0;
}
