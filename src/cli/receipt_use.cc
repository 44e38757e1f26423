#include "cli/receipt_use.h"

#include <fmt/format.h>

#include <utility>

#include "cli/calibration_note.h"
#include "cli/figures.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/utf8_text.h"

namespace kvasir::cli {

ReceiptUse UseReceipt(EngineOptions options, bool no_receipt) {
  ReceiptUse use{.engine = std::move(options), .file = {}};
  if (no_receipt || use.engine.kv != KvSpec{} || use.engine.compute == ComputeMode::kExact) return use;
  ReceiptSearch search = FindReceipt(use.engine.model);
  for (const std::string& warning : search.warnings) WriteError(warning);
  if (!search.file) return use;
  use.engine.kv = search.file->receipt.kv;
  use.file = std::move(search.file);
  return use;
}

std::string ReceiptLine(const ReceiptSearch::File& file) {
  return Harmless(
      fmt::format("cache {}, chosen by kvasir tune (mean KLD {} at {} tokens: {}); --kv f16 or --no-receipt "
                  "for another",
                  KvSpecText(file.receipt.kv), FormatFigure(file.receipt.figures.mean_kld), file.receipt.context_tokens,
                  file.path));
}

EngineOptions WithReceipt(EngineOptions options, bool no_receipt) {
  ReceiptUse use = UseReceipt(std::move(options), no_receipt);
  if (use.file) WriteNote(Quiet(ReceiptLine(*use.file)) + "\n");
  NoteMissingCalibration(use.engine.model, {&use.engine.kv, 1});
  return std::move(use.engine);
}

}  // namespace kvasir::cli
