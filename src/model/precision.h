// Which products of a forward pass get how many bits of activation, by compute mode.
//
// The problem: 8-bit activations are the largest error of inference with quantised weights, and more bits cost
// arithmetic. The idea: spend them where an error does most harm per multiply-add, and save where it does least. In the
// small models measured that is in gate and up, half of a layer's arithmetic, whose errors meet a non-linear function
// and many more products before they become logits. docs/quality.md has the measured frontier.
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
