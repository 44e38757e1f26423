// The names of one frame while it is being resolved.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "jinja/ast.h"

namespace kvasir::jinja {

/// Which names a frame defines, in which slot, and what each slot holds on entry. The rules are Jinja's: a name is read
/// from the nearest frame that mentions it, a name first assigned in an inner frame starts as an alias of the outer
/// one, and assignments in some branches of an `if` are merged behind it.
class Symbols {
 public:
  Symbols(Symbols* parent, Scope& scope) : parent_(parent), scope_(scope) {}

  /// Notes that `name` is read, assigned, or set by whoever enters the frame (the slot is returned).
  void NoteLoad(const std::string& name);
  void NoteStore(const std::string& name);
  uint32_t DeclareParameter(const std::string& name);

  /// Where `name` lives, seen from this frame.
  [[nodiscard]] std::optional<SlotRef> Find(const std::string& name) const;

  /// What the notes of one branch of an `if` added.
  struct Branch {
    std::vector<std::string> refs;
    std::vector<std::pair<uint32_t, Load>> loads;
    std::set<std::string> stores;
  };
  /// Everything noted since `mark` is taken back and returned.
  [[nodiscard]] size_t Mark() const { return journal_.size(); }
  [[nodiscard]] Branch TakeBack(size_t mark);
  /// Notes what happens when one of `branches` is run.
  void Merge(const std::vector<Branch>& branches);

  /// Marks this frame and all around it as captured by a macro.
  void MarkCaptured();

 private:
  struct Change {
    enum class Kind : uint8_t { kRef, kStore, kLoad } kind;
    std::string name;
    uint32_t slot = 0;
    Load before;
  };

  uint32_t SlotOf(const std::string& name);
  uint32_t Define(const std::string& name, Load load);
  void AddRef(const std::string& name);
  void AddStore(const std::string& name);
  void SetLoad(uint32_t slot, Load load);

  Symbols* parent_;
  Scope& scope_;
  std::unordered_map<std::string, uint32_t> slots_;  ///< of every name ever defined here
  std::set<std::string> refs_;                       ///< the names defined now
  std::set<std::string> stores_;
  std::vector<Change> journal_;
};

}  // namespace kvasir::jinja
