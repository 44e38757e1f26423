// Codecs: how the keys and values of an open page are stored, token by token. One line each in the registry (codec.cc).
// A format that wants to see a whole page (a scale per channel, a codebook) is a CompactStore's.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "kernels/kernels.h"
#include "kvasir/result.h"

namespace kvasir::kvcache {

/// One way to store a page. Stateless; all functions are thread-safe for disjoint pages and allocate nothing.
class Codec {
 public:
  virtual ~Codec() = default;

  /// The name in options and in block identities: "f32", "f16", "q8".
  [[nodiscard]] virtual std::string_view name() const = 0;
  [[nodiscard]] virtual kernels::PageFormat format() const = 0;
  /// Bytes of a page of 64 tokens of `head_dim` features.
  [[nodiscard]] virtual size_t PageBytes(int head_dim) const = 0;

  /// Stores key and value [D] of one token.
  virtual void Store(const kernels::KernelTable& table, std::byte* page, int head_dim, int slot, const float* key,
                     const float* value) const = 0;
  /// Stores a full page: keys, values [64][D].
  void Encode(const kernels::KernelTable& table, std::byte* page, int head_dim, const float* keys,
              const float* values) const;
  /// Reads one token back.
  virtual void Load(const kernels::KernelTable& table, const std::byte* page, int head_dim, int slot, float* key,
                    float* value) const = 0;
};

/// All codecs of this build.
[[nodiscard]] std::span<const Codec* const> Codecs();
/// The codec called `name`, or kInvalidArgument with the names there are.
[[nodiscard]] Result<const Codec*> FindCodec(std::string_view name);
/// The codec of a page format that the kernels read natively.
[[nodiscard]] const Codec& NativeCodec(kernels::PageFormat format);

}  // namespace kvasir::kvcache
