#include "kvcache/eviction_policies.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace kvasir::kvcache {
namespace {

constexpr int kRecentTokens = 64;

}  // namespace

int EvictionPolicy::Recent(int /*budget*/) const {
  return kRecentTokens;
}

int EvictionPolicy::LayerBudget(int budget, int32_t /*length*/, int /*index*/, int /*layers*/) const {
  return budget;
}

void EvictionPolicy::Agree(std::span<std::vector<float>> /*heads*/) const {}

std::vector<int> EvictionPolicy::DivideHeads(std::span<const std::vector<float>> heads, int each) const {
  return std::vector<int>(heads.size(), each);
}

std::span<const EvictionPolicy* const> EvictionPolicies() {
  static const std::array kPolicies = {
      &StreamingEviction(), &RecentEviction(),  &RandomEviction(),    &H2oEviction(),
      &TovaEviction(),      &SnapKvEviction(),  &PyramidKvEviction(), &AdaKvEviction(),
      &KeyNormEviction(),   &KeyDiffEviction(), &ExpectedEviction(),
  };
  return kPolicies;
}

Result<const EvictionPolicy*> FindEvictionPolicy(std::string_view name) {
  const auto policies = EvictionPolicies();
  const auto found = std::ranges::find(policies, name, &EvictionPolicy::name);
  if (found != policies.end()) return *found;
  return Fail(ErrorCode::kNotFound,
              fmt::format("no eviction policy is called '{}': there are {}", name, EvictionPolicyNames()));
}

std::string EvictionPolicyNames() {
  std::string names;
  for (const EvictionPolicy* policy : EvictionPolicies()) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", policy->name());
  }
  return names;
}

}  // namespace kvasir::kvcache
