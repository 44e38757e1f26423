#include "kvcache/block.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cstring>
#include <string_view>

#include "base/check.h"
#include "kvcache/codec.h"

namespace kvasir::kvcache {
namespace {

// The bytes that are hashed: little-endian integers and length-prefixed strings, so that no two inputs look alike and a
// hash means the same on every machine.
class Material {
 public:
  void Add(uint64_t value) {
    for (int i = 0; i < 8; ++i) bytes_.push_back(static_cast<char>(value >> (8 * i)));
  }
  void Add(const BlockHash& hash) {
    Add(hash.low);
    Add(hash.high);
  }
  void Add(std::string_view text) {
    Add(text.size());
    bytes_.append(text);
  }
  [[nodiscard]] BlockHash Hash() const {
    const XXH128_hash_t hash = XXH3_128bits(bytes_.data(), bytes_.size());
    return {.low = hash.low64, .high = hash.high64};
  }

 private:
  std::string bytes_;
};

}  // namespace

std::string BlockHash::ToString() const {
  return fmt::format("{:016x}{:016x}", high, low);
}

BlockHash RootHash(const KvOptions& options, const KvShape& shape) {
  Material material;
  material.Add("kvasir block 1");
  material.Add(NativeCodec(options.format).name());
  if (options.compact != nullptr) material.Add(options.compact->identity());
  for (const int number : {shape.layers, shape.kv_heads, shape.head_dim}) material.Add(static_cast<uint64_t>(number));
  for (int layer = 0; layer < shape.layers; ++layer) material.Add(static_cast<uint64_t>(shape.window(layer)));
  material.Add(options.model_fingerprint);
  material.Add(options.position_salt);
  material.Add(options.tenant_salt);
  return material.Hash();
}

BlockOrigin OriginAfterShift(const BlockOrigin& old, const BlockHash& old_parent, int32_t delta, int32_t moved_tokens) {
  Material material;
  material.Add("shift");
  material.Add(old_parent);
  material.Add(old.seen);
  material.Add(static_cast<uint64_t>(old.moved_tokens));
  material.Add(static_cast<uint64_t>(delta));
  return {.seen = material.Hash(), .moved_tokens = moved_tokens};
}

BlockHash ChainHash(const BlockHash& parent, std::span<const int32_t> tokens, const BlockOrigin& origin) {
  KV_CHECK(tokens.size() == kernels::kPageTokens);
  Material material;
  material.Add("tokens");
  material.Add(parent);
  for (const int32_t token : tokens) material.Add(static_cast<uint64_t>(token));
  if (origin.moved_tokens > 0) {
    material.Add(origin.seen);
    material.Add(static_cast<uint64_t>(origin.moved_tokens));
  }
  return material.Hash();
}

}  // namespace kvasir::kvcache
