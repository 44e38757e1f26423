#include "cli/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/output.h"
#include "cli/terminal.h"

namespace kvasir::cli {
namespace {

constexpr std::chrono::milliseconds kDelay{300};
constexpr std::chrono::milliseconds kInterval{50};
constexpr uint64_t kBarWidth = 24;

}  // namespace

Progress::Progress(std::string label)
    : label_(std::move(label)), enabled_(ErrorIsTerminal()), next_draw_(Clock::now() + kDelay) {}

void Progress::Update(uint64_t done, uint64_t total, std::string_view detail) {
  if (!enabled_ || Clock::now() < next_draw_) return;
  next_draw_ = Clock::now() + kInterval;
  const std::string line = ProgressLine(label_, done, total, detail, ErrorWidth() - 1);
  WriteNote("\r\x1b[K" + Quiet(line));
  drawn_ = true;
}

void Progress::Erase() {
  if (!drawn_) return;
  WriteNote("\r\x1b[K");
  drawn_ = false;
}

std::string ProgressLine(std::string_view label, uint64_t done, uint64_t total, std::string_view detail, size_t width) {
  std::string line(label);
  if (total > 0) {
    const double share = std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0);
    const auto filled = static_cast<size_t>(share * static_cast<double>(kBarWidth));
    line += fmt::format(" [{}{}] {:3.0f}%", std::string(filled, '#'), std::string(kBarWidth - filled, '-'),
                        std::floor(share * 100));
  }
  if (!detail.empty()) line += fmt::format(" {}", detail);
  if (line.size() > width) line.resize(width);
  return line;
}

}  // namespace kvasir::cli
