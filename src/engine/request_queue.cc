#include "engine/request_queue.h"

#include <algorithm>

#include "base/check.h"

namespace kvasir {

bool QueueHasPlace(std::string_view tenant, int own, int waiting, int places) {
  const int free = places - waiting;
  if (free <= 0) return false;
  return tenant.empty() || own == 0 || own + 1 <= 3 * (free - 1);
}

int QueuePlacesOf(std::string_view tenant, int places) {
  // x = 3 * (places - x)
  return tenant.empty() ? places : std::max(1, places - (places + 3) / 4);
}

void RequestQueue::Push(Item item) {
  const auto later = std::ranges::find_if(items_, [&](const Item& other) { return other->id > item->id; });
  items_.insert(later, std::move(item));
}

bool RequestQueue::Before(const ScheduledRequest& a, const ScheduledRequest& b) const {
  if (a.submission.priority != b.submission.priority) return a.submission.priority > b.submission.priority;
  const int64_t served_a = tenants_.at(a.submission.tenant).served;
  const int64_t served_b = tenants_.at(b.submission.tenant).served;
  return served_a != served_b ? served_a < served_b : a.id < b.id;
}

ScheduledRequest* RequestQueue::Next() const {
  ScheduledRequest* best = nullptr;
  for (const Item& item : items_) {
    if (!item->passed_over && (best == nullptr || Before(*item, *best))) best = item.get();
  }
  return best;
}

RequestQueue::Item RequestQueue::Take(ScheduledRequest* request) {
  const auto found = std::ranges::find_if(items_, [&](const Item& item) { return item.get() == request; });
  KV_CHECK(found != items_.end());
  Item item = std::move(*found);
  items_.erase(found);
  return item;
}

std::vector<RequestQueue::Item> RequestQueue::TakeIf(const std::function<bool(const ScheduledRequest&)>& predicate) {
  const auto kept =
      std::stable_partition(items_.begin(), items_.end(), [&](const Item& item) { return !predicate(*item); });
  std::vector<Item> taken(std::make_move_iterator(kept), std::make_move_iterator(items_.end()));
  items_.erase(kept, items_.end());
  return taken;
}

void RequestQueue::Enter(const std::string& tenant) {
  const auto [entry, is_new] = tenants_.try_emplace(tenant);
  ++entry->second.present;
  if (!is_new) return;
  int64_t least = floor_;
  bool alone = true;
  for (const auto& [name, other] : tenants_) {
    if (name == tenant) continue;
    least = alone ? other.served : std::min(least, other.served);
    alone = false;
  }
  entry->second.served = least;
}

void RequestQueue::Leave(const std::string& tenant) {
  const auto entry = tenants_.find(tenant);
  KV_CHECK(entry != tenants_.end());
  if (--entry->second.present > 0) return;
  floor_ = entry->second.served;
  tenants_.erase(entry);
}

int RequestQueue::Waiting(std::string_view tenant) const {
  return static_cast<int>(
      std::ranges::count_if(items_, [&](const Item& item) { return item->submission.tenant == tenant; }));
}

void RequestQueue::Charge(const std::string& tenant, int64_t tokens) {
  const auto entry = tenants_.find(tenant);
  KV_CHECK(entry != tenants_.end());
  entry->second.served += tokens;
}

}  // namespace kvasir
