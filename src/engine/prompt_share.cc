#include "engine/prompt_share.h"

#include <algorithm>
#include <numeric>

namespace kvasir {

std::vector<int> ShareRows(std::span<const PromptWork> prompts, int room) {
  std::vector<int> rows(prompts.size());
  std::vector<size_t> order(prompts.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) {
    return prompts[a].priority != prompts[b].priority ? prompts[a].priority > prompts[b].priority
                                                      : prompts[a].remaining < prompts[b].remaining;
  });
  for (auto group = order.begin(); group != order.end() && room > 0;) {
    const auto end =
        std::find_if(group, order.end(), [&](size_t i) { return prompts[i].priority != prompts[*group].priority; });
    const auto give = [&](size_t i, int at_most) {
      const int more = std::min({at_most, room, prompts[i].remaining - rows[i]});
      rows[i] += more;
      room -= more;
    };
    give(*std::min_element(group, end), (room + 1) / 2);
    for (; group != end; ++group) give(*group, room);
  }
  return rows;
}

}  // namespace kvasir
