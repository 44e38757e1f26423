// The variable `loop`.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

#include "jinja/ast.h"
#include "jinja/interpreter.h"
#include "jinja/iteration.h"
#include "jinja/value.h"

namespace kvasir::jinja {

/// What a loop knows about itself. It reads one item ahead when asked for `last` or `nextitem`, and all of them when
/// asked for the length of something that has none.
class LoopContext final : public Iterator {
 public:
  LoopContext(Interpreter& interpreter, const ForStmt& loop, Frame* outer, Value iterable, IteratorPtr iterator,
              int64_t depth0)
      : Iterator(std::max(iterable.depth(), iterator->depth()) + 1),
        interpreter_(interpreter),
        loop_(&loop),
        outer_(outer),
        iterable_(std::move(iterable)),
        iterator_(std::move(iterator)),
        depth0_(depth0) {}

  std::string_view type_name() const override { return "LoopContext"; }
  std::string_view qualified_type_name() const override { return "jinja2.runtime.LoopContext"; }
  bool callable() const override { return true; }
  Result<std::optional<size_t>> Length(Runtime& runtime) override;
  Result<std::optional<Value>> Attribute(Runtime& runtime, std::string_view name) override;
  /// `loop(children)` in a recursive loop.
  Result<Value> Call(Runtime& runtime, Arguments arguments) override;
  Status Repr(Runtime& runtime, std::string& out) override;
  Result<std::optional<Value>> Next(Runtime& runtime) override;

  Result<Value> Cycle(const Arguments& arguments) const;
  Result<Value> Changed(Runtime& runtime, Arguments arguments);
  /// Lets go of everything: the loop is over, and what it kept may contain the loop.
  void Finish();

 private:
  Status Peek(Runtime& runtime);

  Interpreter& interpreter_;
  const ForStmt* loop_;  ///< null when the loop is over
  Frame* outer_;
  Value iterable_;  ///< missing when its length is unknown
  IteratorPtr iterator_;
  int64_t depth0_;
  int64_t index0_ = -1;
  std::optional<int64_t> length_;
  std::optional<Value> after_;
  Value current_;
  Value before_;
  Value last_changed_;
};

}  // namespace kvasir::jinja
