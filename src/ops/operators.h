// The ten or so operators that a forward pass is made of, on the CPU: each splits its work over the thread pool, calls
// the kernels chosen at start, and returns when all is done.
//
// Every operator computes each row with the same operations in the same order, whatever else is in the batch, however
// the work is split and however many threads there are: a token's logits do not depend on how its prompt was cut.
//
// Letters: B rows, K input and N output features, H query heads, KVH key/value heads, D head size, E model size.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "kernels/kernels.h"
#include "kvasir/result.h"
#include "kvcache/span.h"
#include "ops/batch.h"
#include "ops/rope.h"
#include "ops/weight.h"

namespace kvasir::ops {

/// How the activations of one product are represented.
enum class Precision : uint8_t { k8Bit, k15Bit, kF32 };

/// Rows ready to be multiplied with weights: in f32, quantised, or both. Refers to the
/// operators' workspace: valid until the next Normalize, Quantize or GatedProject.
struct Activation {
  const float* f32 = nullptr;  // [B, K]
  int64_t rows = 0;
  int64_t k = 0;
  bool quantised = false;
  kernels::QuantizedRows q;
};

/// One product of a Project call: out [B, N] = activation x weight (+ bias).
struct Projection {
  const Weight* weight;
  float* out;
};

enum class GateFunction : uint8_t { kSilu, kGeluTanh };

/// The attention of one layer.
struct AttentionSpec {
  int layer = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  float scale = 1;    // of the scores, normally 1/sqrt(D)
  int window = 0;     // tokens a query sees, itself included; 0 = all
  float softcap = 0;  // 0 = off
};

/// What happens to queries and keys before they meet: an optional norm per head, then the rotation.
struct HeadPreparation {
  std::span<const float> q_norm;  // [D] or empty
  std::span<const float> k_norm;  // [D] or empty
  float eps = 0;
  int rope = 0;  // which of the step's rotations, see BeginStep
};

/// What an Operators' workspace must hold.
struct OperatorLimits {
  int max_rows = 0;             // B
  int64_t max_k = 0;            // the longest row of any product
  bool source_weights = false;  // whether weights of WeightForm::kSource will be used
};

/// Not thread-safe: one forward pass at a time.
class Operators {
 public:
  /// Allocates the workspace and chooses the kernels of this machine (KVASIR_ISA forces others). The only error is
  /// kResourceExhausted.
  [[nodiscard]] static Result<std::unique_ptr<Operators>> Create(base::ThreadPool& pool, const OperatorLimits& limits);

  [[nodiscard]] base::ThreadPool& pool() { return pool_; }
  [[nodiscard]] size_t workspace_bytes() const;

  /// x = cap * tanh(x / cap) for x [rows, n]; a cap of 0 leaves them.
  void Softcap(float* x, float cap, int64_t rows, int64_t n);

  /// Prepares the rotation tables of a step, one per spec; HeadPreparation::rope is the index.
  void BeginStep(const Batch& batch, std::span<const RopeSpec> ropes);

  /// x [B, E] = rows of `embedding` for the batch's tokens, times `scale`.
  void Embed(const tensor::TensorView& embedding, std::span<const int32_t> tokens, float scale, float* x);

  /// RMS norm of each row of x [B, K], ready for a product.
  [[nodiscard]] Activation Normalize(const float* x, int64_t rows, std::span<const float> weight, float eps,
                                     Precision precision);
  /// x [B, K] as it is, ready for a product.
  [[nodiscard]] Activation Quantize(const float* x, int64_t rows, int64_t k, Precision precision);
  /// x [B, K] += RMS norm of y [B, K].
  void AddNormalized(float* x, const float* y, int64_t rows, std::span<const float> weight, float eps);

  /// Several products of the same activation, as one piece of work.
  void Project(const Activation& activation, std::initializer_list<Projection> projections);
  /// x [B, N] += activation x weight (+ bias): the projections that end a residual branch.
  void ProjectAdd(const Activation& activation, const Weight& weight, float* x);
  /// function(activation x gate) * (activation x up) [B, F], ready for a product with `next`. Where that wants f32, the
  /// result lies in `out` [B, F], and `scratch` [B, F] is overwritten; otherwise both may be null.
  [[nodiscard]] Activation GatedProject(const Activation& activation, const Weight& gate, const Weight& up,
                                        GateFunction function, const Weight& next, Precision precision, float* out,
                                        float* scratch);

  /// Norms and rotates queries q [B, H*D] in place, norms and rotates keys k [B, KVH*D], and stores keys and values in
  /// the slots that the sequences have reserved.
  void PrepareHeads(const Batch& batch, const AttentionSpec& spec, const HeadPreparation& preparation, float* q,
                    float* k, const float* v);

  /// out [B, H*D] = attention of q [B, H*D] over each sequence's pages.
  void Attend(const Batch& batch, const AttentionSpec& spec, const float* q, float* out);

 private:
  struct RopeTable {
    int n_rot;
    bool neox;
    std::vector<float> cos, sin;  // [B, n_rot/2]
  };
  /// Rows [row_begin, row_end) of one sequence and one KV head, over some spans of that head's pages: what one thread
  /// does on its own.
  struct AttendItem {
    int sequence = 0;
    int kv_head = 0;
    int row_begin = 0;  // within the sequence's rows
    int row_end = 0;
    kvcache::SpanRange spans;
    int64_t partial = -1;  // offset of this item's (o, lse) in `partials_`; -1: the item covers all spans itself
    int32_t merge = -1;    // where it has a partial: its entry in `merges_`
  };
  /// The items [first, last) are the spans, in order, of the same rows.
  struct AttendMerge {
    int64_t first = 0;
    int64_t last = 0;
    int32_t unfinished = 0;  // items to be waited for; the thread that finishes the last one merges
  };

  Operators(base::ThreadPool& pool, const OperatorLimits& limits);
  Status Allocate();
  /// Storage for the codes of an activation, which stay valid until the storage is asked for again.
  struct CodeStorage {
    base::AlignedBuffer codes;   // s8 [2 * max_rows, max_k]
    base::AlignedBuffer scales;  // f32 [max_rows, max_k/32]
    base::AlignedBuffer sums;    // i32 [max_rows, max_k/16]
  };
  [[nodiscard]] static Activation Quantised(CodeStorage& storage, int64_t rows, int64_t k, Precision precision);
  template <typename F>
  void ForRows(int64_t rows, int64_t k, F&& fn);
  /// x[i] = function(x[i]) * y[i], the two factors of a gate.
  using Combine = void (*)(float* x, const float* y, int64_t n);
  void GatePiece(const Activation& activation, const Weight& gate, const Weight& up, Combine combine, int64_t begin,
                 int64_t end, int thread, const Activation& out);
  void Multiply(const Activation& activation, const Weight& weight, int64_t panel_begin, int64_t panel_end, float* out,
                int64_t out_stride, bool accumulate, int thread);
  void MultiplySource(const Activation& activation, const Weight& weight, int64_t panel, float* out, int64_t out_stride,
                      bool accumulate, int thread);
  template <typename F>
  void ForPanels(int64_t rows, int64_t panels, size_t bytes, F&& fn);
  struct AttendBuffers;
  void AttendSpan(const AttentionSpec& spec, const kvcache::KvView& kv, std::span<const kernels::PageRef> pages,
                  kernels::AttendArgs args, const AttendBuffers& buffers, float* out, float* lse);
  void RunAttendItem(const AttentionSpec& spec, const SequenceRows& sequence, const AttendItem& item,
                     const std::byte* next, const float* q, const Batch& batch, float* out, int thread);
  void PlanAttend(const Batch& batch, const AttentionSpec& spec);
  void MergePartials(const Batch& batch, const AttentionSpec& spec, const AttendMerge& merge, float* out);

  const kernels::KernelTable& kernels_;
  base::ThreadPool& pool_;
  OperatorLimits limits_;
  std::vector<RopeTable> ropes_;
  base::AlignedBuffer normed_;  // f32 [max_rows, max_k]
  CodeStorage codes_;
  CodeStorage gated_codes_;                          // of GatedProject, which reads codes_
  std::vector<base::AlignedBuffer> matmul_scratch_;  // per thread
  std::vector<base::AlignedBuffer> gate_scratch_;    // per thread: f32, outputs of gate and of up
  std::vector<base::AlignedBuffer> panel_scratch_;   // per thread: f32 [2, 16, max_k], for source weights
  std::vector<AttendItem> items_;
  std::vector<AttendMerge> merges_;
  std::vector<std::vector<float>> attend_scratch_;  // per thread
  std::vector<float> partials_;                     // (o, lse) of each item of a decode step
};

}  // namespace kvasir::ops
