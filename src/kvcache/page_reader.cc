#include "kvcache/page_reader.h"

#include <span>

#include "base/check.h"
#include "kvcache/codec.h"

namespace kvasir::kvcache {

using kernels::kPageTokens;

void PageReader::Append(int layer, int kv_head, const kernels::PageRef& page, std::vector<float>* keys,
                        std::vector<float>* values) const {
  KV_CHECK(page.count >= 0 && page.count <= kPageTokens);
  const auto d = static_cast<size_t>(head_dim);
  const auto count = static_cast<size_t>(page.count);
  const size_t key_begin = keys->size();
  const size_t value_begin = values->size();
  const size_t read = page.compact ? kPageTokens : count;  // a compact page is decoded as a whole
  keys->resize(key_begin + read * d);
  values->resize(value_begin + read * d);
  if (page.compact) {
    KV_CHECK(compact != nullptr);
    compact->Decode(layer, kv_head, page.first_position, page.data, std::span(*keys).subspan(key_begin),
                    std::span(*values).subspan(value_begin));
    keys->resize(key_begin + count * d);
    values->resize(value_begin + count * d);
    return;
  }
  const Codec& codec = NativeCodec(open);
  const kernels::KernelTable& table = kernels::TableOf(kernels::ChosenIsa());
  for (size_t slot = 0; slot < count; ++slot) {
    codec.Load(table, page.data, head_dim, static_cast<int>(slot), keys->data() + key_begin + slot * d,
               values->data() + value_begin + slot * d);
  }
}

}  // namespace kvasir::kvcache
