// Codecs: how the 64 keys and values of a page are stored. One file per codec, one line in the registry (codec.cc).
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

  /// Whether tokens can be stored one by one. A codec that looks at a whole page (a scale per channel, a codebook) says
  /// no: it is used for sealed pages only, through Encode.
  [[nodiscard]] virtual bool appends() const = 0;
  /// Stores key and value [D] of one token. Only where appends().
  virtual void Store(const kernels::KernelTable& table, std::byte* page, int head_dim, int slot, const float* key,
                     const float* value) const = 0;
  /// Stores a full page at once: keys, values [64][D].
  virtual void Encode(const kernels::KernelTable& table, std::byte* page, int head_dim, const float* keys,
                      const float* values) const;
  /// Reads one token back.
  virtual void Load(const kernels::KernelTable& table, const std::byte* page, int head_dim, int slot, float* key,
                    float* value) const = 0;
  /// Attention over pages of this codec, with the contract of KernelTable::attend.
  virtual void Attend(const kernels::KernelTable& table, const kernels::AttendArgs& args) const = 0;
};

/// All codecs of this build.
[[nodiscard]] std::span<const Codec* const> Codecs();
/// The codec called `name`, or kInvalidArgument with the names there are.
[[nodiscard]] Result<const Codec*> FindCodec(std::string_view name);
/// The codec of a page format that the kernels read natively.
[[nodiscard]] const Codec& NativeCodec(kernels::PageFormat format);

}  // namespace kvasir::kvcache
