#include "eval/divergence_meter.h"

#include <cmath>

#include "eval/bootstrap.h"

namespace kvasir::eval {

std::optional<Interval> Exp(const std::optional<Interval>& interval) {
  if (!interval) return std::nullopt;
  return Interval{.low = std::exp(interval->low), .high = std::exp(interval->high)};
}

void ByChunk::EndChunk() {
  double sum = 0;
  for (const double value : chunk_) {
    all_.Add(value);
    sum += value;
  }
  means_.push_back(chunk_.empty() ? 0 : sum / static_cast<double>(chunk_.size()));
  chunk_.clear();
}

std::optional<Interval> ByChunk::Bootstrap(uint64_t seed) const {
  return BootstrapMean(means_, seed);
}

void DivergenceMeter::Add(const LockstepRow& row) {
  const double exact_norm = LogSumExp(row.exact);
  const double norm = LogSumExp(row.asked);
  const auto next = static_cast<size_t>(row.next);
  const double exact_loss = exact_norm - row.exact[next];
  const double loss = norm - row.asked[next];
  divergences_.Add(Divergence(row.exact, exact_norm, row.asked, norm));
  same_top_.Add(TopToken(row.exact) == TopToken(row.asked) ? 1 : 0);
  losses_.Add(loss);
  exact_losses_.Add(exact_loss);
  added_losses_.Add(loss - exact_loss);
}

void DivergenceMeter::EndChunk() {
  for (ByChunk* quantity : all()) quantity->EndChunk();
}

void DivergenceMeter::DropChunk() {
  for (ByChunk* quantity : all()) quantity->DropChunk();
}

DivergenceReport DivergenceMeter::Report(uint64_t seed) const {
  const Sample& divergences = divergences_.all();
  return {.mean_kld = divergences.Mean(),
          .mean_kld_interval = divergences_.Bootstrap(seed),
          .median_kld = divergences.Quantile(0.5),
          .p99_kld = divergences.Quantile(0.99),
          .max_kld = divergences.Quantile(1),
          .same_top = same_top_.all().Mean(),
          .same_top_interval = same_top_.Bootstrap(seed),
          .perplexity = std::exp(losses_.all().Mean()),
          .perplexity_interval = Exp(losses_.Bootstrap(seed)),
          .exact_perplexity = std::exp(exact_losses_.all().Mean()),
          .perplexity_ratio = std::exp(added_losses_.all().Mean()),
          .perplexity_ratio_interval = Exp(added_losses_.Bootstrap(seed)),
          .tokens = static_cast<int64_t>(divergences.size()),
          .chunks = chunks()};
}

}  // namespace kvasir::eval
