// The compute kernels: raw pointers, no threads, no allocation, no errors. One table of functions per
// instruction set, chosen once at start; nothing above this room names an instruction set.
//
// Letters: B rows of activations, K input features, N output features, D head size, P tokens per page.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvasir::kernels {

/// The instruction sets a table exists for, slowest first.
enum class Isa : uint8_t { kRef, kAvx2, kAvx512, kVnni };

// ---------------------------------------------------------------------------------------------------------------
// Quantised weights, packed for the kernels ("P16"): 16 output rows interleaved, lane = row, so a dot product needs
// no horizontal sum and a vector of scales is one contiguous load. K is cut into blocks of 32. A panel is 16 rows x
// all of K; its blocks follow each other, so a thread streams one contiguous region.
//
//   block (16 rows x 32 k) = f16 scale[32/group][16], then (has_min) f16 min[32/group][16], then the codes:
//     4-bit codes: u8 low[4][64];  byte low[v][4r+b]: low nibble  = code of row r at k = 8v+b,
//                                                     high nibble = code of row r at k = 8v+4+b
//     5/6 bits   : the low nibbles as above, then a plane of the upper bits:
//                  5: u8 high[64]   ; byte high[4r+b], bit j   = bit 4 of row r at k = 4j+b          (j = 0..7)
//                  6: u8 high[2][64]; byte high[h][4r+b], bits 2j..2j+1 = bits 4,5 of row r at k = 16h+4j+b (j = 0..3)
//     8-bit codes: u8 code[8][64]; byte code[j][4r+b] = code of row r at k = 4j+b (signed value + 128)
//   value = scale * (code - zero_point) + min        (table formats: scale * (table[code] - zero_point))
enum class PackedFormat : uint8_t {
  kW4,        ///< 4 bits, scale per 32, zero point 8          (Q4_0)
  kW4Min,     ///< 4 bits, scale and min per 32                (Q4_1, Q4_K)
  kW4Table,   ///< 4 bits into a table of 16, scale per 32     (IQ4_NL, IQ4_XS, MXFP4); table entries are value + 128
  kW5,        ///< 5 bits, scale per 32, zero point 16         (Q5_0)
  kW5Min,     ///< 5 bits, scale and min per 32                (Q5_1, Q5_K)
  kW8,        ///< 8 bits, scale per 32, zero point 128        (Q8_0)
  kW4G16,     ///< 4 bits, scale per 16, zero point 4          (Q3_K)
  kW4MinG16,  ///< 4 bits, scale and min per 16                (Q2_K)
  kW6G16,     ///< 6 bits, scale per 16, zero point 32         (Q6_K)
};

inline constexpr int kPanelRows = 16;
inline constexpr int kBlockK = 32;

/// What the packed bytes of one format look like.
struct PackedTraits {
  const char* name;
  int bits;   // 4, 5, 6 or 8
  int group;  // k per scale: 16 or 32
  bool has_min;
  bool has_table;
  int zero_point;
  int block_bytes;  // bytes of one 16 x 32 block
};
constexpr PackedTraits TraitsOf(PackedFormat format) {
  switch (format) {
    case PackedFormat::kW4: return {"W4", 4, 32, false, false, 8, 288};
    case PackedFormat::kW4Min: return {"W4Min", 4, 32, true, false, 0, 320};
    case PackedFormat::kW4Table: return {"W4Table", 4, 32, false, true, 128, 288};
    case PackedFormat::kW5: return {"W5", 5, 32, false, false, 16, 352};
    case PackedFormat::kW5Min: return {"W5Min", 5, 32, true, false, 0, 384};
    case PackedFormat::kW8: return {"W8", 8, 32, false, false, 128, 544};
    case PackedFormat::kW4G16: return {"W4G16", 4, 16, false, false, 4, 320};
    case PackedFormat::kW4MinG16: return {"W4MinG16", 4, 16, true, false, 0, 384};
    case PackedFormat::kW6G16: return {"W6G16", 6, 16, false, false, 32, 448};
  }
  return {};
}
inline constexpr int kNumPackedFormats = 9;

/// A matrix [N, K] packed in panels of 16 rows (the last one padded with zero rows).
struct PackedWeights {
  PackedFormat format = PackedFormat::kW8;
  int64_t n = 0;                      // output features, before padding
  int64_t k = 0;                      // input features, a multiple of 32
  const std::byte* panels = nullptr;  // ceil(n/16) * (k/32) * block_bytes, 64-byte aligned
  const uint8_t* table = nullptr;     // 16 entries for table formats
};

/// A dense matrix [N, K] in panels of 16 rows: element (k, row r of panel p) at panels[(p*K + k)*16 + r].
enum class DenseFormat : uint8_t { kF32, kF16, kBF16 };
inline constexpr int kDenseChunkK = 256;
struct DenseWeights {
  DenseFormat format = DenseFormat::kF32;
  int64_t n = 0;
  int64_t k = 0;
  const std::byte* panels = nullptr;
};

// ---------------------------------------------------------------------------------------------------------------
// Quantised activations: signed bytes with one scale per 32, and the sums the zero points and mins need.
//
// With `planes == 2` the codes have 15 bits, code = 128 * high + low: plane 0 holds the high parts, plane 1 the low
// ones. Twice the dot products, but no more of anything else.
//
// Rows lie in groups of kRowGroup, the last group being as wide (w) as there are rows left, in the order in which a
// register tile takes them, so that it reads one stream. packed_block.h finds single values.
struct QuantizedRows {
  int64_t rows = 0;         // B
  int64_t k = 0;            // a multiple of 32
  int planes = 1;           // 1: 8-bit, 2: 15-bit
  int8_t* codes = nullptr;  // per group [k/32][planes][8][w][4]: 8 times 4 k of each row
  float* scales = nullptr;  // per group [k/32][w]
  int32_t* sums = nullptr;  // per group [k/32][2][w]: sum of codes over each 16
};
inline constexpr int kRowGroup = 8;

// ---------------------------------------------------------------------------------------------------------------
// Attention over pages. A page holds P = 64 tokens of one layer and one KV head, first their keys, then their values.
//   kF32, kF16, kE4M3, kE5M2: K [D][64] (keys in lanes: for each feature 64 keys contiguous), V [64][D]. The last two
//        are floats of 8 bits: kE4M3 up to 448 in steps of 1/8 to 1/16, kE5M2 up to 57344 in steps of 1/4 to 1/8.
//   kQ8: signed bytes -127..127 with an f16 scale per token and 32 features, element = code * scale. Two neighbours
//        stand together, so that a pair of products is one operation. Keys are stored rotated, each block of features
//        times Sylvester's matrix of +1 and -1, which evens out features that are always large; as the matrix times
//        itself is 32 (16 for a last block of 16), a query times the matrix / 32 gives the same product with the key.
//        K: codes [D/2][64][2] (two features), scales [ceil(D/32)][64]; V: codes [32][D][2] (two tokens), scales alike.
inline constexpr int kPageTokens = 64;
enum class PageFormat : uint8_t { kF32, kF16, kQ8, kE4M3, kE5M2 };
inline constexpr int kNumPageFormats = 5;
inline constexpr int kQ8BlockFeatures = 32;
constexpr int Q8Blocks(int head_dim) {
  return (head_dim + kQ8BlockFeatures - 1) / kQ8BlockFeatures;
}

/// Pages that were encoded as a whole: see compact_page.h.
struct CompactFormat;

/// One page as attention sees it. Tokens 0..count-1 are at positions first_position + i.
struct PageRef {
  const std::byte* data = nullptr;
  int32_t first_position = 0;
  int32_t count = 0;
  bool compact = false;  // else it has the sequence's open format
};

struct CompactFormat;

/// Attention of R query rows that share one KV head over the pages of one span. A row at position p sees a key at
/// position s iff s <= p and (window == 0 or p - s < window).
struct AttendArgs {
  const float* q = nullptr;                // [R, D], already multiplied by the softmax scale
  const int32_t* row_positions = nullptr;  // [R]
  int rows = 0;                            // R >= 1
  int head_dim = 0;                        // D, a multiple of 16 (kernels pad nothing; the model checks), at most 512
  int window = 0;
  float softcap = 0;  // 0 = off; else score = softcap * tanh(score / softcap)
  const PageRef* pages = nullptr;
  int num_pages = 0;
  const std::byte* next = nullptr;  // the page that this thread will want after these, to be fetched in time; or null
  float* out = nullptr;             // [R, D], normalised; zero where a row sees no key
  float* lse = nullptr;             // [R], natural log of the sum of exp(score); -inf where a row sees no key
  std::byte* scratch = nullptr;     // kAttendScratchBytes, 64-byte aligned, one per thread
};

// ---------------------------------------------------------------------------------------------------------------
/// One implementation of every kernel. All functions are thread-safe for disjoint outputs.
struct KernelTable {
  Isa isa;
  const char* name;

  /// out[b*out_stride + row] (= or, with accumulate, +=) weights x rows for the output rows of panels
  /// [panel_begin, panel_end). Rows past weights.n are not written. Activation codes must lie in -127..127.
  ///
  /// Every output is computed with the same operations in the same order, so its bits depend neither on B, nor on the
  /// panel range, nor on the instruction set: acc = 0, then for every group of k in ascending order
  ///   acc = fma(float(sum (code - zero_point) * activation code), w_scale * a_scale, acc)
  ///   acc = fma(w_min, a_scale * float(sum of activation codes), acc)                        (formats with a min)
  /// where the sums are exact integers, over the whole code where it has two planes.
  /// `scratch`: kMatmulScratchBytes, 64-byte aligned, one per thread.
  void (*matmul_quantized)(const PackedWeights& weights, int64_t panel_begin, int64_t panel_end,
                           const QuantizedRows& rows, float* out, int64_t out_stride, bool accumulate,
                           std::byte* scratch);

  /// The same over f32 activations x [B, K] (row stride x_stride) and dense panels, which are read as f32: each chunk
  /// of kDenseChunkK k sums from zero by one fma per k in ascending order; the chunk sums are added in ascending order
  /// to zero or, with accumulate, to the old value of out.
  void (*matmul_dense)(const DenseWeights& weights, int64_t panel_begin, int64_t panel_end, const float* x,
                       int64_t x_stride, int64_t rows, float* out, int64_t out_stride, bool accumulate);

  /// Quantises the blocks of 32 k in [block_begin, block_end) of rows [begin, end) into `out` (8- or 15-bit by
  /// out.planes). x points to row 0 at the first of those blocks, with row stride x_stride.
  /// Per 32 values, m = max|x|: s = m / 127 and code = x * (127 / m) rounded to nearest even; with 15 bits 16256 in
  /// place of 127, and the code is split as 128 * high + low with low in -64..63. Where m < 1e-30, everything is zero.
  /// A NaN or an infinity makes the scale NaN or infinite, so it shows in every output. Also fills out.sums.
  void (*quantize_rows)(const float* x, int64_t x_stride, int64_t begin, int64_t end, int64_t block_begin,
                        int64_t block_end, const QuantizedRows& out);

  /// Turns 16 dequantised rows [16][k] (row stride row_stride) into a panel [k][16].
  void (*interleave_panel)(const float* rows, int64_t row_stride, int64_t k, float* panel);

  /// out[i] = x[i] * weight[i] / sqrt(mean(x^2) + eps), i < n. In place allowed.
  void (*rms_norm)(const float* x, const float* weight, int64_t n, float eps, float* out);
  /// gate[i] = silu(gate[i]) * up[i].
  void (*silu_mul)(float* gate, const float* up, int64_t n);
  /// gate[i] = gelu_tanh(gate[i]) * up[i].
  void (*gelu_mul)(float* gate, const float* up, int64_t n);
  /// out[i] = (x[i] - mean(x)) / sqrt(mean((x - mean(x))^2) + eps) * weight[i] + bias[i], i < n. In place allowed.
  void (*layer_norm)(const float* x, const float* weight, const float* bias, int64_t n, float eps, float* out);
  /// x[i] = x[i] * (1 + erf(x[i] / sqrt(2))) / 2, within 3e-7 * |x[i]|.
  void (*gelu_erf)(float* x, int64_t n);
  /// x[i] = exp(x[i] - max(x)) / sum over j of exp(x[j] - max(x)).
  void (*softmax)(float* x, int64_t n);
  /// x[i] += y[i].
  void (*add)(float* x, const float* y, int64_t n);
  /// x[i] *= s.
  void (*scale)(float* x, float s, int64_t n);
  /// x[i] = cap * tanh(x[i] / cap).
  void (*softcap)(float* x, float cap, int64_t n);
  /// Rotates one head in place. cos/sin hold n_rot/2 values. neox: pairs (i, i + n_rot/2); else pairs (2i, 2i+1).
  void (*rope)(float* x, const float* cos, const float* sin, int n_rot, bool neox);

  /// Attention over pages of one format; see AttendArgs. Indexed by PageFormat. The bits of a row depend on its query,
  /// its position and the pages, not on the other rows; the vector instruction sets agree on them, the reference, which
  /// computes in double, does not. With kQ8 they round queries and weights to 16 bits per 32 features.
  void (*attend[kNumPageFormats])(const AttendArgs& args);
  /// Attention over compact pages, all of one format that CheckCompact allows, with the same contract; weights are
  /// rounded as with kQ8, queries to 16 bits per 32 features or more, and not at all with keys stored before RoPE.
  void (*attend_compact)(const AttendArgs& args, const CompactFormat& format);
  /// Stores key and value (f32 [D]) of one token into slot `slot` of a page, the same bytes on every instruction set.
  /// Values that a format cannot hold saturate. Indexed by PageFormat.
  void (*store_kv[kNumPageFormats])(std::byte* page, int head_dim, int slot, const float* key, const float* value);
  /// Reads them back (tests, context shift, later codecs).
  void (*load_kv[kNumPageFormats])(const std::byte* page, int head_dim, int slot, float* key, float* value);

  // The limits of the machine, for `bench`: each touches what the kernels touch.
  uint64_t (*read_stream)(const std::byte* data, size_t bytes);  // sums all 64-bit words; bytes % 256 == 0
  float (*fma_peak)(int64_t iterations, int64_t* flops);         // register-only f32 multiply-adds
  int32_t (*int8_peak)(int64_t iterations, int64_t* ops);        // register-only u8 x s8 dot products, ops = 2 x MAC
};

/// Bytes of scratch that matmul_quantized needs, per thread.
inline constexpr size_t kMatmulScratchBytes = size_t{512} << 10;
/// The largest K of a quantised matrix, which bounds that scratch. PlanPack refuses longer rows.
inline constexpr int64_t kMaxK = int64_t{1} << 16;

/// Rows for which attend widens a page once: the number to call it with where there are many.
inline constexpr int kAttendBlockRows = 96;
/// Bytes of scratch that attend needs, per thread.
inline constexpr size_t kAttendScratchBytes = size_t{256} << 10;

/// Bytes of one page of `head_dim` features: keys and values take half each.
constexpr size_t PageBytes(PageFormat format, int head_dim) {
  const auto features = static_cast<size_t>(head_dim);
  switch (format) {
    case PageFormat::kF32: return size_t{2} * kPageTokens * 4 * features;
    case PageFormat::kF16: return size_t{2} * kPageTokens * 2 * features;
    case PageFormat::kE4M3:
    case PageFormat::kE5M2: return size_t{2} * kPageTokens * features;
    case PageFormat::kQ8: return size_t{2} * kPageTokens * (features + 2 * static_cast<size_t>(Q8Blocks(head_dim)));
  }
  return 0;
}

/// The best instruction set of this machine.
Isa BestIsa();
/// Its name: "ref", "avx2", "avx512", "vnni".
const char* IsaName(Isa isa);
/// Finds an instruction set by its name; false where there is none.
[[nodiscard]] bool IsaFromName(const char* name, Isa* isa);
/// The instruction set in use: the one that the environment variable KVASIR_ISA names, where this machine has it, else
/// the best.
[[nodiscard]] Isa ChosenIsa();
/// Whether this machine can run `isa`.
bool IsaSupported(Isa isa);
/// The table of `isa`, which must be supported.
const KernelTable& TableOf(Isa isa);

}  // namespace kvasir::kernels
