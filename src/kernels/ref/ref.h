// The reference kernels: plain C++ that reads like the definitions in kernels.h. They are the oracle of every other
// instruction set and run where none of those does.
#pragma once

#include "kernels/compact_page.h"
#include "kernels/kernels.h"

namespace kvasir::kernels::ref {

void MatmulQuantized(const PackedWeights& weights, int64_t panel_begin, int64_t panel_end, const QuantizedRows& rows,
                     float* out, int64_t out_stride, bool accumulate, std::byte* scratch);
void MatmulDense(const DenseWeights& weights, int64_t panel_begin, int64_t panel_end, const float* x, int64_t x_stride,
                 int64_t rows, float* out, int64_t out_stride, bool accumulate);
void QuantizeRows(const float* x, int64_t x_stride, int64_t begin, int64_t end, int64_t block_begin, int64_t block_end,
                  const QuantizedRows& out);
void InterleavePanel(const float* rows, int64_t row_stride, int64_t k, float* panel);

void RmsNorm(const float* x, const float* weight, int64_t n, float eps, float* out);
void SiluMul(float* gate, const float* up, int64_t n);
void GeluMul(float* gate, const float* up, int64_t n);
void LayerNorm(const float* x, const float* weight, const float* bias, int64_t n, float eps, float* out);
void GeluErf(float* x, int64_t n);
void Softmax(float* x, int64_t n);
void Add(float* x, const float* y, int64_t n);
void Scale(float* x, float s, int64_t n);
void Softcap(float* x, float cap, int64_t n);
void Rope(float* x, const float* cos, const float* sin, int n_rot, bool neox);

void AttendF32(const AttendArgs& args);
void AttendF16(const AttendArgs& args);
void AttendQ8(const AttendArgs& args);
void AttendE4M3(const AttendArgs& args);
void AttendE5M2(const AttendArgs& args);
void AttendCompact(const AttendArgs& args, const CompactFormat& format);
void StoreKvF32(std::byte* page, int head_dim, int slot, const float* key, const float* value);
void StoreKvF16(std::byte* page, int head_dim, int slot, const float* key, const float* value);
void StoreKvQ8(std::byte* page, int head_dim, int slot, const float* key, const float* value);
void StoreKvE4M3(std::byte* page, int head_dim, int slot, const float* key, const float* value);
void StoreKvE5M2(std::byte* page, int head_dim, int slot, const float* key, const float* value);
void LoadKvF32(const std::byte* page, int head_dim, int slot, float* key, float* value);
void LoadKvF16(const std::byte* page, int head_dim, int slot, float* key, float* value);
void LoadKvQ8(const std::byte* page, int head_dim, int slot, float* key, float* value);
void LoadKvE4M3(const std::byte* page, int head_dim, int slot, float* key, float* value);
void LoadKvE5M2(const std::byte* page, int head_dim, int slot, float* key, float* value);

uint64_t ReadStream(const std::byte* data, size_t bytes);
float FmaPeak(int64_t iterations, int64_t* flops);
int32_t Int8Peak(int64_t iterations, int64_t* ops);

}  // namespace kvasir::kernels::ref
