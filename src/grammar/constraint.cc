// A vocabulary has 50 to 250 thousand tokens, and a mask is wanted for each token that is generated. Walking the whole
// vocabulary through the grammar each time takes a millisecond and more. But most of what a token meets depends only on
// the state of the rule that the text stands in, not on the rules around it: inside a JSON string nearly every token
// stays inside the string. So the mask of each state is computed once, over the whole vocabulary, as if nothing were
// known about the callers of its rule; the few tokens that run over the rule's end are kept aside, and only they are
// tried with the real callers each time. The idea is XGrammar's (Dong et al. 2024, arXiv:2411.15100).
//
// A mask is then the union over the places of a position: local masks, the crossing tokens that fit, special tokens,
// and the end. States that agree on all texts of a token's length share a mask (Program::class_of), which is why the
// thousand states of a string with a maxLength do not need a thousand walks.
#include "grammar/constraint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"

namespace kvasir::grammar {
namespace {

constexpr size_t kMostTracks = 4;         // kept for later requests
constexpr size_t kMostMasksOfTrack = 64;  // ready masks of whole positions

// Walks `trie` from `start` and calls visit(node, depth's position); where that is kDead, `dead(node)` instead, and
// what is below the node is left out.
template <typename Visit, typename Dead>
void WalkTokens(Walker& walker, Walker::Position start, const TokenTrie& trie, const Visit& visit, const Dead& dead) {
  std::array<Walker::Position, kHorizon + 1> at;
  at[0] = start;
  const std::span<const TokenTrie::Node> nodes = trie.nodes();
  for (size_t i = 0; i < nodes.size();) {
    const TokenTrie::Node& node = nodes[i];
    at[node.depth] = walker.Next(at[node.depth - 1U], node.byte);
    if (at[node.depth] == Walker::kDead) {
      dead(node);
      i = node.skip;
    } else {
      visit(node, at[node.depth]);
      ++i;
    }
  }
}

}  // namespace

TokenGrammar::TokenGrammar(Program program, std::shared_ptr<const TokenTable> table, std::vector<int32_t> special_ids,
                           std::shared_ptr<MaskBudget> budget)
    : program_(std::move(program)),
      table_(std::move(table)),
      special_ids_(std::move(special_ids)),
      budget_(std::move(budget)) {
  KV_CHECK(special_ids_.size() == program_.specials().size());
}

TokenGrammar::~TokenGrammar() {
  budget_->used -= bytes_;
}

Result<std::shared_ptr<const TokenGrammar::LocalMask>> TokenGrammar::LocalMaskOf(uint32_t state) {
  const uint32_t number = program_.class_of(state);
  const std::lock_guard lock(mutex_);
  if (const auto at = masks_.find(number); at != masks_.end()) return at->second;
  KV_ASSIGN(std::shared_ptr<const LocalMask> mask, Compute(number));
  if (budget_->used + mask->bytes > budget_->limit) ForgetMasks();
  bytes_ += mask->bytes;
  budget_->used += mask->bytes;
  masks_[number] = mask;
  return mask;
}

void TokenGrammar::ForgetMasks() {
  masks_.clear();
  budget_->used -= bytes_;
  bytes_ = 0;
}

Result<std::shared_ptr<const TokenGrammar::LocalMask>> TokenGrammar::Compute(uint32_t state) const {
  Walker walker(program_);
  const TokenTrie& trie = table_->trie();
  std::vector<int32_t> inside;
  std::vector<std::pair<std::string_view, int32_t>> crossing;
  std::array<bool, kHorizon + 1> crossed{};  // by depth: the rule may have ended before this byte
  const auto visit = [&](const TokenTrie::Node& node, Walker::Position position) {
    for (uint32_t i = node.tokens_begin; i < node.tokens_end; ++i) inside.push_back(trie.tokens()[i]);
    crossed[node.depth] = crossed[node.depth - 1U] || walker.escaped(position);
  };
  const auto dead = [&](const TokenTrie::Node& node) {
    if (!crossed[node.depth - 1U]) return;
    const uint32_t end = node.skip < trie.nodes().size() ? trie.nodes()[node.skip].tokens_begin
                                                         : static_cast<uint32_t>(trie.tokens().size());
    for (uint32_t i = node.tokens_begin; i < end; ++i) {
      crossing.emplace_back(table_->piece(trie.tokens()[i]), trie.tokens()[i]);
    }
  };
  WalkTokens(walker, walker.StartInside(state), trie, visit, dead);
  KV_TRY(walker.status());
  auto mask = std::make_shared<LocalMask>();
  const auto vocabulary = static_cast<size_t>(table_->vocab_size());
  if (inside.size() > vocabulary / 64) {
    mask->words.assign((vocabulary + 31) / 32, 0);
    for (const int32_t token : inside) mask->words[static_cast<size_t>(token) / 32] |= 1U << (token % 32);
  } else {
    mask->few = std::move(inside);
  }
  mask->crossing = TokenTrie(std::move(crossing));
  mask->bytes = sizeof(LocalMask) + 4 * (mask->words.size() + mask->few.size() + mask->crossing.tokens().size()) +
                sizeof(TokenTrie::Node) * mask->crossing.nodes().size();
  return mask;
}

std::unique_ptr<TokenGrammar::Track> TokenGrammar::BorrowTrack() {
  const std::lock_guard lock(mutex_);
  if (tracks_.empty()) return std::make_unique<Track>(program_);
  std::unique_ptr<Track> track = std::move(tracks_.back());
  tracks_.pop_back();
  return track;
}

void TokenGrammar::ReturnTrack(std::unique_ptr<Track> track) {
  if (!track->walker.status()) return;
  const std::lock_guard lock(mutex_);
  if (tracks_.size() < kMostTracks) tracks_.push_back(std::move(track));
}

Constraint::Constraint(std::shared_ptr<TokenGrammar> grammar, int32_t vocabulary)
    : grammar_(std::move(grammar)),
      track_(grammar_->BorrowTrack()),
      position_(track_->walker.Start()),
      mask_((static_cast<size_t>(vocabulary) + 31) / 32) {
  KV_CHECK(vocabulary >= grammar_->table().vocab_size());
}

Constraint::~Constraint() {
  grammar_->ReturnTrack(std::move(track_));
}

Result<std::span<const uint32_t>> Constraint::Mask() {
  if (const auto ready = track_->masks.find(position_); ready != track_->masks.end() && !ended_) {
    std::ranges::copy(ready->second, mask_.begin());
    return std::span<const uint32_t>(mask_);
  }
  std::ranges::fill(mask_, 0);
  if (!ended_) KV_TRY(Fill());
  if (complete()) {
    for (const int32_t token : grammar_->table().ends()) Set(token);
  }
  if (std::ranges::all_of(mask_, [](uint32_t word) { return word == 0; })) {
    return Fail(ErrorCode::kInvalidArgument,
                position_ == Walker::kDead
                    ? "a token was chosen that the grammar of this request does not allow"
                    : "no token of this model's vocabulary can go on with the text that the grammar wants here");
  }
  if (!ended_) {
    if (track_->masks.size() >= kMostMasksOfTrack) track_->masks.clear();
    track_->masks[position_] = mask_;
  }
  return std::span<const uint32_t>(mask_);
}

Status Constraint::Fill() {
  Walker& walker = track_->walker;
  KV_TRY(walker.status());
  for (const Walker::Place& place : walker.places(position_)) {
    if (!grammar_->program().edges(place.state).empty()) {
      KV_ASSIGN(const std::shared_ptr<const TokenGrammar::LocalMask> local, grammar_->LocalMaskOf(place.state));
      for (size_t i = 0; i < local->words.size(); ++i) mask_[i] |= local->words[i];
      for (const int32_t token : local->few) Set(token);
      AddCrossing(local->crossing);
    }
    for (const Program::Special& edge : grammar_->program().special_edges(place.state)) {
      Set(grammar_->special_ids()[edge.special]);
    }
  }
  return walker.status();
}

void Constraint::AddCrossing(const TokenTrie& crossing) {
  const auto visit = [&](const TokenTrie::Node& node, Walker::Position) {
    for (uint32_t i = node.tokens_begin; i < node.tokens_end; ++i) Set(crossing.tokens()[i]);
  };
  WalkTokens(track_->walker, position_, crossing, visit, [](const TokenTrie::Node&) {});
}

void Constraint::Accept(int32_t token) {
  if (ended_ || std::ranges::find(grammar_->table().ends(), token) != grammar_->table().ends().end()) {
    ended_ = true;
    return;
  }
  Walker& walker = track_->walker;
  Walker::Position next = Walker::kDead;
  const std::span<const int32_t> specials = grammar_->special_ids();
  for (size_t i = 0; i < specials.size(); ++i) {
    if (specials[i] == token) next = walker.NextSpecial(position_, static_cast<uint32_t>(i));
  }
  if (const std::string_view piece = grammar_->table().piece(token); !piece.empty()) {
    next = walker.Both(next, walker.NextText(position_, piece));
  }
  position_ = next;
  if (walker.Tidy(position_)) track_->masks.clear();
}

}  // namespace kvasir::grammar
