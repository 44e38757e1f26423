// Temperature: divide the logits, p_i ~ exp(logit_i / T) (Ackley, Hinton, Sejnowski, "A Learning Algorithm for
// Boltzmann Machines", 1985). 0 is greedy and handled by the Sampler, which skips this stage then.

#include <fmt/format.h>

#include "sampling/range.h"
#include "sampling/stage.h"

namespace kvasir::sampling {
namespace {

class Temperature final : public Stage {
 public:
  explicit Temperature(float temperature) : temperature_(temperature) {}

  void Apply(Candidates& candidates, std::span<const int32_t>, const Randomness&) const override {
    candidates.Divide(temperature_);
  }

  std::string Describe() const override { return fmt::format("temperature({})", temperature_); }
  std::unique_ptr<Stage> Clone() const override { return std::make_unique<Temperature>(*this); }

 private:
  float temperature_;
};

Status ValidateTemperature(const SamplingOptions& options, int) {
  return CheckRange("temperature", options.temperature, 0, 100);
}

Result<std::unique_ptr<Stage>> CreateTemperature(const SamplingOptions& options, const StageInputs&) {
  if (options.temperature == 1) return nullptr;
  return std::make_unique<Temperature>(options.temperature);
}

}  // namespace

constexpr StageInfo kTemperatureStage = {"temperature", "temp", StageKind::kTemperature, ValidateTemperature,
                                         CreateTemperature};

}  // namespace kvasir::sampling
