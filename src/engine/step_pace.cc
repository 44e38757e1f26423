#include "engine/step_pace.h"

#include <algorithm>

namespace kvasir {
namespace {

constexpr int kMinRows = 8;           // fewer hardly cost less
constexpr int kUnknownRows = 32;      // before anything was measured
constexpr int kGrain = 8;             // kernels work on groups of rows
constexpr double kAloneSeconds = 1;   // a step without streams
constexpr int kLeastAlone = 64;       // where fewer rows would cost efficiency
constexpr double kLeastShare = 0.25;  // of the streams' own time that prompts always get
constexpr double kLeastCost = 1e-7;   // seconds: a row is never free
constexpr double kRise = 0.5;         // weight of a new measurement above the average
constexpr double kFall = 0.15;        // and of one below it

void Follow(double& average, double value) {
  average += (average == 0 ? 1.0 : value > average ? kRise : kFall) * (value - average);
}

}  // namespace

int StepPace::PromptRows(int streams) const {
  const int room = std::max(max_rows_ - streams, 0);
  if (target_ <= 0) return room;
  if (cost_ == 0) return streams == 0 ? room : std::min(room, kUnknownRows);
  const double seconds = streams == 0 ? kAloneSeconds : std::max(target_ - base_, kLeastShare * base_);
  const int least = streams == 0 ? kLeastAlone : kMinRows;
  const auto rows = static_cast<int>(std::min(seconds / cost_, static_cast<double>(room)));
  return std::min(room, std::max(rows / kGrain * kGrain, least));
}

void StepPace::Observe(int streams, int prompt_rows, double seconds) {
  if (prompt_rows == 0) {
    if (streams > 0) Follow(base_, seconds);
    return;
  }
  const double base = streams > 0 ? std::min(base_, seconds) : 0;
  Follow(cost_, std::max((seconds - base) / prompt_rows, kLeastCost));
}

}  // namespace kvasir
