// The formats that the kernels read as they are: floats, and bytes with scales. Tokens are stored one by one.
#include <array>

#include "kvcache/codec.h"

namespace kvasir::kvcache {
namespace {

class Native final : public Codec {
 public:
  constexpr Native(kernels::PageFormat format, std::string_view name) : format_(format), name_(name) {}

  std::string_view name() const override { return name_; }
  kernels::PageFormat format() const override { return format_; }
  size_t PageBytes(int head_dim) const override { return kernels::PageBytes(format_, head_dim); }
  void Store(const kernels::KernelTable& table, std::byte* page, int head_dim, int slot, const float* key,
             const float* value) const override {
    table.store_kv[index()](page, head_dim, slot, key, value);
  }
  void Load(const kernels::KernelTable& table, const std::byte* page, int head_dim, int slot, float* key,
            float* value) const override {
    table.load_kv[index()](page, head_dim, slot, key, value);
  }

 private:
  size_t index() const { return static_cast<size_t>(format_); }
  kernels::PageFormat format_;
  std::string_view name_;
};

}  // namespace

const Codec& NativeCodec(kernels::PageFormat format) {
  static const std::array<Native, kernels::kNumPageFormats> codecs = {
      Native{kernels::PageFormat::kF32, "f32"},       Native{kernels::PageFormat::kF16, "f16"},
      Native{kernels::PageFormat::kQ8, "q8"},         Native{kernels::PageFormat::kE4M3, "fp8_e4m3"},
      Native{kernels::PageFormat::kE5M2, "fp8_e5m2"},
  };
  return codecs[static_cast<size_t>(format)];
}

}  // namespace kvasir::kvcache
