// What one rendering has at hand: its budget, its clock, and the way to make values that are paid for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "jinja/render_options.h"
#include "jinja/value.h"

namespace kvasir::jinja {

/// The budget and the services of one rendering; one thread uses it. Every loop over input takes steps, and every
/// string and container is made here, so that no template runs for ever or fills the memory.
class Runtime {
 public:
  explicit Runtime(const RenderOptions& options) : options_(options) {}
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// Pays for `count` units of work. Errors: kResourceExhausted when the steps, or the memory paid since, are spent.
  Status Step(uint64_t count = 1) {
    steps_ += count;
    const RenderLimits& limits = options_.limits;
    if (steps_ > limits.max_steps || meter_.live_bytes > limits.max_live_bytes ||
        meter_.total_bytes > limits.max_total_bytes || too_deep_) [[unlikely]] {
      return Exhausted();
    }
    return {};
  }
  /// To be asked before making one string or container of `bytes`, when an argument decides the size.
  Status Reserve(size_t bytes);
  /// Refuses `count` times `size` bytes like Reserve, without overflow.
  Status Reserve(size_t count, size_t size);
  /// Pays for memory that is soon given back; the next Step notices when it was too much.
  void Charge(size_t bytes) { meter_.total_bytes += bytes; }
  /// Counts what values keep in memory.
  [[nodiscard]] Meter& meter() { return meter_; }

  Value String(std::string text, bool markup = false);
  Value MakeList(std::vector<Value> items);
  Value MakeTuple(std::vector<Value> items);
  /// The value of an object made with std::make_shared, paid with a flat amount.
  Value MakeObject(std::shared_ptr<Object> object);
  Value MakeDict(std::shared_ptr<Dict> dict);

  /// Keeps `object` until the rendering ends and then has `release` called on it, to cut reference cycles.
  template <typename T>
  void CutAtEnd(const std::shared_ptr<T>& object) {
    meter_.live_bytes += sizeof(T) + kCyclicBytes;
    cyclic_.emplace_back(object, [](Object& o) { static_cast<T&>(o).Clear(); });
  }

  [[nodiscard]] const RenderOptions& options() const { return options_; }

  /// Levels of evaluation in progress: see DepthGuard.
  uint32_t depth = 0;

 private:
  /// What an object kept to the end costs besides itself.
  static constexpr size_t kCyclicBytes = 192;

  Status Exhausted() const;
  void NoteDepth(const Value& value) { too_deep_ = too_deep_ || value.depth() > kMaxValueDepth; }

  const RenderOptions& options_;
  uint64_t steps_ = 0;
  Meter meter_;
  bool too_deep_ = false;
  std::vector<std::pair<std::shared_ptr<Object>, void (*)(Object&)>> cyclic_;
};

/// Counts one level of recursion while it lives.
class DepthGuard {
 public:
  /// Statements and expressions may nest and call this deep; a level costs up to about 1.5 KiB of stack.
  static constexpr uint32_t kMaxDepth = 1800;

  explicit DepthGuard(Runtime& runtime) : runtime_(runtime) { ++runtime_.depth; }
  ~DepthGuard() { --runtime_.depth; }
  DepthGuard(const DepthGuard&) = delete;
  DepthGuard& operator=(const DepthGuard&) = delete;

  [[nodiscard]] Status Check() const;

 private:
  Runtime& runtime_;
};

}  // namespace kvasir::jinja
