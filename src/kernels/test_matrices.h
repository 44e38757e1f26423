// Random weights and activations for the tests and benchmarks of this room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "kernels/kernels.h"
#include "kernels/pack.h"
#include "tensor/blocks.h"
#include "tensor/dtype.h"
#include "tensor/half.h"

namespace kvasir::kernels {

/// A small fast generator; tests need no better one.
class TestRandom {
 public:
  explicit TestRandom(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 0x1234567) {}
  uint32_t Next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 32);
  }
  int Below(int limit) { return static_cast<int>(Next() % static_cast<uint32_t>(limit)); }
  /// In [-1, 1).
  float Signed() { return static_cast<float>(static_cast<int32_t>(Next())) * 0x1p-31f; }

 private:
  uint64_t state_;
};

/// Bytes on a 64-byte boundary.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(size_t size)
      : size_(size), data_(static_cast<std::byte*>(std::aligned_alloc(64, (size + 64) / 64 * 64)), &std::free) {
    std::memset(data_.get(), 0, size);
  }
  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  size_t size_ = 0;
  std::unique_ptr<std::byte[], void (*)(void*)> data_{nullptr, &std::free};
};

/// A matrix [n, k] as a GGUF file holds it.
struct TestMatrix {
  tensor::DType dtype;
  int64_t n;
  int64_t k;
  std::vector<std::byte> bytes;
  const std::byte* row(int64_t r) const { return bytes.data() + r * (bytes.size() / n); }
};

struct PackedMatrix {
  AlignedBytes bytes;
  PackedWeights view;
};

struct DenseMatrix {
  AlignedBytes bytes;
  DenseWeights view;
};

/// Random codes of every value, with scales that keep the weights below about 4.
inline void FixScales(tensor::DType dtype, TestRandom& random, std::byte* block) {
  const auto put = [&](size_t offset, float range) {
    const uint16_t half = tensor::F32ToF16(range * random.Signed());
    std::memcpy(block + offset, &half, sizeof half);
  };
  using tensor::DType;
  switch (dtype) {
    case DType::kQ4_0:
    case DType::kQ8_0:
    case DType::kQ5_0:
    case DType::kIQ4_NL: put(0, 0.02f); return;
    case DType::kQ4_1:
    case DType::kQ5_1: put(0, 0.02f), put(2, 0.5f); return;
    case DType::kQ4_K:
    case DType::kQ5_K: put(0, 0.001f), put(2, 0.01f); return;
    case DType::kQ2_K:
      put(offsetof(tensor::BlockQ2_K, d), 0.02f), put(offsetof(tensor::BlockQ2_K, d_min), 0.02f);
      return;
    case DType::kQ3_K: put(offsetof(tensor::BlockQ3_K, d), 0.01f); return;
    case DType::kQ6_K: put(offsetof(tensor::BlockQ6_K, d), 0.0005f); return;
    case DType::kIQ4_XS: put(0, 0.0005f); return;
    case DType::kMXFP4: block[0] = static_cast<std::byte>(118 + random.Below(8)); return;
    default: return;
  }
}

inline TestMatrix RandomMatrix(tensor::DType dtype, int64_t n, int64_t k, uint64_t seed) {
  TestRandom random(seed);
  const tensor::DTypeTraits traits = tensor::Traits(dtype);
  TestMatrix matrix{dtype, n, k, std::vector<std::byte>(n * tensor::ValidRowBytes(dtype, k))};
  for (size_t at = 0; at < matrix.bytes.size(); at += traits.block_bytes) {
    std::byte* block = matrix.bytes.data() + at;
    const float value = random.Signed();
    const uint16_t half = tensor::F32ToF16(value);
    const uint16_t bfloat = tensor::F32ToBf16(value);
    switch (dtype) {
      case tensor::DType::kF32: std::memcpy(block, &value, 4); break;
      case tensor::DType::kF16: std::memcpy(block, &half, 2); break;
      case tensor::DType::kBF16: std::memcpy(block, &bfloat, 2); break;
      default:
        for (int i = 0; i < traits.block_bytes; ++i) block[i] = static_cast<std::byte>(random.Next() >> 24);
        FixScales(dtype, random, block);
    }
  }
  return matrix;
}

inline PackedMatrix Pack(const TestMatrix& matrix) {
  const auto plan = PlanPack(matrix.dtype, matrix.n, matrix.k);
  KV_CHECK(plan && !plan->dense);
  PackedMatrix packed{AlignedBytes(plan->bytes), {}};
  KV_CHECK(
      PackPanels(matrix.dtype, matrix.bytes.data(), matrix.n, matrix.k, 0, (matrix.n + 15) / 16, packed.bytes.data()));
  packed.view = {plan->packed, matrix.n, matrix.k, packed.bytes.data(), PackTable(matrix.dtype)};
  return packed;
}

inline DenseMatrix PackAsDense(const TestMatrix& matrix, DenseFormat format) {
  DenseMatrix dense{AlignedBytes(DenseBytes(format, matrix.n, matrix.k)), {}};
  PackDense(matrix.dtype, matrix.bytes.data(), matrix.n, matrix.k, 0, (matrix.n + 15) / 16, format, dense.bytes.data());
  dense.view = {format, matrix.n, matrix.k, dense.bytes.data()};
  return dense;
}

/// Storage of quantised activations.
struct TestRows {
  TestRows(int64_t rows, int64_t k, int planes) : codes(rows * planes * k), scales(rows * k / 32), sums(rows * k / 16) {
    view = {rows, k, planes, codes.data(), scales.data(), sums.data()};
  }
  std::vector<int8_t> codes;
  std::vector<float> scales;
  std::vector<int32_t> sums;
  QuantizedRows view;
};

}  // namespace kvasir::kernels
