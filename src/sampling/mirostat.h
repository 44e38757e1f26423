// Mirostat 2: holds the surprise of a text at a target instead of cutting the tail at a fixed place.
#pragma once

#include <cstdint>
#include <string>

#include "sampling/candidates.h"

namespace kvasir::sampling {

/// Chooses the token in place of the plain draw. A plain value: a copy carries on independently.
class Mirostat {
 public:
  /// `tau`: the surprise to hold, in bits. `eta`: the learning rate.
  Mirostat(double tau, double eta) : tau_(tau), eta_(eta), mu_(2 * tau) {}

  /// Draws with `u` in [0, 1) among the tokens at most mu() bits surprising; -1 if nothing is left. Learns nothing yet.
  [[nodiscard]] int32_t Choose(Candidates& candidates, double u);

  /// If `token` is the one that was chosen last, learns from its surprise; any other token (a prompt) teaches nothing.
  void Accept(int32_t token);

  /// The greatest surprise allowed at present, in bits. 2 tau at the start.
  [[nodiscard]] double mu() const { return mu_; }

  [[nodiscard]] std::string Describe() const;

 private:
  double tau_;
  double eta_;
  double mu_;
  int32_t chosen_ = -1;
  double surprise_ = 0;  // of chosen_, in bits
};

}  // namespace kvasir::sampling
