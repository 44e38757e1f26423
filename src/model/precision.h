// Which products of a forward pass get how many bits of activation, by compute mode.
//
// The problem: 8-bit activations are the largest error of inference with quantised weights, and more bits cost
// arithmetic. The idea: spend them where an error does most harm per multiply-add. In the small models measured that is
// the head, whose errors are the logits' own and which a prompt computes once, and queries, keys and values, which are
// a sixth of a layer's arithmetic. docs/quality.md has the measured frontier.
#pragma once

#include "files/gguf_reader.h"
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

/// `mode` is not kAuto.
[[nodiscard]] PrecisionPolicy PrecisionOf(ComputeMode mode);

/// What ComputeMode::kAuto means for this file: a small model is fast enough to be computed precisely and would lose
/// visibly, a large one is neither.
[[nodiscard]] ComputeMode AutomaticCompute(const files::GgufFile& gguf);

}  // namespace kvasir::model
