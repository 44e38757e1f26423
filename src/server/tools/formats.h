// The formats of calls that are known. A new one: a file in formats/, a line here, and one in formats.cc.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "server/tools/call_format.h"

namespace kvasir::server {

[[nodiscard]] std::unique_ptr<CallFormat> MakeApertusFormat();
[[nodiscard]] std::unique_ptr<CallFormat> MakeCommandRFormat();
[[nodiscard]] std::unique_ptr<CallFormat> MakeDeepSeekFormat();
[[nodiscard]] std::unique_ptr<CallFormat> MakeDeepSeekR1Format();
[[nodiscard]] std::unique_ptr<CallFormat> MakeGlmFormat();
[[nodiscard]] std::unique_ptr<CallFormat> MakeGraniteFormat();
[[nodiscard]] std::unique_ptr<CallFormat> MakeHarmonyFormat();
[[nodiscard]] std::unique_ptr<CallFormat> MakeHermesFormat();
[[nodiscard]] std::unique_ptr<CallFormat> MakeKimiFormat();
[[nodiscard]] std::unique_ptr<CallFormat> MakeLfm2Format();
[[nodiscard]] std::unique_ptr<CallFormat> MakeLlama3Format();
[[nodiscard]] std::unique_ptr<CallFormat> MakeMiniMaxFormat();
[[nodiscard]] std::unique_ptr<CallFormat> MakeMistralFormat();
[[nodiscard]] std::unique_ptr<CallFormat> MakeMistralNamedFormat();
[[nodiscard]] std::unique_ptr<CallFormat> MakeQwen3CoderFormat();
[[nodiscard]] std::unique_ptr<CallFormat> MakeSeedFormat();
[[nodiscard]] std::unique_ptr<CallFormat> MakeGenericFormat();

/// Those that templates are recognised by, the more particular first.
[[nodiscard]] std::span<const std::unique_ptr<CallFormat>> CallFormats();
/// For models of which nothing is known.
[[nodiscard]] const CallFormat& GenericFormat();

/// The format of the models with this chat template.
[[nodiscard]] const CallFormat& FormatOf(std::string_view chat_template);

}  // namespace kvasir::server
