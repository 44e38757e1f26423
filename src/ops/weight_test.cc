#include "ops/weight.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/rng.h"

namespace kvasir::ops {
namespace {

// Random bytes are valid Q8_0 blocks; MXFP4 blocks have their exponent where the test wants it.
struct Matrix {
  Matrix(tensor::DType dtype, int64_t k, int64_t n, uint8_t mxfp4_exponent = 128)
      : bytes(tensor::ValidRowBytes(dtype, k) * static_cast<size_t>(n)) {
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(base::RandomUniform(1, i) * 256);
    if (dtype == tensor::DType::kMXFP4) {
      for (size_t i = 0; i < bytes.size(); i += 17) bytes[i] = std::byte{mxfp4_exponent};
    }
    view = {"matrix", dtype, 2, {k, n, 1, 1}, bytes.data(), bytes.size()};
  }
  std::vector<std::byte> bytes;
  tensor::TensorView view;
};

std::span<const std::byte> Bytes(const Weight& weight) {
  return {weight.packed().panels, weight.bytes()};
}

TEST(Weight, InAnArenaHoldsTheSameBytesAsAlone) {
  base::ThreadPool pool(2);
  const Matrix matrix(tensor::DType::kQ8_0, 64, 100);
  WeightArena arena = std::move(WeightArena::Create(1 << 20)).value();
  const Weight alone = std::move(Weight::Pack(matrix.view, pool)).value();
  const Weight first = std::move(Weight::Pack(matrix.view, pool, {.arena = &arena})).value();
  const Weight second = std::move(Weight::Pack(matrix.view, pool, {.arena = &arena})).value();
  EXPECT_TRUE(std::ranges::equal(Bytes(alone), Bytes(first)));
  EXPECT_TRUE(std::ranges::equal(Bytes(alone), Bytes(second)));
  EXPECT_EQ(Bytes(first).data(), arena.used().data());
  EXPECT_EQ(Bytes(second).data(), arena.used().data() + WeightArena::PartBytes(alone.bytes()));
  EXPECT_EQ(first.owned_bytes(), alone.owned_bytes());
  EXPECT_TRUE(arena.complete());
}

TEST(Weight, SaysWhichBytesOfTheSourceItIsDoneWith) {
  base::ThreadPool pool(2);
  const Matrix matrix(tensor::DType::kQ8_0, 64, 100);
  size_t done = 0;
  const auto weight = Weight::Pack(matrix.view, pool, {.on_packed = [&](std::span<const std::byte> part) {
                                     EXPECT_EQ(part.data(), matrix.bytes.data() + done);
                                     done += part.size();
                                   }});
  ASSERT_TRUE(weight.has_value());
  EXPECT_EQ(done, matrix.bytes.size());
}

TEST(Weight, GoesElsewhereWhenTheArenaIsFull) {
  base::ThreadPool pool(1);
  const Matrix matrix(tensor::DType::kQ8_0, 64, 100);
  WeightArena arena = std::move(WeightArena::Create(64)).value();
  const Weight weight = std::move(Weight::Pack(matrix.view, pool, {.arena = &arena})).value();
  EXPECT_EQ(weight.form(), WeightForm::kPacked);
  EXPECT_TRUE(arena.used().empty());
  EXPECT_FALSE(arena.complete());
}

TEST(Weight, IsDenseAndElsewhereWhereScalesAreBeyondF16) {
  base::ThreadPool pool(1);
  const Matrix matrix(tensor::DType::kMXFP4, 32, 16, /*mxfp4_exponent=*/200);
  WeightArena arena = std::move(WeightArena::Create(1 << 20)).value();
  const Weight weight = std::move(Weight::Pack(matrix.view, pool, {.arena = &arena})).value();
  EXPECT_EQ(weight.form(), WeightForm::kDense);
  EXPECT_EQ(weight.dense().format, kernels::DenseFormat::kF32);
  EXPECT_FALSE(arena.complete());
}

TEST(Weight, OfAFilledArenaIsNotPackedAgain) {
  base::ThreadPool pool(1);
  const Matrix matrix(tensor::DType::kQ8_0, 64, 100);
  const Weight alone = std::move(Weight::Pack(matrix.view, pool)).value();
  WeightArena arena = std::move(WeightArena::Create(1 << 20)).value();
  std::memcpy(arena.memory().data(), alone.packed().panels, alone.bytes());
  arena.set_filled(true);
  tensor::TensorView absent = matrix.view;
  absent.data = nullptr;  // the source is not looked at
  const Weight weight = std::move(Weight::Pack(absent, pool, {.arena = &arena})).value();
  EXPECT_TRUE(std::ranges::equal(Bytes(alone), Bytes(weight)));
}

}  // namespace
}  // namespace kvasir::ops
