// The registry of codecs: an explicit list, so that what a build contains can be read here and needs no start-up magic.
#include "kvcache/codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

namespace kvasir::kvcache {

void Codec::Encode(const kernels::KernelTable& table, std::byte* page, int head_dim, const float* keys,
                   const float* values) const {
  for (int slot = 0; slot < kernels::kPageTokens; ++slot) {
    const size_t at = static_cast<size_t>(slot) * static_cast<size_t>(head_dim);
    Store(table, page, head_dim, slot, keys + at, values + at);
  }
}

std::span<const Codec* const> Codecs() {
  static const std::array<const Codec*, kernels::kNumPageFormats> codecs = {
      &NativeCodec(kernels::PageFormat::kF32),  &NativeCodec(kernels::PageFormat::kF16),
      &NativeCodec(kernels::PageFormat::kQ8),   &NativeCodec(kernels::PageFormat::kE4M3),
      &NativeCodec(kernels::PageFormat::kE5M2),
  };
  return codecs;
}

Result<const Codec*> FindCodec(std::string_view name) {
  const auto codecs = Codecs();
  const auto found = std::ranges::find(codecs, name, [](const Codec* codec) { return codec->name(); });
  if (found != codecs.end()) return *found;
  std::string known;
  for (const Codec* codec : codecs) known += fmt::format("{}{}", known.empty() ? "" : ", ", codec->name());
  return Fail(ErrorCode::kInvalidArgument, fmt::format("no cache codec is called '{}': there are {}", name, known));
}

}  // namespace kvasir::kvcache
