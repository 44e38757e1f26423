// The caches that are tried where nobody says which. Fewer bits than the last ones of each kind were useless wherever
// they were measured, and more than the first ones lose nothing that can be measured (docs/choosing-a-cache.md).
#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/check.h"
#include "kvasir/tune.h"

namespace kvasir {

std::vector<KvSpec> TuneCandidates(bool layers) {
  std::vector<const char*> texts = {"f16", "q8", "ch5", "k=ch5,v=ch4", "ch4", "k=ch4,v=ch3", "ch3", "ch2"};
  if (layers) {
    for (const char* bits : {"auto:4.5bits", "auto:4bits", "auto:3.5bits", "auto:3bits", "auto:2.5bits"}) {
      texts.push_back(bits);
    }
  }
  std::vector<KvSpec> caches;
  for (const char* text : texts) {
    auto spec = ParseKvSpec(text);
    KV_CHECK(spec.has_value());
    caches.push_back(*std::move(spec));
  }
  return caches;
}

Result<std::vector<KvSpec>> EvictingCandidates(const std::string& name) {
  std::vector<KvSpec> caches;
  for (const char* stored : {"q8", "ch4"}) {
    for (const char* budget : {"50%", "25%"}) {
      KV_ASSIGN(KvSpec spec, ParseKvSpec(fmt::format("{},evict={},budget={}", stored, name, budget)));
      caches.push_back(std::move(spec));
    }
  }
  return caches;
}

}  // namespace kvasir
