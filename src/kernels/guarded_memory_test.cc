// No kernel reads or writes past the end of what it is given: every buffer ends at a page that may not be touched. The
// files of the instruction sets are not compiled with sanitizers, so this is what watches them.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <span>
#include <vector>

#include "kernels/compact_testing.h"
#include "kernels/kernels.h"
#include "kernels/test_matrices.h"

namespace kvasir::kernels {
namespace {

using tensor::DType;

/// Elements whose last byte is the last one before a protected page.
template <typename T>
class Guarded {
 public:
  explicit Guarded(size_t count) : count_(count) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t usable = (count * sizeof(T) + page - 1) / page * page;
    mapped_ = usable + page;
    base_ = static_cast<std::byte*>(mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    KV_CHECK(base_ != MAP_FAILED);
    KV_CHECK(mprotect(base_ + usable, page, PROT_NONE) == 0);
    data_ = reinterpret_cast<T*>(base_ + usable - count * sizeof(T));
  }
  explicit Guarded(std::span<const T> values) : Guarded(values.size()) {
    std::memcpy(data_, values.data(), values.size_bytes());
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(base_, mapped_); }
  T* data() { return data_; }
  size_t bytes() const { return count_ * sizeof(T); }

 private:
  size_t count_;
  size_t mapped_;
  std::byte* base_;
  T* data_;
};

constexpr Isa kIsas[] = {Isa::kRef, Isa::kAvx2, Isa::kAvx512, Isa::kVnni};

std::vector<float> RandomFloats(size_t count) {
  TestRandom random(count);
  std::vector<float> values(count);
  for (float& value : values) value = random.Signed();
  return values;
}

void MultiplyGuarded(DType dtype, int64_t n, int64_t k, int64_t b, int planes) {
  const std::vector<float> x = RandomFloats(b * k);
  PackedMatrix packed = Pack(RandomMatrix(dtype, n, k, 1));
  TestRows rows(b, k, planes);
  TableOf(Isa::kRef).quantize_rows(x.data(), k, 0, b, 0, k / 32, rows.view);

  const size_t weight_bytes = PlanPack(dtype, n, k)->bytes;
  Guarded<std::byte> weights(std::span<const std::byte>(packed.bytes.data(), weight_bytes));
  Guarded<int8_t> codes(std::span<const int8_t>(rows.codes));
  Guarded<float> scales(std::span<const float>(rows.scales));
  Guarded<int32_t> sums(std::span<const int32_t>(rows.sums));
  Guarded<std::byte> scratch(kMatmulScratchBytes);
  PackedWeights view = packed.view;
  view.panels = weights.data();
  const QuantizedRows row_view = {b, k, planes, codes.data(), scales.data(), sums.data()};
  std::vector<float> expected(b * n);
  TableOf(Isa::kRef).matmul_quantized(packed.view, 0, (n + 15) / 16, rows.view, expected.data(), n, false, nullptr);
  for (const Isa isa : kIsas) {
    if (!IsaSupported(isa)) continue;
    Guarded<float> out(b * n);
    TableOf(isa).matmul_quantized(view, 0, (n + 15) / 16, row_view, out.data(), n, false, scratch.data());
    EXPECT_EQ(std::memcmp(out.data(), expected.data(), out.bytes()), 0) << IsaName(isa);
  }
}

TEST(GuardedMemoryTest, QuantizedProductsStayInside) {
  for (const DType dtype : {DType::kQ4_0, DType::kQ4_1, DType::kIQ4_NL, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0,
                            DType::kQ2_K, DType::kQ3_K, DType::kQ6_K}) {
    const int64_t k = tensor::Traits(dtype).block_elements == 256 ? 256 : 96;
    for (const int64_t n : {5, 16, 17, 48}) {
      for (const int64_t b : {1, 3, 8, 9, 23}) MultiplyGuarded(dtype, n, k, b, b % 2 == 0 ? 2 : 1);
    }
  }
}

TEST(GuardedMemoryTest, DenseProductsStayInside) {
  for (const DenseFormat format : {DenseFormat::kF32, DenseFormat::kF16, DenseFormat::kBF16}) {
    for (const int64_t n : {5, 16, 65, 80}) {
      for (const int64_t b : {1, 5, 13}) {
        constexpr int64_t kK = 261;
        const DenseMatrix matrix = PackAsDense(RandomMatrix(DType::kF32, n, kK, 1), format);
        Guarded<std::byte> weights(std::span<const std::byte>(matrix.bytes.data(), DenseBytes(format, n, kK)));
        DenseWeights view = matrix.view;
        view.panels = weights.data();
        Guarded<float> x(std::span<const float>(RandomFloats(b * kK)));
        std::vector<float> expected(b * n);
        TableOf(Isa::kRef).matmul_dense(view, 0, (n + 15) / 16, x.data(), kK, b, expected.data(), n, false);
        for (const Isa isa : kIsas) {
          if (!IsaSupported(isa)) continue;
          Guarded<float> out(b * n);
          TableOf(isa).matmul_dense(view, 0, (n + 15) / 16, x.data(), kK, b, out.data(), n, false);
          EXPECT_EQ(std::memcmp(out.data(), expected.data(), out.bytes()), 0) << IsaName(isa);
        }
      }
    }
  }
}

TEST(GuardedMemoryTest, KernelsOfEncodersStayInside) {
  for (const Isa isa : kIsas) {
    if (!IsaSupported(isa)) continue;
    for (const int64_t n : {1, 7, 16, 19, 33}) {
      Guarded<float> x(std::span<const float>(RandomFloats(n)));
      Guarded<float> weight(std::span<const float>(RandomFloats(n)));
      Guarded<float> bias(std::span<const float>(RandomFloats(n)));
      TableOf(isa).layer_norm(x.data(), weight.data(), bias.data(), n, 1e-5F, x.data());
      TableOf(isa).gelu_erf(x.data(), n);
      TableOf(isa).softmax(x.data(), n);
    }
  }
}

TEST(GuardedMemoryTest, QuantisationAndInterleavingStayInside) {
  for (const Isa isa : kIsas) {
    if (!IsaSupported(isa)) continue;
    for (const int planes : {1, 2}) {
      constexpr int64_t kB = 3;
      constexpr int64_t kK = 96;
      Guarded<float> x(std::span<const float>(RandomFloats(kB * kK)));
      Guarded<int8_t> codes(kB * planes * kK);
      Guarded<float> scales(kB * kK / 32);
      Guarded<int32_t> sums(kB * kK / 16);
      TableOf(isa).quantize_rows(x.data(), kK, 0, kB, 0, kK / 32,
                                 {kB, kK, planes, codes.data(), scales.data(), sums.data()});
    }
    for (const int64_t k : {1, 7, 8, 19}) {
      Guarded<float> rows(std::span<const float>(RandomFloats(16 * k)));
      Guarded<float> panel(16 * k);
      TableOf(isa).interleave_panel(rows.data(), k, k, panel.data());
    }
  }
}

TEST(GuardedMemoryTest, AttentionOverCompactPagesStaysInside) {
  constexpr int kRows = 7;
  const std::vector<int32_t> positions(kRows, 90);
  for (const int bits : {2, 3, 4, 5, 8}) {
    for (const int head_dim : {16, 80}) {
      for (int variant = 0; variant < 64; ++variant) {
        const TestRope rope(head_dim, true, 2, head_dim / 2 * (variant % 3) / 2);
        const CompactFormat format = {HalfVariant(bits, variant), HalfVariant(bits, (variant + 7) % 32), rope.view()};
        TestPages pages(format, head_dim, 2, 0, 1);
        const size_t bytes = PageBytes(format, head_dim);
        Guarded<std::byte> first(std::span<const std::byte>(pages.page(0), bytes));
        Guarded<std::byte> second(std::span<const std::byte>(pages.page(1), bytes));
        const PageRef refs[] = {{first.data(), 0, 64}, {second.data(), 64, 64}};
        Guarded<float> q(std::span<const float>(RandomFloats(kRows * head_dim)));
        for (const Isa isa : kIsas) {
          if (!IsaSupported(isa)) continue;
          Guarded<float> out(kRows * head_dim);
          Guarded<float> lse(kRows);
          Guarded<std::byte> scratch(kAttendScratchBytes);
          TableOf(isa).attend_compact({.q = q.data(),
                                       .row_positions = positions.data(),
                                       .rows = kRows,
                                       .head_dim = head_dim,
                                       .pages = refs,
                                       .num_pages = 2,
                                       .out = out.data(),
                                       .lse = lse.data(),
                                       .scratch = scratch.data()},
                                      format);
        }
      }
    }
  }
}

}  // namespace
}  // namespace kvasir::kernels
