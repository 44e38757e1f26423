#include "kvcache/page_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace kvasir::kvcache {
namespace {

constexpr size_t kPage = 16384;

std::unique_ptr<PagePool> MakePool(size_t budget) {
  auto pool = PagePool::Create(budget);
  EXPECT_TRUE(pool);
  return std::move(pool).value();
}

TEST(PagePoolTest, RefusesABudgetOfNothing) {
  const auto pool = PagePool::Create(0);
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().code, ErrorCode::kInvalidArgument);
}

TEST(PagePoolTest, PagesAreAlignedApartAndWritable) {
  const auto pool = MakePool(100 * kPage);
  std::vector<Page> pages = pool->AllocateMany(kPage, 100).value();
  for (size_t i = 0; i < pages.size(); ++i) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(pages[i].data()) % 64, 0u);
    EXPECT_EQ(pages[i].bytes(), kPage);
    std::memset(pages[i].data(), static_cast<int>(i), kPage);
  }
  for (size_t i = 0; i < pages.size(); ++i) {
    EXPECT_EQ(pages[i].data()[0], static_cast<std::byte>(i));
    EXPECT_EQ(pages[i].data()[kPage - 1], static_cast<std::byte>(i));
  }
}

TEST(PagePoolTest, TheBudgetIsExactAndTheMessageHasTheNumbers) {
  const auto pool = MakePool(10 * kPage + 5);
  std::vector<Page> pages = pool->AllocateMany(kPage, 10).value();
  const auto refused = pool->Allocate(kPage);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(refused.error().message, testing::HasSubstr("1 more page of 16384 bytes"));
  EXPECT_THAT(refused.error().message, testing::HasSubstr("budget of 163845 bytes 163840 are in use"));
  pages.pop_back();
  EXPECT_TRUE(pool->Allocate(kPage));
}

TEST(PagePoolTest, ManyIsAllOrNothing) {
  const auto pool = MakePool(10 * kPage);
  const auto some = pool->AllocateMany(kPage, 8).value();
  EXPECT_FALSE(pool->AllocateMany(kPage, 3));
  EXPECT_EQ(pool->stats().live_pages, 8u);
  EXPECT_TRUE(pool->AllocateMany(kPage, 2));
  EXPECT_TRUE(pool->AllocateMany(kPage, 0).value().empty());
}

TEST(PagePoolTest, APageIsFreedWithItsLastReference) {
  const auto pool = MakePool(kPage);
  Page first = pool->Allocate(kPage).value();
  Page second = first;
  EXPECT_EQ(first, second);
  EXPECT_EQ(first.use_count(), 2u);
  EXPECT_FALSE(first.unique());
  first.Reset();
  EXPECT_TRUE(second.unique());
  EXPECT_FALSE(pool->Allocate(kPage));
  second = Page();
  EXPECT_EQ(pool->stats().live_bytes, 0u);
  EXPECT_TRUE(pool->Allocate(kPage));
}

TEST(PagePoolTest, MovingKeepsTheCountAndSelfAssignmentIsHarmless) {
  const auto pool = MakePool(kPage);
  Page page = pool->Allocate(kPage).value();
  Page moved = std::move(page);
  EXPECT_TRUE(moved.unique());
  Page& alias = moved;
  moved = alias;
  EXPECT_TRUE(moved.unique());
}

TEST(PagePoolTest, SizesAreRoundedUpTo64) {
  const auto pool = MakePool(10 * kPage);
  const Page page = pool->Allocate(100).value();
  EXPECT_EQ(page.bytes(), 128u);
  EXPECT_EQ(pool->stats().live_bytes, 128u);
}

// Keeps some pages, and remembers what it was asked for.
class Keeper final : public PageKeeper {
 public:
  explicit Keeper(std::vector<Page> pages) : pages_(std::move(pages)) {}
  size_t Reclaim(size_t bytes) override {
    asked.push_back(bytes);
    size_t freed = 0;
    for (; freed < bytes && !pages_.empty(); pages_.pop_back()) freed += pages_.back().bytes();
    return freed;
  }
  std::vector<size_t> asked;

 private:
  std::vector<Page> pages_;
};

TEST(PagePoolTest, KeepersGiveUpWhatIsMissingAndNoMore) {
  const auto pool = MakePool(10 * kPage);
  Keeper first(pool->AllocateMany(kPage, 2).value());
  Keeper second(pool->AllocateMany(kPage, 5).value());
  pool->AddKeeper(first);
  pool->AddKeeper(second);
  const auto fits = pool->AllocateMany(kPage, 3).value();
  EXPECT_TRUE(first.asked.empty());
  const auto more = pool->AllocateMany(kPage, 4).value();
  EXPECT_THAT(first.asked, testing::ElementsAre(4 * kPage));
  EXPECT_THAT(second.asked, testing::ElementsAre(2 * kPage));
  EXPECT_FALSE(pool->AllocateMany(kPage, 4));  // three are left to give
  EXPECT_EQ(pool->stats().live_bytes, 7 * kPage);
  pool->RemoveKeeper(second);
  second.asked.clear();
  EXPECT_FALSE(pool->AllocateMany(kPage, 4));
  EXPECT_TRUE(second.asked.empty());
  pool->RemoveKeeper(first);
}

TEST(PagePoolTest, MemoryGoesBackToTheSystem) {
  constexpr size_t kPages = 2000;
  const auto pool = MakePool(kPages * kPage);
  auto pages = pool->AllocateMany(kPage, kPages).value();
  const size_t mapped = pool->stats().mapped_bytes;
  EXPECT_GE(mapped, kPages * kPage);
  EXPECT_LE(mapped, kPages * kPage + (size_t{4} << 20));
  std::shuffle(pages.begin(), pages.end(), std::mt19937(1));
  pages.clear();
  EXPECT_LE(pool->stats().mapped_bytes, size_t{2} << 20);  // one spare slab
  EXPECT_EQ(pool->stats().peak_live_bytes, kPages * kPage);
}

TEST(PagePoolTest, SizesShareTheBudget) {
  const auto pool = MakePool(10 * kPage);
  auto large = pool->AllocateMany(kPage, 10).value();
  EXPECT_FALSE(pool->Allocate(kPage / 4));
  large.pop_back();
  EXPECT_TRUE(pool->AllocateMany(kPage / 4, 4));
}

TEST(PagePoolTest, ThreadsAllocateShareAndFreeConcurrently) {
  constexpr size_t kBudgetPages = 300;
  const auto pool = MakePool(kBudgetPages * kPage);
  const Page shared = pool->Allocate(kPage).value();
  std::vector<std::thread> threads;
  for (uint32_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 engine(t);
      std::vector<Page> mine;
      for (int i = 0; i < 4000; ++i) {
        const auto choice = engine() % 4;
        if (choice == 0 && !mine.empty()) {
          std::swap(mine[engine() % mine.size()], mine.back());
          mine.pop_back();
        } else if (choice == 1) {
          mine.push_back(shared);
        } else if (auto page = pool->Allocate(kPage)) {
          std::memset(page->data(), static_cast<int>(t), 64);
          mine.push_back(*std::move(page));
        } else {
          mine.clear();
        }
      }
      for (const Page& page : mine) {
        ASSERT_TRUE(page == shared || page.data()[63] == static_cast<std::byte>(t));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(shared.unique());
  EXPECT_EQ(pool->stats().live_pages, 1u);
  EXPECT_LE(pool->stats().peak_live_bytes, kBudgetPages * kPage);
}

TEST(PagePoolTest, WhatIsReservedNoPageCanHave) {
  const auto pool = PagePool::Create(10 * 4096).value();
  {
    auto reserved = pool->Reserve(4 * 4096 + 1);
    ASSERT_TRUE(reserved.has_value());
    EXPECT_EQ(pool->stats().reserved_bytes, 4u * 4096 + 1);
    EXPECT_EQ(pool->stats().live_bytes, 0u);
    const auto pages = pool->AllocateMany(4096, 5);
    ASSERT_TRUE(pages.has_value());
    EXPECT_EQ(pool->Allocate(4096).error().code, ErrorCode::kResourceExhausted);
    EXPECT_EQ(pool->Reserve(4096).error().code, ErrorCode::kResourceExhausted);
    EXPECT_TRUE(pool->Reserve(4095).has_value());  // and is given back at once
    PagePool::Reservation other = *std::move(reserved);
    EXPECT_EQ(pool->stats().reserved_bytes, 4u * 4096 + 1);
    other = {};
    EXPECT_EQ(pool->stats().reserved_bytes, 0u);
    EXPECT_TRUE(pool->Allocate(4096).has_value());
  }
  EXPECT_TRUE(pool->AllocateMany(4096, 10).has_value());
}

TEST(PagePoolTest, WhoKeepsPagesGivesThemUpForAReservation) {
  struct Keeper final : PageKeeper {
    size_t Reclaim(size_t bytes) override {
      size_t freed = 0;
      for (; freed < bytes && !pages.empty(); pages.pop_back()) freed += pages.back().bytes();
      return freed;
    }
    std::vector<Page> pages;
  } keeper;
  const auto pool = PagePool::Create(10 * 4096).value();
  pool->AddKeeper(keeper);
  keeper.pages = pool->AllocateMany(4096, 8).value();
  EXPECT_TRUE(pool->Reserve(5 * 4096).has_value());
  EXPECT_EQ(keeper.pages.size(), 5u);
  pool->RemoveKeeper(keeper);
  keeper.pages.clear();
}

}  // namespace
}  // namespace kvasir::kvcache
