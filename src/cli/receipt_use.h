// Receipts at a start: the cache that `kvasir tune` has chosen for a model, where nobody says another.
#pragma once

#include <optional>
#include <string>

#include "kvasir/options.h"
#include "kvasir/receipt.h"

namespace kvasir::cli {

struct ReceiptUse {
  EngineOptions engine;                     ///< As they were given, or with the cache of the receipt.
  std::optional<ReceiptSearch::File> file;  ///< The receipt that was used.
};

/// Looks for a receipt where `options` name no cache (`--kv auto` names none) and do not ask for exact arithmetic,
/// whose cache is f32. Says on standard error which ones cannot be used, and why.
[[nodiscard]] ReceiptUse UseReceipt(EngineOptions options, bool no_receipt);

/// One line: what is used, where it comes from, and how not to.
[[nodiscard]] std::string ReceiptLine(const ReceiptSearch::File& file);

/// UseReceipt, and on standard error its line, and what the cache lacks (calibration_note.h).
[[nodiscard]] EngineOptions WithReceipt(EngineOptions options, bool no_receipt);

}  // namespace kvasir::cli
