// The distance is Damerau's with the restriction that no part is edited twice ("optimal string alignment"): a row of
// the table depends on the two rows before it, so three rows are kept. Names are short, so nothing faster is needed.
#include "base/nearest.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace kvasir::base {

int EditDistance(std::string_view a, std::string_view b) {
  std::vector<int> before(b.size() + 1);
  std::vector<int> previous(b.size() + 1);
  std::vector<int> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    before.swap(previous);
    previous.swap(row);
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replace = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({replace, previous[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::optional<std::string> Nearest(std::string_view typed, std::span<const std::string> known) {
  const std::string* best = nullptr;
  // A third of the letters may be wrong; a typed beginning of a name counts as near, whatever is missing.
  int best_distance = static_cast<int>(std::max<size_t>(1, typed.size() / 3)) + 1;
  for (const std::string& name : known) {
    const bool is_beginning = typed.size() >= 2 && name.starts_with(typed);
    const int distance = is_beginning ? 0 : EditDistance(typed, name);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = &name;
  }
  if (best == nullptr) return std::nullopt;
  return *best;
}

}  // namespace kvasir::base
