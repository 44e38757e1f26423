#include "jinja/dict.h"

#include <gtest/gtest.h>

#include <random>

#include "jinja/operators.h"
#include "jinja/sorting.h"

namespace kvasir::jinja {
namespace {

struct DictTest : ::testing::Test {
  RenderOptions options;
  Runtime runtime{options};
};

TEST_F(DictTest, EqualKeysAreOneAndTheFirstStays) {
  Dict dict;
  ASSERT_TRUE(dict.Insert(runtime, Value::Int(1), Value::Int(10)));
  ASSERT_TRUE(dict.Insert(runtime, Value::Bool(true), Value::Int(20)));
  ASSERT_TRUE(dict.Insert(runtime, Value::Float(1.0), Value::Int(30)));
  ASSERT_EQ(dict.size(), 1u);
  EXPECT_EQ(dict.entries()[0].first.kind(), Kind::kInt);
  EXPECT_EQ(dict.entries()[0].second.integer(), 30);
}

TEST_F(DictTest, ListsAreNoKeys) {
  Dict dict;
  const Status status = dict.Insert(runtime, runtime.MakeList({}), Value::None());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().message, "unhashable type: 'list'");
}

/// Random keys of several types, against a search through a vector.
TEST_F(DictTest, BehavesLikeAListOfPairs) {
  std::mt19937 random(1);
  for (int round = 0; round < 50; ++round) {
    Dict dict;
    std::vector<Dict::Entry> model;
    for (int i = 0; i < 200; ++i) {
      const int64_t number = static_cast<int64_t>(random() % 60);
      Value key = Value::Int(number);
      if (random() % 2) key = runtime.String("k" + std::to_string(number));
      if (random() % 5 == 0) key = runtime.MakeTuple({key, Value::None()});
      const auto found = std::ranges::find_if(model, [&](const auto& e) { return *Equal(runtime, e.first, key); });
      const Result<const Value*> value = dict.Find(runtime, key);
      ASSERT_TRUE(value);
      ASSERT_EQ(*value != nullptr, found != model.end());
      if (*value != nullptr) {
        ASSERT_EQ((*value)->integer(), found->second.integer());
      }
      if (random() % 2) {
        ASSERT_TRUE(dict.Insert(runtime, key, Value::Int(i)));
        if (found == model.end()) {
          model.emplace_back(key, Value::Int(i));
        } else {
          found->second = Value::Int(i);
        }
      }
    }
    ASSERT_EQ(dict.size(), model.size());
    for (size_t i = 0; i < model.size(); ++i) ASSERT_TRUE(*Equal(runtime, dict.entries()[i].first, model[i].first));
  }
}

TEST_F(DictTest, SortingIsStableInBothDirections) {
  std::mt19937 random(2);
  for (size_t size = 0; size < 70; ++size) {
    std::vector<Dict::Entry> items;
    for (size_t i = 0; i < size; ++i) {
      items.emplace_back(Value::Int(static_cast<int64_t>(random() % 9)), Value::Int(static_cast<int64_t>(i)));
    }
    for (const bool descending : {false, true}) {
      auto sorted = items;
      auto expected = items;
      ASSERT_TRUE(SortBy(runtime, sorted, &Dict::Entry::first, descending));
      std::ranges::stable_sort(expected, [&](const auto& a, const auto& b) {
        return descending ? a.first.integer() > b.first.integer() : a.first.integer() < b.first.integer();
      });
      for (size_t i = 0; i < size; ++i) ASSERT_EQ(sorted[i].second.integer(), expected[i].second.integer());
    }
  }
}

TEST_F(DictTest, SortingStopsAtWhatCannotBeCompared) {
  std::vector<Dict::Entry> items = {{Value::Int(1), {}}, {runtime.String("a"), {}}};
  EXPECT_FALSE(SortBy(runtime, items, &Dict::Entry::first, false));
}

}  // namespace
}  // namespace kvasir::jinja
