#include "engine/request_queue.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "engine/scheduler_testing.h"

namespace kvasir {
namespace {

class RequestQueueTest : public SchedulerTest {
 protected:
  RequestQueueTest() : engine_(Load()) {}
  void Push(const std::string& tenant, int priority = 0) {
    Submission submission{.tenant = tenant, .priority = priority};
    auto generator = Generator::Create(engine_->impl(), {}, Greedy({5}, 1));
    queue_.Enter(tenant);
    queue_.Push(std::make_unique<ScheduledRequest>(++last_id_, std::move(submission), std::move(*generator)));
  }
  // Takes the next, charges its tenant, and says which it was.
  RequestId Serve(int64_t tokens) {
    const auto item = queue_.Take(queue_.Next());
    queue_.Charge(item->submission.tenant, tokens);
    queue_.Leave(item->submission.tenant);
    return item->id;
  }

  std::unique_ptr<Engine> engine_;
  RequestQueue queue_;
  RequestId last_id_ = 0;
};

TEST_F(RequestQueueTest, TheTenantThatWasServedLeastIsNext) {
  for (const char* tenant : {"a", "a", "a", "b", "b"}) Push(tenant);
  EXPECT_EQ(Serve(10), 1u);
  EXPECT_EQ(Serve(4), 4u);
  EXPECT_EQ(Serve(8), 5u);  // b has had 4, a 10
  EXPECT_EQ(Serve(1), 2u);
  EXPECT_EQ(Serve(1), 3u);
  EXPECT_TRUE(queue_.empty());
  EXPECT_EQ(queue_.Next(), nullptr);
}

TEST_F(RequestQueueTest, HavingBeenAwayIsNoCredit) {
  Push("a");
  Push("a");
  EXPECT_EQ(Serve(1000), 1u);
  Push("b");  // starts where a stands
  Push("a");
  EXPECT_EQ(Serve(1), 2u);
  EXPECT_EQ(Serve(1), 3u);
  EXPECT_EQ(Serve(1), 4u);
}

TEST_F(RequestQueueTest, PriorityGoesBeforeFairness) {
  Push("a");
  Push("b", 1);
  Push("b", 2);
  EXPECT_EQ(Serve(100), 3u);
  EXPECT_EQ(Serve(100), 2u);
  EXPECT_EQ(Serve(100), 1u);
}

TEST_F(RequestQueueTest, ThosePassedOverAreNotNext) {
  Push("a");
  Push("a");
  queue_.Next()->passed_over = true;
  EXPECT_EQ(queue_.Next()->id, 2u);
  queue_.Next()->passed_over = true;
  EXPECT_EQ(queue_.Next(), nullptr);
}

TEST_F(RequestQueueTest, CountsTheRequestsOfATenant) {
  for (const char* tenant : {"a", "b", "a"}) Push(tenant);
  EXPECT_EQ(queue_.Waiting("a"), 2);
  EXPECT_EQ(queue_.Waiting("c"), 0);
}

// So many requests of each tenant are taken where all of them submit without end, in turn.
std::vector<int> Flood(int tenants, int places) {
  std::vector<int> own(static_cast<size_t>(tenants), 0);
  int waiting = 0;
  for (int last = -1; last != waiting;) {
    last = waiting;
    for (int& count : own) {
      if (!QueueHasPlace("t", count, waiting, places)) continue;
      ++count;
      ++waiting;
    }
  }
  return own;
}

TEST(QueueHasPlace, TenantsThatFloodTheQueueLeaveRoomForOthers) {
  for (int places = 1; places < 600; ++places) {
    EXPECT_EQ(Flood(1, places).front(), QueuePlacesOf("t", places)) << places;
    for (const int tenants : {1, 2, 5, 20}) {
      const std::vector<int> own = Flood(tenants, places);
      const int waiting = std::reduce(own.begin(), own.end());
      if (tenants < places) {
        EXPECT_TRUE(QueueHasPlace("new", 0, waiting, places)) << tenants << " of " << places;
      }
      EXPECT_GE(own.front() - own.back(), 0);
      EXPECT_LE(own.front() - own.back(), 1) << "each gets as much as the others";
    }
  }
  EXPECT_EQ(Flood(1, 512).front(), 384);
  EXPECT_EQ(Flood(2, 512).front(), 219);
  EXPECT_EQ(QueuePlacesOf("t", 1), 1);
}

TEST(QueueHasPlace, WhereThereAreNoTenantsTheWholeQueueIsForAll) {
  EXPECT_TRUE(QueueHasPlace("", 511, 511, 512));
  EXPECT_FALSE(QueueHasPlace("", 512, 512, 512));
  EXPECT_FALSE(QueueHasPlace("t", 0, 512, 512));
  EXPECT_EQ(QueuePlacesOf("", 512), 512);
}

TEST_F(RequestQueueTest, TakesByPredicateAndKeepsTheOrder) {
  for (int i = 0; i < 5; ++i) Push("a");
  auto first = queue_.Take(queue_.Next());
  const auto even = queue_.TakeIf([](const ScheduledRequest& request) { return request.id % 2 == 0; });
  ASSERT_EQ(even.size(), 2u);
  EXPECT_EQ(even[0]->id, 2u);
  EXPECT_EQ(even[1]->id, 4u);
  queue_.Push(std::move(first));  // as after a preemption: back to its place
  EXPECT_EQ(queue_.items()[0]->id, 1u);
  EXPECT_EQ(queue_.items()[1]->id, 3u);
}

}  // namespace
}  // namespace kvasir
