// The places of a position are kept closed: what can be reached without reading (entering a rule that is called,
// leaving one that ends) is in it already, and only places that can read something are written down. Stacks are shared:
// one is a return address on top of another, and equal ones have equal numbers, so a place is two words and positions
// are compared by their words.
//
// A call whose return address has nothing left to do but end is entered without a new stack entry (a tail call), so
// grammars that repeat by recursion at the end of a rule need no depth.
#include "grammar/walker.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <utility>

namespace kvasir::grammar {
namespace {

// Steps of closing one position at most.
constexpr size_t kMostSteps = 4 * Walker::kMostPlaces;

uint64_t HashOf(std::span<const Walker::Place> places, bool complete, bool escaped) {
  uint64_t hash = 0x9E3779B97F4A7C15ULL + (complete ? 1 : 0) + (escaped ? 2 : 0);
  for (const Walker::Place& place : places) {
    hash = (hash ^ ((uint64_t{place.state} << 32U) | place.stack)) * 0xD6E8FEB86659FD93ULL;
    hash ^= hash >> 32U;
  }
  return hash;
}

}  // namespace

Walker::Walker(const Program& program) : program_(program), stacks_(2) {
  Keep({});  // kDead
}

Walker::Position Walker::Start() {
  Begin();
  Reach(program_.start(), kBottom);
  return Finish();
}

Walker::Position Walker::StartInside(uint32_t state) {
  fresh_ = {};
  fresh_.places.push_back({state, kUnknown});
  return Keep(std::exchange(fresh_, {}));
}

Walker::Position Walker::Move(Position position, uint8_t byte) {
  if (positions_[position].row == nullptr) {
    positions_[position].row = std::make_unique<Row>();
    positions_[position].row->fill(positions_[position].places.empty() ? kDead : kNotYet);
    if (positions_[position].places.empty()) return kDead;
  }
  if (!status_) return kDead;
  Begin();
  for (const Place& place : positions_[position].places) {
    for (const Program::Edge& edge : program_.edges(place.state)) {
      if (byte < edge.low) break;
      if (byte > edge.high) continue;
      Reach(edge.target, place.stack);
      break;
    }
  }
  const Position next = Finish();
  (*positions_[position].row)[byte] = next;
  return next;
}

Walker::Position Walker::NextText(Position position, std::string_view text) {
  for (const char c : text) position = Next(position, static_cast<uint8_t>(c));
  return position;
}

Walker::Position Walker::NextSpecial(Position position, uint32_t special) {
  Begin();
  for (const Place& place : positions_[position].places) {
    for (const Program::Special& edge : program_.special_edges(place.state)) {
      if (edge.special == special) Reach(edge.target, place.stack);
    }
  }
  return Finish();
}

Walker::Position Walker::Both(Position a, Position b) {
  if (a == kDead || a == b) return b;
  if (b == kDead) return a;
  Begin();
  for (const Position each : {a, b}) {
    const Known& known = positions_[each];
    fresh_.complete = fresh_.complete || known.complete;
    fresh_.escaped = fresh_.escaped || known.escaped;
    fresh_.places.insert(fresh_.places.end(), known.places.begin(), known.places.end());
  }
  return Finish();
}

void Walker::Begin() {
  fresh_ = {};
  seen_.clear();
}

void Walker::Reach(uint32_t state, Stack stack) {
  pending_.assign(1, {state, stack});
  while (!pending_.empty()) {
    const Place place = pending_.back();
    pending_.pop_back();
    if (std::ranges::find(seen_, place) != seen_.end()) continue;
    work_ += seen_.size() + 1;
    if (seen_.size() >= kMostSteps || fresh_.places.size() >= kMostPlaces || work_ > kMostWork ||
        positions_.size() > kMostNewPositions) {
      status_ = Fail(ErrorCode::kInvalidArgument,
                     fmt::format("the grammar is too ambiguous: more than {} ways to read the text so far; write it so "
                                 "that few alternatives begin alike",
                                 kMostPlaces));
      return;
    }
    seen_.push_back(place);
    if (!program_.edges(place.state).empty() || !program_.special_edges(place.state).empty()) {
      fresh_.places.push_back(place);
    }
    for (const Program::Call& call : program_.calls(place.state)) {
      if (program_.only_ends(call.return_to)) {
        pending_.push_back({call.start, place.stack});
      } else if (stacks_[place.stack].depth < kDeepest) {
        pending_.push_back({call.start, Push(call.return_to, place.stack)});
      } else {
        status_ = Fail(ErrorCode::kInvalidArgument,
                       fmt::format("the text nests more than {} rules of the grammar into each other", kDeepest));
      }
    }
    if (!program_.accepts(place.state)) continue;
    if (place.stack == kBottom) {
      fresh_.complete = true;
    } else if (place.stack == kUnknown) {
      fresh_.escaped = true;
    } else {
      pending_.push_back({stacks_[place.stack].return_to, stacks_[place.stack].below});
    }
  }
}

Walker::Position Walker::Finish() {
  std::ranges::sort(fresh_.places);
  fresh_.places.erase(std::ranges::unique(fresh_.places).begin(), fresh_.places.end());
  return Keep(std::exchange(fresh_, {}));
}

Walker::Position Walker::Keep(Known known) {
  const uint64_t hash = HashOf(known.places, known.complete, known.escaped);
  const auto [begin, end] = position_numbers_.equal_range(hash);
  for (auto at = begin; at != end; ++at) {
    const Known& other = positions_[at->second];
    if (other.places == known.places && other.complete == known.complete && other.escaped == known.escaped) {
      return at->second;
    }
  }
  const auto number = static_cast<Position>(positions_.size());
  position_numbers_.emplace(hash, number);
  positions_.push_back(std::move(known));
  return number;
}

Walker::Stack Walker::Push(uint32_t return_to, Stack below) {
  const auto [at, is_new] =
      stack_numbers_.try_emplace((uint64_t{return_to} << 32U) | below, static_cast<Stack>(stacks_.size()));
  if (is_new) stacks_.push_back({return_to, below, stacks_[below].depth + 1});
  return at->second;
}

bool Walker::Tidy(Position& position) {
  work_ = 0;
  if (positions_.size() < kMostPositions && stacks_.size() < 16 * kMostPositions) return false;
  Known kept = std::move(positions_[position]);
  kept.row.reset();  // its numbers are of before
  const std::vector<StackEntry> old = std::exchange(stacks_, std::vector<StackEntry>(2));
  stack_numbers_.clear();
  positions_.clear();
  position_numbers_.clear();
  Keep({});
  std::vector<uint32_t> returns;
  for (Place& place : kept.places) {
    returns.clear();
    Stack stack = place.stack;
    for (; stack > kUnknown; stack = old[stack].below) returns.push_back(old[stack].return_to);
    for (; !returns.empty(); returns.pop_back()) stack = Push(returns.back(), stack);
    place.stack = stack;
  }
  std::ranges::sort(kept.places);
  position = Keep(std::move(kept));
  return true;
}

}  // namespace kvasir::grammar
