// Which products of a forward pass get how many bits of activation, by compute mode.
//
// The problem: 8-bit activations are the largest error of inference with quantised weights, and more bits cost
// arithmetic. The idea: spend them where an error does most harm per multiply-add. docs/performance.md has the measured
// frontier that the balanced row was chosen from (`kvasir eval kld` beside `kvasir bench`).
#pragma once

#include "kvasir/options.h"
#include "ops/operators.h"

namespace kvasir::model {

/// The precision of the activation that enters each product.
struct PrecisionPolicy {
  ops::Precision qkv;
  ops::Precision attention_out;
  ops::Precision gate_up;
  ops::Precision down;
  ops::Precision head;
};

[[nodiscard]] PrecisionPolicy PrecisionOf(ComputeMode mode);

}  // namespace kvasir::model
