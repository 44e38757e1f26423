// The table of the reference kernels.
#include "kernels/ref/ref.h"
#include "kernels/table.h"

namespace kvasir::kernels {

constinit const KernelTable kRefTable = {
    .isa = Isa::kRef,
    .name = "ref",
    .matmul_quantized = ref::MatmulQuantized,
    .matmul_dense = ref::MatmulDense,
    .quantize_rows = ref::QuantizeRows,
    .interleave_panel = ref::InterleavePanel,
    .rms_norm = ref::RmsNorm,
    .silu_mul = ref::SiluMul,
    .gelu_mul = ref::GeluMul,
    .layer_norm = ref::LayerNorm,
    .gelu_erf = ref::GeluErf,
    .softmax = ref::Softmax,
    .add = ref::Add,
    .scale = ref::Scale,
    .softcap = ref::Softcap,
    .rope = ref::Rope,
    .attend = {ref::AttendF32, ref::AttendF16, ref::AttendQ8, ref::AttendE4M3, ref::AttendE5M2},
    .attend_compact = ref::AttendCompact,
    .store_kv = {ref::StoreKvF32, ref::StoreKvF16, ref::StoreKvQ8, ref::StoreKvE4M3, ref::StoreKvE5M2},
    .load_kv = {ref::LoadKvF32, ref::LoadKvF16, ref::LoadKvQ8, ref::LoadKvE4M3, ref::LoadKvE5M2},
    .read_stream = ref::ReadStream,
    .fma_peak = ref::FmaPeak,
    .int8_peak = ref::Int8Peak,
};

}  // namespace kvasir::kernels
