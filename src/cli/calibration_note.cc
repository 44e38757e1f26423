#include "cli/calibration_note.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/utf8_text.h"
#include "kvasir/calibrate.h"

namespace kvasir::cli {

std::string MissingCalibration(const std::string& model, std::span<const KvSpec> caches) {
  const auto found = std::ranges::find_if(caches, [&](const KvSpec& kv) { return LacksCalibration(model, kv); });
  if (found == caches.end()) return "";
  return Harmless(fmt::format(
      "cache {}: without a calibration of this model it rounds plainly, to evenly spaced levels; 'kvasir calibrate -m "
      "{} -f TEXT' makes one",
      KvSpecText(*found), model));
}

void NoteMissingCalibration(const std::string& model, std::span<const KvSpec> caches) {
  const std::string note = MissingCalibration(model, caches);
  if (!note.empty()) WriteNote(Quiet(note) + "\n");
}

}  // namespace kvasir::cli
