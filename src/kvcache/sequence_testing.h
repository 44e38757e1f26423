// For tests of sequences: stands in for the forward pass. It writes, into every layer and head, keys and values that
// say which token they belong to, and reads them back through the view.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kvcache/kv_sequence.h"

namespace kvasir::kvcache {

/// A token as the tests know it. `serial` says which write it was, so that a page that should have been copied shows.
struct KnownToken {
  int32_t id = 0;
  int32_t serial = 0;
  friend bool operator==(const KnownToken&, const KnownToken&) = default;
};

/// The rotation of the tests: the first feature of a key is its position.
inline void AddToPosition(int /*layer*/, float* key, int32_t delta) {
  key[0] += static_cast<float>(delta);
}

/// Compact pages that hold what the tests look at: the first two features of keys and values. `position_free`: the
/// first feature of a key, which is its position, is stored as if the page began at 0.
class CompactStoreForTest final : public CompactStore {
 public:
  CompactStoreForTest(const CompactRule& rule, bool position_free)
      : CompactStore(rule), position_free_(position_free) {}
  std::string identity() const override { return "test"; }
  size_t PageBytes(int /*layer*/) const override { return kernels::kPageTokens * sizeof(Token); }
  std::span<const kernels::CompactFormat> formats() const override { return {}; }  // no kernel reads them
  bool position_free(int /*layer*/) const override { return position_free_; }
  void Encode(int /*layer*/, int /*kv_head*/, int32_t first_position, std::span<const float> keys,
              std::span<const float> values, std::byte* page) const override {
    auto* tokens = reinterpret_cast<Token*>(page);
    const size_t d = keys.size() / kernels::kPageTokens;
    const auto origin = static_cast<float>(position_free_ ? first_position : 0);
    for (size_t slot = 0; slot < kernels::kPageTokens; ++slot) {
      tokens[slot] = {keys[slot * d] - origin, keys[slot * d + 1], values[slot * d], values[slot * d + 1]};
    }
  }
  void Decode(int /*layer*/, int /*kv_head*/, int32_t first_position, const std::byte* page, std::span<float> keys,
              std::span<float> values) const override {
    const auto* tokens = reinterpret_cast<const Token*>(page);
    const size_t d = keys.size() / kernels::kPageTokens;
    const auto origin = static_cast<float>(position_free_ ? first_position : 0);
    std::ranges::fill(keys, 0.0f);
    std::ranges::fill(values, 0.0f);
    for (size_t slot = 0; slot < kernels::kPageTokens; ++slot) {
      keys[slot * d] = tokens[slot].key[0] + origin;
      keys[slot * d + 1] = tokens[slot].key[1];
      values[slot * d] = tokens[slot].value[0];
      values[slot * d + 1] = tokens[slot].value[1];
    }
  }

 private:
  struct Token {
    float key[2];
    float value[2];
  };
  bool position_free_;
};

/// Writes the step in progress; tokens[i] describes the i-th new token.
inline void WriteStep(const KvSequence& sequence, std::span<const KnownToken> tokens) {
  const KvView view = sequence.View();
  const auto store = kernels::TableOf(kernels::Isa::kRef).store_kv[static_cast<size_t>(view.format)];
  ASSERT_EQ(static_cast<size_t>(view.num_new), tokens.size());
  std::vector<float> key(static_cast<size_t>(view.head_dim)), value(key.size());
  for (int layer = 0; layer < view.num_layers; ++layer) {
    for (int head = 0; head < view.num_kv_heads; ++head) {
      for (int i = 0; i < view.num_new; ++i) {
        key[0] = static_cast<float>(view.first_new_position + i);
        key[1] = static_cast<float>(tokens[static_cast<size_t>(i)].id);
        value[0] = static_cast<float>(tokens[static_cast<size_t>(i)].serial);
        value[1] = static_cast<float>(100 * layer + head);
        const WriteSlot slot = view.slot(layer, head, i);
        store(slot.page, view.head_dim, slot.slot, key.data(), value.data());
      }
    }
  }
}

/// How far what is read back may be from what was written. The rounding of a block to 8 bits is up to half a step of
/// its largest element, which is a position or a serial number of at most a few thousand here, once per write and once
/// per context shift: no farther than a few dozen, where a page in the wrong place would be off by 64 or more.
inline float ReadBackError(kernels::PageFormat format) {
  return format == kernels::PageFormat::kQ8 ? 48.0f : 0.0f;
}

/// Expects every held token to be the known one at its place, and every position that a query at the end sees to be
/// held. `complete` is false after a context shift, when a layer with a window may lack earlier positions.
/// `codec_error`: how far a codec of compact pages may move what is read back, beside ReadBackError.
inline void ExpectContents(const KvSequence& sequence, std::span<const KnownToken> tokens, bool complete = true,
                           float codec_error = 0) {
  ASSERT_EQ(static_cast<size_t>(sequence.length()), tokens.size());
  for (size_t i = 0; i < tokens.size(); ++i) ASSERT_EQ(sequence.tokens()[i], tokens[i].id);
  const KvView view = sequence.View();
  const float error = ReadBackError(view.format) + codec_error;
  const auto load = kernels::TableOf(kernels::Isa::kRef).load_kv[static_cast<size_t>(view.format)];
  std::vector<float> key(static_cast<size_t>(view.head_dim)), value(key.size());
  for (int layer = 0; layer < view.num_layers; ++layer) {
    for (int head = 0; head < view.num_kv_heads; ++head) {
      const auto refs = view.pages(layer, head).refs;
      int32_t next = sequence.length() == 0 || refs.empty() ? sequence.length() : refs.front().first_position;
      if (complete) {
        ASSERT_LE(next, FirstVisible(sequence.committed(), sequence.shape().window(layer)));
      }
      for (const kernels::PageRef& page : refs) {
        ASSERT_EQ(page.first_position, next);
        std::vector<float> keys, values;
        if (page.compact) {
          keys.resize(kernels::kPageTokens * key.size());
          values.resize(keys.size());
          sequence.options().compact->Decode(layer, head, page.first_position, page.data, keys, values);
        }
        for (int slot = 0; slot < page.count; ++slot, ++next) {
          if (page.compact) {
            const auto at = static_cast<std::ptrdiff_t>(key.size()) * slot;
            std::copy_n(keys.begin() + at, key.size(), key.begin());
            std::copy_n(values.begin() + at, key.size(), value.begin());
          } else {
            load(page.data, view.head_dim, slot, key.data(), value.data());
          }
          const KnownToken& token = tokens[static_cast<size_t>(next)];
          ASSERT_NEAR(key[0], static_cast<float>(next), error) << "layer " << layer << " position " << next;
          ASSERT_NEAR(key[1], static_cast<float>(token.id), error);
          ASSERT_NEAR(value[0], static_cast<float>(token.serial), error) << "layer " << layer << " position " << next;
          ASSERT_NEAR(value[1], static_cast<float>(100 * layer + head), error);
        }
      }
      ASSERT_EQ(next, sequence.length());
    }
  }
}

}  // namespace kvasir::kvcache
