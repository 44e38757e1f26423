#include "server/tools/formats.h"

#include <algorithm>
#include <array>

namespace kvasir::server {

std::span<const std::unique_ptr<CallFormat>> CallFormats() {
  // The first whose signs are all there counts, so what has more signs stands before what has some of them.
  static const auto kFormats = std::to_array<std::unique_ptr<CallFormat>>({
      MakeHarmonyFormat(),
      MakeMistralNamedFormat(),
      MakeMistralFormat(),
      MakeDeepSeekR1Format(),
      MakeDeepSeekFormat(),
      MakeKimiFormat(),
      MakeCommandRFormat(),
      MakeMiniMaxFormat(),
      MakeSeedFormat(),
      MakeQwen3CoderFormat(),
      MakeGlmFormat(),
      MakeApertusFormat(),
      MakeLfm2Format(),
      MakeGraniteFormat(),
      MakeLlama3Format(),
      MakeHermesFormat(),
  });
  return kFormats;
}

const CallFormat& GenericFormat() {
  static const std::unique_ptr<CallFormat> kGeneric = MakeGenericFormat();
  return *kGeneric;
}

const CallFormat& FormatOf(std::string_view chat_template) {
  for (const auto& format : CallFormats()) {
    if (format->Recognises(chat_template)) return *format;
  }
  return GenericFormat();
}

}  // namespace kvasir::server
