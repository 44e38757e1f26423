// The queue of a scheduler: who is next.
//
// The problem: one tenant may submit a hundred requests at once, and the others must not stand behind them. The idea:
// count the tokens each tenant was served, and admit the one that was served least (start-time fair queueing). A tenant
// that appears starts at the level of the least served one that is there, so that having been away is no credit.
// Priorities come before fairness; within a tenant, order of arrival. Source: Sheng et al., "Fairness in serving large
// language models", OSDI 2024 (the virtual token counter).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/scheduled_request.h"

namespace kvasir {

/// Not thread-safe.
class RequestQueue {
 public:
  using Item = std::unique_ptr<ScheduledRequest>;

  /// Queues a new request, or one that was preempted.
  void Push(Item item);
  /// The one to admit next, among those not passed over; null when there is none.
  [[nodiscard]] ScheduledRequest* Next() const;
  /// Removes it.
  [[nodiscard]] Item Take(ScheduledRequest* request);
  /// Removes all for which `predicate` holds, in order of arrival.
  [[nodiscard]] std::vector<Item> TakeIf(const std::function<bool(const ScheduledRequest&)>& predicate);

  /// A request of the tenant was accepted, or has ended: it counts from the one to the other, queued or not.
  void Enter(const std::string& tenant);
  void Leave(const std::string& tenant);
  /// Charges so many computed tokens to a tenant that has entered.
  void Charge(const std::string& tenant, int64_t tokens);

  /// Queued requests of a tenant.
  [[nodiscard]] int Waiting(std::string_view tenant) const;
  [[nodiscard]] size_t size() const { return items_.size(); }
  [[nodiscard]] bool empty() const { return items_.empty(); }
  [[nodiscard]] const std::vector<Item>& items() const { return items_; }

 private:
  struct Tenant {
    int64_t served = 0;
    int64_t present = 0;  // accepted requests that have not ended
  };
  [[nodiscard]] bool Before(const ScheduledRequest& a, const ScheduledRequest& b) const;

  std::vector<Item> items_;  // in order of arrival
  std::map<std::string, Tenant, std::less<>> tenants_;
  int64_t floor_ = 0;  // the level at which the last tenant that left would start again
};

}  // namespace kvasir
