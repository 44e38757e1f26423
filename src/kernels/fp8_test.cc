// Floats of 8 bits against their definition, by exhaustive search, and through the pages of every instruction set.
#include "kernels/ref/fp8.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/test_matrices.h"

namespace kvasir::kernels {
namespace {

struct Variant {
  PageFormat format;
  int mantissa, bias, largest_code;
  uint8_t (*encode)(float);
  float (*decode)(uint8_t);
};
constexpr Variant kVariants[] = {{PageFormat::kE4M3, 3, 7, 0x7e, ref::F32ToE4M3, ref::E4M3ToF32},
                                 {PageFormat::kE5M2, 2, 15, 0x7b, ref::F32ToE5M2, ref::E5M2ToF32}};

// The value of a positive code by the words of the specification.
double Value(const Variant& v, int code) {
  const int exponent = code >> v.mantissa;
  const double fraction = std::ldexp(code & ((1 << v.mantissa) - 1), -v.mantissa);
  return exponent == 0 ? std::ldexp(fraction, 1 - v.bias) : std::ldexp(1 + fraction, exponent - v.bias);
}

// The code nearest to x, the even one of two, the largest one beyond; by looking at all.
int Nearest(const Variant& v, double x) {
  if (std::abs(x) > Value(v, v.largest_code)) return v.largest_code | (std::signbit(x) ? 0x80 : 0);
  int best = 0;
  for (int code = 1; code <= v.largest_code; ++code) {
    const double before = std::abs(Value(v, best) - std::abs(x));
    const double now = std::abs(Value(v, code) - std::abs(x));
    if (now < before || (now == before && code % 2 == 0)) best = code;
  }
  return best | (std::signbit(x) ? 0x80 : 0);
}

TEST(Fp8Test, EveryCodeHasItsValueAndComesBack) {
  for (const Variant& v : kVariants) {
    for (int code = 0; code <= v.largest_code; ++code) {
      for (const int sign : {0, 0x80}) {
        const auto byte = static_cast<uint8_t>(code | sign);
        ASSERT_EQ(v.decode(byte), static_cast<float>(sign == 0 ? Value(v, code) : -Value(v, code))) << code;
        ASSERT_EQ(v.encode(v.decode(byte)), byte);
      }
    }
    EXPECT_TRUE(std::isnan(v.decode(0x7f)));
    EXPECT_TRUE(std::isnan(v.decode(0xff)));
  }
  EXPECT_EQ(ref::E4M3ToF32(0x7e), 448.0F);
  EXPECT_EQ(ref::E5M2ToF32(0x7b), 57344.0F);
}

// Numbers of all sizes, the middles between codes and their neighbours.
std::vector<float> Interesting(const Variant& v) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::vector<float> numbers = {0.0F,       -0.0F,  1e-30F, 1e-45F, 1e30F, kInfinity,
                                -kInfinity, 449.0F, 464.0F, 480.0F, 6e4F};
  for (int code = 0; code < v.largest_code; ++code) {
    const auto middle = static_cast<float>((Value(v, code) + Value(v, code + 1)) / 2);
    for (const float x : {middle, std::nextafter(middle, 0.0F), std::nextafter(middle, 1e9F)}) {
      numbers.push_back(x);
      numbers.push_back(-x);
    }
  }
  TestRandom random(1);
  for (int i = 0; i < 4000; ++i) numbers.push_back(std::ldexp(random.Signed(), random.Below(40) - 22));
  while (numbers.size() % 16 != 0) numbers.push_back(1.0F);
  return numbers;
}

TEST(Fp8Test, StoringRoundsToTheNearestOnEveryInstructionSet) {
  for (const Variant& v : kVariants) {
    const std::vector<float> numbers = Interesting(v);
    for (const Isa isa : {Isa::kRef, Isa::kAvx2, Isa::kAvx512, Isa::kVnni}) {
      if (!IsaSupported(isa)) continue;
      const int f = static_cast<int>(v.format);
      std::vector<std::byte> page(PageBytes(v.format, 16));
      for (size_t at = 0; at < numbers.size(); at += 16) {
        std::vector<float> key(16), value(16);
        TableOf(isa).store_kv[f](page.data(), 16, 9, &numbers[at], &numbers[at]);
        TableOf(isa).load_kv[f](page.data(), 16, 9, key.data(), value.data());
        for (int i = 0; i < 16; ++i) {
          const float expected = v.decode(static_cast<uint8_t>(Nearest(v, numbers[at + i])));
          ASSERT_EQ(std::bit_cast<uint32_t>(key[i]), std::bit_cast<uint32_t>(expected)) << numbers[at + i];
          ASSERT_EQ(std::bit_cast<uint32_t>(value[i]), std::bit_cast<uint32_t>(expected)) << numbers[at + i];
        }
      }
    }
  }
}

}  // namespace
}  // namespace kvasir::kernels
