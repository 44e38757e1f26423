// Where a text stands in a grammar, and how it moves on.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "grammar/program.h"
#include "kvasir/result.h"

namespace kvasir::grammar {

/// Runs a Program. A position is a set of places (state of a rule, return addresses of the rules around it), because a
/// grammar may be ambiguous; equal positions have equal numbers, and a move that was made once is a look-up. One thread
/// at a time. The program must outlive the walker.
class Walker {
 public:
  using Position = uint32_t;
  using Stack = uint32_t;
  struct Place {
    uint32_t state = 0;
    Stack stack = 0;
    auto operator<=>(const Place&) const = default;
  };
  static constexpr Position kDead = 0;  ///< Nothing may follow, and the text is not complete.
  static constexpr Stack kBottom = 0;   ///< The root rule's own stack.
  static constexpr Stack kUnknown = 1;  ///< A stack nobody looked at: see StartInside.

  /// Rules inside each other at most, and places of one position: beyond them a text is not followed further.
  static constexpr uint32_t kDeepest = 1'000;
  static constexpr size_t kMostPlaces = 500;
  /// Positions that are remembered; beyond it all but the present one are forgotten.
  static constexpr size_t kMostPositions = 4'096;
  /// Positions and steps between two calls of Tidy, so that no grammar can make one mask expensive without end.
  static constexpr size_t kMostNewPositions = 70'000;
  static constexpr size_t kMostWork = 20'000'000;

  explicit Walker(const Program& program);

  /// The position before the text.
  [[nodiscard]] Position Start();
  /// The position of one state, inside a rule about whose callers nothing is known. Where the rule ends, the position
  /// is `escaped`.
  [[nodiscard]] Position StartInside(uint32_t state);

  /// After one more byte.
  [[nodiscard]] Position Next(Position position, uint8_t byte) {
    const Row* row = positions_[position].row.get();
    if (row != nullptr && (*row)[byte] != kNotYet) return (*row)[byte];
    return Move(position, byte);
  }
  [[nodiscard]] Position NextText(Position position, std::string_view text);
  /// After the special token.
  [[nodiscard]] Position NextSpecial(Position position, uint32_t special);
  /// Whatever is in one or the other.
  [[nodiscard]] Position Both(Position a, Position b);

  [[nodiscard]] std::span<const Place> places(Position position) const { return positions_[position].places; }
  /// The text is complete.
  [[nodiscard]] bool complete(Position position) const { return positions_[position].complete; }
  /// The rule that StartInside began in has ended.
  [[nodiscard]] bool escaped(Position position) const { return positions_[position].escaped; }

  /// To be called between tokens. When the walker holds many positions it forgets all but `position`, gives it a new
  /// number, and returns true.
  bool Tidy(Position& position);
  /// An error once a limit was met; what was not followed is missing from every later position.
  [[nodiscard]] const Status& status() const { return status_; }

 private:
  static constexpr Position kNotYet = ~Position{0};
  using Row = std::array<Position, 256>;
  struct Known {
    std::vector<Place> places;
    bool complete = false;
    bool escaped = false;
    std::unique_ptr<Row> row;  // made by the first move
  };
  struct StackEntry {
    uint32_t return_to = 0;
    Stack below = 0;
    uint32_t depth = 0;
  };

  Position Move(Position position, uint8_t byte);
  void Begin();
  void Reach(uint32_t state, Stack stack);
  Position Finish();
  Position Keep(Known known);
  Stack Push(uint32_t return_to, Stack below);

  const Program& program_;
  std::vector<StackEntry> stacks_;
  std::unordered_map<uint64_t, Stack> stack_numbers_;
  std::vector<Known> positions_;
  std::unordered_multimap<uint64_t, Position> position_numbers_;
  Status status_;

  // The position that is being put together.
  Known fresh_;
  std::vector<Place> pending_;
  std::vector<Place> seen_;
  size_t work_ = 0;
};

}  // namespace kvasir::grammar
