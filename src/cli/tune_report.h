// What `kvasir tune` shows, for people and for programs, and what it keeps.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "kvasir/receipt.h"
#include "kvasir/tune.h"
#include "plot/scatter.h"

namespace kvasir::cli {

/// One line: what is going to be computed.
[[nodiscard]] std::string CostText(const TuneCost& cost);
/// A row for each cache, the largest first, and what the marks mean.
[[nodiscard]] std::string TuneTable(const TuneReport& report);
/// Which cache was chosen and why, and what it takes.
[[nodiscard]] std::string ChoiceText(const TuneReport& report, const TuneGoal& goal);
/// Why none was; without a full stop.
[[nodiscard]] std::string NoChoiceText(const TuneReport& report, const TuneGoal& goal);
[[nodiscard]] nlohmann::ordered_json TuneJson(const TuneReport& report, const TuneGoal& goal);
/// Bits per element against mean KLD, and against the speed of decoding where that was measured.
[[nodiscard]] plot::ScatterChart TuneChart(const TuneReport& report);

/// The receipt of the chosen row, without what the program and the machine add.
[[nodiscard]] Receipt ReceiptOf(const TuneReport& report);

}  // namespace kvasir::cli
