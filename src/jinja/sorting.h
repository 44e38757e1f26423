// A stable sort whose comparison may fail, as Python's may: 1 < "a" raises.
#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "base/check.h"
#include "jinja/operators.h"
#include "jinja/runtime.h"
#include "jinja/value.h"

namespace kvasir::jinja {

/// Sorts `items` by the Value that `key` (a member or a function) gives for each; equal keys keep their order, also
/// when `descending`. A merge sort of our own: std::stable_sort is undefined for a comparison that is no order (NaN)
/// and cannot stop at an error. Errors: keys that cannot be compared; then the order of `items` is unspecified.
template <typename T, typename Key>
[[nodiscard]] Status SortBy(Runtime& runtime, std::vector<T>& items, Key key, bool descending) {
  std::vector<T> merged(items.size());
  for (size_t width = 1; width < items.size(); width *= 2) {
    for (size_t begin = 0; begin < items.size(); begin += 2 * width) {
      const size_t middle = std::min(begin + width, items.size());
      const size_t end = std::min(begin + 2 * width, items.size());
      size_t left = begin;
      size_t right = middle;
      for (size_t out = begin; out < end; ++out) {
        bool take_right = left == middle;
        if (!take_right && right < end) {
          const Value& a = std::invoke(key, items[left]);
          const Value& b = std::invoke(key, items[right]);
          KV_ASSIGN(take_right, descending ? Less(runtime, a, b) : Less(runtime, b, a));
        }
        merged[out] = std::move(items[take_right ? right++ : left++]);
      }
    }
    items.swap(merged);
  }
  return {};
}

}  // namespace kvasir::jinja
