// The tensors of a file, as Inspect shows them.
#pragma once

#include <span>
#include <string>

#include "files/gguf.h"
#include "kvasir/inspect.h"
#include "tensor/tensor.h"

namespace kvasir {

/// Adds `tensors` to the list and their elements to the parameters.
inline void AddTensors(std::span<const tensor::TensorView> tensors, ModelSummary& summary) {
  for (const tensor::TensorView& view : tensors) {
    summary.tensors.push_back({files::Printable(view.name),
                               std::string(tensor::DTypeName(view.dtype)),
                               {view.shape.begin(), view.shape.begin() + view.dims},
                               view.bytes});
    summary.parameters += view.elements();
  }
}

}  // namespace kvasir
