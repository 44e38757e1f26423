#include "cli/tune_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/check.h"
#include "cli/eval_commands.h"
#include "cli/figures.h"

namespace kvasir::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string NameOf(const TuneRow& row) {
  return KvSpecText(row.size.kv);
}

// Rows by bytes, the largest first.
std::vector<size_t> InOrder(const TuneReport& report) {
  std::vector<size_t> order(report.rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order,
                           [&](size_t a, size_t b) { return report.rows[a].held_bytes > report.rows[b].held_bytes; });
  return order;
}

const char* FateName(TuneFate fate) {
  switch (fate) {
    case TuneFate::kMeasured: return "measured";
    case TuneFate::kTooLarge: return "too_large";
    case TuneFate::kOverLimit: return "over_limit";
    case TuneFate::kDominated: return "dominated";
  }
  return "?";
}

std::string FateText(const TuneReport& report, const TuneRow& row) {
  const std::string chunks = fmt::format("after {} chunks", row.divergence.chunks);
  switch (row.fate) {
    case TuneFate::kMeasured: return "";
    case TuneFate::kTooLarge: return fmt::format("needs {}", FormatBytes(row.size.peak_bytes));
    case TuneFate::kOverLimit: return "over the limit " + chunks;
    case TuneFate::kDominated: return fmt::format("{} is better {}", NameOf(report.rows[*row.dominated_by]), chunks);
  }
  return "";
}

std::string RowText(const TuneReport& report, size_t index, size_t width) {
  const TuneRow& row = report.rows[index];
  const char* mark = report.chosen == index ? ">" : row.on_frontier ? "*" : " ";
  std::string text = fmt::format("{} {:<{}}  {:>5.2f}  {:>9} {:>9}", mark, NameOf(row), width,
                                 row.size.bits_per_element, FormatBytes(row.held_bytes), row.size.tokens_per_gib);
  if (row.divergence.chunks > 0) {
    const DivergenceReport& divergence = row.divergence;
    text += fmt::format("  {:>9.3g}{:<24} {:>+7.2f} %", divergence.mean_kld,
                        IntervalText(divergence.mean_kld_interval, 3), 100 * (divergence.perplexity_ratio - 1));
  } else {
    text += fmt::format("  {:>9}{:<24} {:>9}", "-", "", "-");
  }
  text += fmt::format(" {:>9}", row.tokens_per_second > 0 ? FormatFigure(row.tokens_per_second) : "-");
  const std::string fate = FateText(report, row);
  return text + (fate.empty() ? "" : "  " + fate) + "\n";
}

const TuneRow* RowNamed(const TuneReport& report, const char* name) {
  const auto found = std::ranges::find_if(report.rows, [&](const TuneRow& row) { return NameOf(row) == name; });
  return found == report.rows.end() ? nullptr : &*found;
}

std::string TimeText(double seconds) {
  if (seconds < 90) return fmt::format("{:.0f} s", std::max(seconds, 1.0));
  if (seconds < 5400) return fmt::format("{:.0f} min", seconds / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

}  // namespace

std::string CostText(const TuneCost& cost) {
  return fmt::format(
      "{} caches on {} chunks of {} tokens, beside exact mode: about {} if none is given up, {} for all at once. "
      "Ctrl-C keeps what was measured.\n",
      cost.caches, cost.chunks, cost.context, TimeText(cost.seconds), FormatBytes(cost.kv_bytes));
}

std::string TuneTable(const TuneReport& report) {
  size_t width = 4;
  for (const TuneRow& row : report.rows) width = std::max(width, NameOf(row).size());
  std::string text = fmt::format("  {:<{}}  {:>5}  {:>9} {:>9}  {:>9}{:<24} {:>9} {:>9}\n", "--kv", width, "bits",
                                 "bytes", "per GiB", "mean KLD", " [low, high]", "perplex.", "tokens/s");
  for (const size_t i : InOrder(report)) text += RowText(report, i, width);
  const bool evicts = std::ranges::any_of(report.rows, [](const TuneRow& row) { return row.size.kv.evicts(); });
  text += fmt::format(
      "\n{} · {} chunks of {} tokens{} · quality with compute {}, speed with {} behind the context · {} threads, {} · "
      "{}\n",
      report.model, report.chunks, report.context, report.interrupted ? " (interrupted)" : "",
      ComputeModeName(report.quality_compute), ComputeModeName(report.speed_compute), report.threads, report.isa,
      TimeText(report.seconds));
  return text +
         "> chosen, * on the frontier of bytes and KLD · bytes: of one sequence of the context · per GiB: tokens\n" +
         (evicts ? "where tokens are forgotten, bits are those of what is held, over all elements of the context\n"
                 : "") +
         IntervalNote("chunks");
}

std::string ChoiceText(const TuneReport& report, const TuneGoal& goal) {
  KV_CHECK(report.chosen.has_value());
  const TuneRow& row = report.rows[*report.chosen];
  const DivergenceReport& divergence = row.divergence;
  std::string text = "\n";
  if (goal.max_kld) {
    text += fmt::format("{}: the fewest bytes with a mean KLD of at most {} (the upper end is {:.3g}).\n", NameOf(row),
                        *goal.max_kld, divergence.mean_kld_interval->high);
  } else {
    text += fmt::format("{}: the lowest mean KLD of those that hold {} tokens in {} (it needs {}).\n", NameOf(row),
                        report.context, FormatBytes(*goal.kv_bytes), FormatBytes(row.size.peak_bytes));
  }
  text += fmt::format("{} tokens take {}, {} while they are computed; 1 GiB holds {} tokens.", report.context,
                      FormatBytes(row.held_bytes), FormatBytes(row.size.peak_bytes), row.size.tokens_per_gib);
  const TuneRow* f16 = RowNamed(report, "f16");
  if (f16 != nullptr && f16 != &row) {
    text += fmt::format(" f16: {}, {} tokens.", FormatBytes(f16->held_bytes), f16->size.tokens_per_gib);
  }
  return text + "\n";
}

std::string NoChoiceText(const TuneReport& report, const TuneGoal& goal) {
  if (goal.kv_bytes) return fmt::format("no cache holds {} tokens in {} bytes", report.context, *goal.kv_bytes);
  const TuneRow* nearest = nullptr;
  for (const TuneRow& row : report.rows) {
    if (!row.divergence.mean_kld_interval) continue;
    if (nearest == nullptr || row.divergence.mean_kld_interval->high < nearest->divergence.mean_kld_interval->high) {
      nearest = &row;
    }
  }
  const std::string which = nearest == nullptr ? ""
                                               : fmt::format("; {} comes nearest with {:.3g}", NameOf(*nearest),
                                                             nearest->divergence.mean_kld_interval->high);
  return fmt::format(
      "no cache has a mean KLD of at most {} at the upper end of its interval{}; allow more, or measure "
      "more --chunks",
      *goal.max_kld, which);
}

Json TuneJson(const TuneReport& report, const TuneGoal& goal) {
  Json rows = Json::array();
  for (const TuneRow& row : report.rows) {
    Json entry = {{"kv", NameOf(row)},
                  {"fate", FateName(row.fate)},
                  {"dominated_by", row.dominated_by ? Json(NameOf(report.rows[*row.dominated_by])) : Json(nullptr)},
                  {"on_frontier", row.on_frontier},
                  {"bits_per_element", row.size.bits_per_element},
                  {"bytes", row.held_bytes},
                  {"peak_bytes", row.size.peak_bytes},
                  {"tokens_per_gib", row.size.tokens_per_gib}};
    AddDivergence(entry, row.divergence);
    AddInterval(entry, "mean_kld", row.divergence.mean_kld_interval);
    AddInterval(entry, "ppl_ratio", row.divergence.perplexity_ratio_interval);
    entry.update({{"tokens_per_second", row.tokens_per_second},
                  {"min_tokens_per_second", row.min_tokens_per_second},
                  {"max_tokens_per_second", row.max_tokens_per_second}});
    rows.push_back(std::move(entry));
  }
  return {{"model", report.model},
          {"isa", report.isa},
          {"threads", report.threads},
          {"quality_compute", ComputeModeName(report.quality_compute)},
          {"speed_compute", ComputeModeName(report.speed_compute)},
          {"context", report.context},
          {"chunks", report.chunks},
          {"resamples", kBootstrapResamples},
          {"interrupted", report.interrupted},
          {"max_kld", goal.max_kld ? Json(*goal.max_kld) : Json(nullptr)},
          {"kv_bytes", goal.kv_bytes ? Json(*goal.kv_bytes) : Json(nullptr)},
          {"chosen", report.chosen ? Json(NameOf(report.rows[*report.chosen])) : Json(nullptr)},
          {"seconds", report.seconds},
          {"rows", rows}};
}

plot::ScatterChart TuneChart(const TuneReport& report) {
  plot::ScatterPanel quality{.y_label = kKldLabel, .logarithmic = true, .points = {}};
  plot::ScatterPanel speed{.y_label = "tokens per second", .points = {}};
  for (size_t i = 0; i < report.rows.size(); ++i) {
    const TuneRow& row = report.rows[i];
    if (row.divergence.chunks == 0) continue;
    plot::ScatterPoint point = KldPoint(row.size.kv, row.size.bits_per_element, row.divergence);
    point.on_line = row.on_frontier;
    point.bold = report.chosen == i;
    quality.points.push_back(point);
    if (row.tokens_per_second <= 0) continue;
    point.y = row.tokens_per_second;
    point.range = {row.min_tokens_per_second, row.max_tokens_per_second};
    point.on_line = false;
    speed.points.push_back(std::move(point));
  }
  plot::ScatterChart chart{
      .title = fmt::format("What a cache costs: {}", report.model),
      .subtitle = fmt::format(
          "{} chunks of {} tokens, exact mode against {} · bars: 95 % bootstrap intervals; of speeds, the range",
          report.chunks, report.context, ComputeModeName(report.quality_compute)),
      .x_label = kBitsLabel,
      .panels = {std::move(quality)}};
  if (!speed.points.empty()) chart.panels.push_back(std::move(speed));
  return chart;
}

Receipt ReceiptOf(const TuneReport& report) {
  KV_CHECK(report.chosen.has_value());
  const TuneRow& row = report.rows[*report.chosen];
  const TuneRow* f16 = RowNamed(report, "f16");
  return {.kv = row.size.kv,
          .context_tokens = report.context,
          .figures = {.mean_kld = row.divergence.mean_kld,
                      .mean_kld_interval = row.divergence.mean_kld_interval,
                      .perplexity_ratio = row.divergence.perplexity_ratio,
                      .perplexity_ratio_interval = row.divergence.perplexity_ratio_interval,
                      .same_top = row.divergence.same_top,
                      .chunks = row.divergence.chunks,
                      .bits_per_element = row.size.bits_per_element,
                      .bytes = row.held_bytes,
                      .peak_bytes = row.size.peak_bytes,
                      .tokens_per_gib = row.size.tokens_per_gib,
                      .decode_tokens_per_second = row.tokens_per_second,
                      .f16_decode_tokens_per_second = f16 == nullptr ? 0 : f16->tokens_per_second},
          .isa = report.isa,
          .compute = std::string(ComputeModeName(report.speed_compute)),
          .threads = report.threads};
}

}  // namespace kvasir::cli
