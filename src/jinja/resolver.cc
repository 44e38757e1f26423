// Names to slots.
//
// Jinja decides at compile time where each variable lives, and its answers are visible: what a loop assigns is gone
// behind it, a name that a frame reads before it assigns it is the outer one, and so on. The resolver repeats the two
// passes of that decision. For each frame, first all names in it are noted in the order of the source (frames inside
// are not entered, only what they read from this one), then each mention is bound, and the frames inside are resolved
// with this one as their parent.

#include "jinja/resolver.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "jinja/ast_walk.h"
#include "jinja/lexer.h"
#include "jinja/symbols.h"

namespace kvasir::jinja {

namespace {

constexpr std::string_view kLoop = "loop";

enum class Mention : uint8_t { kLoad, kStore, kParameter };

/// Calls `visit(name, Mention, line)` for every name under `expr`.
template <typename Visit>
void ForEachName(Expr& expr, Mention mention, Visit visit) {
  if (const auto* name = std::get_if<NameExpr>(&expr.node)) return visit(name->name, mention, expr.line);
  ForEachChild(expr.node, [&](ExprPtr& child) { ForEachName(*child, mention, visit); });
}

template <typename Visit>
void ForEachName(ExprPtr& expr, Mention mention, Visit visit) {
  if (expr) ForEachName(*expr, mention, visit);
}

template <typename Visit>
void ForEachName(Body& body, Visit visit);

template <typename Visit>
void ForEachName(MacroDefinition& definition, Visit visit) {
  for (const MacroParameter& parameter : definition.parameters) visit(parameter.name, Mention::kParameter, 0);
  for (MacroParameter& parameter : definition.parameters) ForEachName(parameter.fallback, Mention::kLoad, visit);
  ForEachName(definition.body, visit);
}

/// Every name under `body`, nested frames included, in the order in which Jinja meets them.
template <typename Visit>
void ForEachName(Body& body, Visit visit) {
  for (Stmt& stmt : body) {
    std::visit(Overloaded{
                   [](TextStmt&) {},
                   [](BreakStmt&) {},
                   [](ContinueStmt&) {},
                   [&](PrintStmt& s) { ForEachName(s.value, Mention::kLoad, visit); },
                   [&](IfStmt& s) {
                     for (auto& [test, then] : s.branches) {
                       ForEachName(test, Mention::kLoad, visit);
                       ForEachName(then, visit);
                     }
                     ForEachName(s.otherwise, visit);
                   },
                   [&](ForStmt& s) {
                     ForEachName(s.target, Mention::kStore, visit);
                     ForEachName(s.iterable, Mention::kLoad, visit);
                     ForEachName(s.body, visit);
                     ForEachName(s.otherwise, visit);
                     ForEachName(s.test, Mention::kLoad, visit);
                   },
                   [&](SetStmt& s) {
                     ForEachName(s.target, Mention::kStore, visit);
                     ForEachName(s.value, Mention::kLoad, visit);
                   },
                   [&](SetBlockStmt& s) {
                     ForEachName(s.target, Mention::kStore, visit);
                     ForEachName(s.filter, Mention::kLoad, visit);
                     ForEachName(s.body, visit);
                   },
                   [&](MacroStmt& s) { ForEachName(s.definition, visit); },
                   [&](CallBlockStmt& s) {
                     ForEachName(s.call, Mention::kLoad, visit);
                     ForEachName(s.definition, visit);
                   },
                   [&](FilterBlockStmt& s) {
                     ForEachName(s.body, visit);
                     ForEachName(s.filter, Mention::kLoad, visit);
                   },
                   [&](WithStmt& s) {
                     for (auto& [target, value] : s.assignments) ForEachName(target, Mention::kParameter, visit);
                     for (auto& [target, value] : s.assignments) ForEachName(value, Mention::kLoad, visit);
                     ForEachName(s.body, visit);
                   },
                   [&](ScopeStmt& s) { ForEachName(s.body, visit); },
               },
               stmt.node);
  }
}

/// Whether `body` reads `name` before anything in it assigns that name.
bool IsUndeclared(Body& body, std::string_view name) {
  bool found = false;
  bool declared = false;
  ForEachName(body, [&](const std::string& mentioned, Mention mention, int) {
    if (mentioned != name || declared) return;
    if (mention == Mention::kLoad) {
      found = true;
    } else {
      declared = true;
    }
  });
  return found;
}

class Resolver {
 public:
  Status Run(Program& program) {
    Symbols symbols(nullptr, program.scope);
    NoteBody(symbols, program.body);
    return BindBody(symbols, program.body);
  }

 private:
  // ---- First pass: what the names of a frame are ----

  static void NoteExpr(Symbols& symbols, Expr& expr) {
    if (const auto* name = std::get_if<NameExpr>(&expr.node)) return symbols.NoteLoad(name->name);
    if (const auto* target = std::get_if<NamespaceTarget>(&expr.node)) return symbols.NoteLoad(target->name);
    ForEachChild(expr.node, [&](ExprPtr& child) { NoteExpr(symbols, *child); });
  }

  static void NoteExpr(Symbols& symbols, ExprPtr& expr) {
    if (expr) NoteExpr(symbols, *expr);
  }

  static void NoteTarget(Symbols& symbols, Expr& target, bool is_parameter) {
    if (const auto* name = std::get_if<NameExpr>(&target.node)) {
      if (is_parameter) {
        symbols.DeclareParameter(name->name);
      } else {
        symbols.NoteStore(name->name);
      }
    } else if (const auto* attribute = std::get_if<NamespaceTarget>(&target.node)) {
      symbols.NoteLoad(attribute->name);
    } else {
      ForEachChild(target.node, [&](ExprPtr& child) { NoteTarget(symbols, *child, is_parameter); });
    }
  }

  static void NoteIf(Symbols& symbols, IfStmt& stmt) {
    // Only the first test is sure to be evaluated; the others belong to the branch of the elifs.
    NoteExpr(symbols, stmt.branches.front().first);
    std::vector<Symbols::Branch> branches;
    const auto note = [&](auto action) {
      const size_t mark = symbols.Mark();
      action();
      branches.push_back(symbols.TakeBack(mark));
    };
    note([&] { NoteBody(symbols, stmt.branches.front().second); });
    note([&] {
      for (size_t i = 1; i < stmt.branches.size(); ++i) {
        NoteExpr(symbols, stmt.branches[i].first);
        const size_t mark = symbols.Mark();
        NoteBody(symbols, stmt.branches[i].second);
        std::vector<Symbols::Branch> one;
        one.push_back(symbols.TakeBack(mark));
        symbols.Merge(one);
      }
    });
    note([&] { NoteBody(symbols, stmt.otherwise); });
    symbols.Merge(branches);
  }

  static void NoteBody(Symbols& symbols, Body& body) {
    for (Stmt& stmt : body) {
      std::visit(Overloaded{
                     [](TextStmt&) {},
                     [](BreakStmt&) {},
                     [](ContinueStmt&) {},
                     [](ScopeStmt&) {},
                     [&](PrintStmt& s) { NoteExpr(symbols, s.value); },
                     [&](IfStmt& s) { NoteIf(symbols, s); },
                     [&](ForStmt& s) { NoteExpr(symbols, s.iterable); },
                     [&](SetStmt& s) {
                       NoteExpr(symbols, s.value);
                       NoteTarget(symbols, *s.target, false);
                     },
                     [&](SetBlockStmt& s) { NoteTarget(symbols, *s.target, false); },
                     [&](MacroStmt& s) { symbols.NoteStore(s.definition.name); },
                     [&](CallBlockStmt& s) { NoteExpr(symbols, s.call); },
                     [&](FilterBlockStmt& s) { NoteExpr(symbols, s.filter); },
                     [&](WithStmt& s) {
                       for (auto& [target, value] : s.assignments) NoteExpr(symbols, value);
                     },
                 },
                 stmt.node);
    }
  }

  // ---- Second pass: binding, and the frames inside ----

  Status BindExpr(Symbols& symbols, Expr& expr) {
    if (auto* name = std::get_if<NameExpr>(&expr.node)) {
      name->ref = Bind(symbols, name->name);
      return {};
    }
    if (auto* target = std::get_if<NamespaceTarget>(&expr.node)) {
      target->ref = Bind(symbols, target->name);
      return {};
    }
    const bool was_soft = soft_;
    if (std::holds_alternative<ConditionalExpr>(expr.node)) soft_ = true;
    if (const auto* apply = std::get_if<ApplyExpr>(&expr.node);
        apply != nullptr && apply->builtin == nullptr && !soft_) {
      return FailAt(expr.line, fmt::format("No {} named '{}'.", apply->is_test ? "test" : "filter", apply->name));
    }
    Status status;
    ForEachChild(expr.node, [&](ExprPtr& child) {
      if (status) status = BindExpr(symbols, *child);
    });
    soft_ = was_soft;
    return status;
  }

  Status BindExpr(Symbols& symbols, ExprPtr& expr) { return expr ? BindExpr(symbols, *expr) : Status(); }

  static SlotRef Bind(Symbols& symbols, const std::string& name) {
    symbols.NoteLoad(name);
    return *symbols.Find(name);
  }

  Status BindBody(Symbols& symbols, Body& body) {
    for (Stmt& stmt : body) {
      KV_TRY(std::visit([&](auto& node) { return BindStmt(symbols, node, stmt.line); }, stmt.node));
    }
    return {};
  }

  /// Binds `body` as that of an inner frame, where filters must exist even under an `if` further out.
  Status BindInner(Symbols& symbols, Body& body) {
    const bool was_soft = std::exchange(soft_, false);
    const Status status = BindBody(symbols, body);
    soft_ = was_soft;
    return status;
  }

  Status BindStmt(Symbols&, TextStmt&, int) { return {}; }
  Status BindStmt(Symbols&, BreakStmt&, int) { return {}; }
  Status BindStmt(Symbols&, ContinueStmt&, int) { return {}; }
  Status BindStmt(Symbols& symbols, PrintStmt& stmt, int) { return BindExpr(symbols, stmt.value); }

  Status BindStmt(Symbols& symbols, IfStmt& stmt, int) {
    const bool was_soft = std::exchange(soft_, true);
    for (auto& [test, then] : stmt.branches) {
      KV_TRY(BindExpr(symbols, test));
      KV_TRY(BindBody(symbols, then));
    }
    KV_TRY(BindBody(symbols, stmt.otherwise));
    soft_ = was_soft;
    return {};
  }

  Status BindStmt(Symbols& symbols, SetStmt& stmt, int) {
    KV_TRY(BindExpr(symbols, stmt.value));
    return BindExpr(symbols, stmt.target);
  }

  Status CheckLoopIsNotAssigned(ForStmt& stmt, int line) {
    Status status;
    const auto check = [&](const std::string& name, Mention mention, int at) {
      if (name == kLoop && mention == Mention::kStore && status) {
        status = FailAt(at == 0 ? line : at, "Can't assign to special loop variable in for-loop target");
      }
    };
    ForEachName(stmt.target, Mention::kStore, check);
    ForEachName(stmt.body, check);
    ForEachName(stmt.otherwise, check);
    return status;
  }

  Status BindStmt(Symbols& symbols, ForStmt& stmt, int line) {
    KV_TRY(CheckLoopIsNotAssigned(stmt, line));
    KV_TRY(BindExpr(symbols, stmt.iterable));
    stmt.uses_loop = stmt.recursive || IsUndeclared(stmt.body, kLoop);

    // The target comes first in both frames, so that it has the same slots in both.
    Symbols inner(&symbols, stmt.scope);
    NoteTarget(inner, *stmt.target, true);
    if (stmt.uses_loop) stmt.loop_slot = inner.DeclareParameter(std::string(kLoop));
    NoteBody(inner, stmt.body);
    KV_TRY(BindExpr(inner, stmt.target));
    KV_TRY(BindInner(inner, stmt.body));

    if (stmt.test) {
      Symbols test(&symbols, stmt.test_scope);
      NoteTarget(test, *stmt.target, true);
      NoteExpr(test, stmt.test);
      const bool was_soft = std::exchange(soft_, false);
      KV_TRY(BindExpr(test, stmt.test));
      soft_ = was_soft;
    }
    Symbols otherwise(&symbols, stmt.else_scope);
    NoteBody(otherwise, stmt.otherwise);
    return BindInner(otherwise, stmt.otherwise);
  }

  Status BindStmt(Symbols& symbols, SetBlockStmt& stmt, int) {
    Symbols inner(&symbols, stmt.scope);
    NoteBody(inner, stmt.body);
    NoteExpr(inner, stmt.filter);
    KV_TRY(BindInner(inner, stmt.body));
    KV_TRY(BindExpr(inner, stmt.filter));
    return BindExpr(symbols, stmt.target);
  }

  Status BindStmt(Symbols& symbols, FilterBlockStmt& stmt, int) {
    Symbols inner(&symbols, stmt.scope);
    NoteBody(inner, stmt.body);
    NoteExpr(inner, stmt.filter);
    KV_TRY(BindInner(inner, stmt.body));
    return BindExpr(inner, stmt.filter);
  }

  Status BindStmt(Symbols& symbols, WithStmt& stmt, int) {
    Symbols inner(&symbols, stmt.scope);
    for (auto& [target, value] : stmt.assignments) NoteTarget(inner, *target, true);
    NoteBody(inner, stmt.body);
    for (auto& [target, value] : stmt.assignments) {
      KV_TRY(BindExpr(symbols, value));
      KV_TRY(BindExpr(inner, target));
    }
    return BindInner(inner, stmt.body);
  }

  Status BindStmt(Symbols& symbols, ScopeStmt& stmt, int) {
    Symbols inner(&symbols, stmt.scope);
    NoteBody(inner, stmt.body);
    return BindInner(inner, stmt.body);
  }

  Status BindStmt(Symbols& symbols, MacroStmt& stmt, int line) {
    symbols.MarkCaptured();
    stmt.ref = Bind(symbols, stmt.definition.name);
    return BindDefinition(symbols, stmt.definition, line);
  }

  Status BindStmt(Symbols& symbols, CallBlockStmt& stmt, int line) {
    if (stmt.call) symbols.MarkCaptured();
    KV_TRY(BindExpr(symbols, stmt.call));
    return BindDefinition(symbols, stmt.definition, line);
  }

  Status BindDefinition(Symbols& symbols, MacroDefinition& macro, int line) {
    Symbols inner(&symbols, macro.scope);
    const auto has_parameter = [&](std::string_view name) {
      return std::ranges::any_of(macro.parameters, [&](const MacroParameter& p) { return p.name == name; });
    };
    for (MacroParameter& parameter : macro.parameters) parameter.slot = inner.DeclareParameter(parameter.name);
    for (MacroParameter& parameter : macro.parameters) NoteExpr(inner, parameter.fallback);
    NoteBody(inner, macro.body);
    if (IsUndeclared(macro.body, "caller")) {
      macro.accesses_caller = true;
      if (!macro.explicit_caller) {
        macro.caller_slot = inner.DeclareParameter("caller");
      } else if (std::ranges::any_of(macro.parameters,
                                     [](const MacroParameter& p) { return p.name == "caller" && !p.fallback; })) {
        return FailAt(line,
                      "When defining macros or call blocks the special \"caller\" argument must be omitted or be given "
                      "a default.");
      }
    }
    if (IsUndeclared(macro.body, "kwargs") && !has_parameter("kwargs"))
      macro.kwargs_slot = inner.DeclareParameter("kwargs");
    if (IsUndeclared(macro.body, "varargs") && !has_parameter("varargs")) {
      macro.varargs_slot = inner.DeclareParameter("varargs");
    }
    for (MacroParameter& parameter : macro.parameters) KV_TRY(BindExpr(inner, parameter.fallback));
    return BindInner(inner, macro.body);
  }

  bool soft_ = false;  ///< Inside an if: a filter that does not exist is an error only when it is reached.
};

}  // namespace

Status ResolveNames(Program& program) {
  return Resolver().Run(program);
}

}  // namespace kvasir::jinja
