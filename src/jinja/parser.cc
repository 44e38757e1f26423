// The statement half of the parser: data, prints and tags.

#include "jinja/parser.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "base/check.h"
#include "jinja/expression_parser.h"
#include "jinja/token_stream.h"

namespace kvasir::jinja {

namespace {

/// Tags that only make sense with a loader of further templates, or for inheritance.
constexpr std::array<std::string_view, 5> kTagsOfOtherTemplates = {"extends", "include", "import", "from", "block"};

class StatementParser {
 public:
  explicit StatementParser(const std::vector<Token>& tokens) : stream_(tokens), expressions_(stream_) {}

  Result<Program> Run() {
    Program program;
    KV_ASSIGN(program.body, ParseBody({}));
    return program;
  }

 private:
  using EndTags = std::initializer_list<std::string_view>;

  bool AtAny(EndTags tags) const {
    return std::ranges::any_of(tags, [&](std::string_view tag) { return stream_.IsName(tag); });
  }

  /// Statements up to one of `ends`, whose name is then the current token; up to the end when there are none.
  Result<Body> ParseBody(EndTags ends) {
    Body body;
    while (!stream_.Is(TokenKind::kEnd)) {
      const int line = stream_.line();
      if (stream_.Is(TokenKind::kData)) {
        body.push_back({TextStmt{stream_.Take().text}, line});
      } else if (stream_.Is(TokenKind::kVariableBegin)) {
        stream_.Take();
        KV_ASSIGN(ExprPtr value, expressions_.Tuple());
        if (!stream_.Is(TokenKind::kVariableEnd)) return stream_.Unexpected("end of print statement");
        stream_.Take();
        body.push_back({PrintStmt{std::move(value)}, line});
      } else {
        stream_.Take();
        if (AtAny(ends)) return body;
        KV_TRY(ParseStatement(body, ends));
        if (!stream_.Is(TokenKind::kBlockEnd)) return stream_.Unexpected("end of statement block");
        stream_.Take();
      }
    }
    if (ends.size() == 0) return body;
    return FailAt(stream_.line(), fmt::format("Unexpected end of template. Jinja was looking for the following tags: "
                                              "{}. The innermost block that needs to be closed is '{}'.",
                                              Quoted(ends), tags_.back()));
  }

  static std::string Quoted(EndTags tags) {
    std::string out;
    for (const std::string_view tag : tags) out += fmt::format("{}'{}'", out.empty() ? "" : " or ", tag);
    return out;
  }

  /// The body of a tag: its closing brace, then statements up to one of `ends`.
  Result<Body> ParseBlock(EndTags ends) {
    stream_.TakeOp(":");
    if (!stream_.Is(TokenKind::kBlockEnd)) return stream_.Unexpected("end of statement block");
    stream_.Take();
    if (tags_.size() > static_cast<size_t>(kMaxStatementNesting)) {
      return FailAt(stream_.line(), ErrorCode::kResourceExhausted, "statements nest too deeply");
    }
    return ParseBody(ends);
  }

  /// Like ParseBlock, for a tag with one end, which is passed.
  Result<Body> ParseBlockAndEnd(std::string_view end) {
    KV_ASSIGN(Body body, ParseBlock({end}));
    stream_.Take();
    return body;
  }

  Status ParseStatement(Body& body, EndTags ends) {
    const Token& token = stream_.current();
    if (token.kind != TokenKind::kName) return FailAt(token.line, "tag name expected");
    tags_.push_back(token.text);
    KV_TRY(ParseTag(body, token, ends));
    tags_.pop_back();
    return {};
  }

  Status ParseTag(Body& body, const Token& token, EndTags ends) {
    const std::string& tag = token.text;
    if (tag == "for") return ParseFor(body);
    if (tag == "if") return ParseIf(body);
    if (tag == "set") return ParseSet(body);
    if (tag == "macro") return ParseMacro(body);
    if (tag == "call") return ParseCallBlock(body);
    if (tag == "filter") return ParseFilterBlock(body);
    if (tag == "with") return ParseWith(body);
    if (tag == "print") return ParsePrint(body);
    if (tag == "generation") return ParseGeneration(body);
    if (tag == "autoescape") return ParseAutoescape(body);
    if (tag == "break" || tag == "continue") return ParseLoopControl(body);
    if (std::ranges::find(kTagsOfOtherTemplates, tag) != kTagsOfOtherTemplates.end()) {
      return FailAt(token.line, ErrorCode::kUnsupported,
                    fmt::format("the tag '{}' is not supported: a chat template stands alone", tag));
    }
    std::string message = fmt::format("Encountered unknown tag '{}'.", tag);
    if (ends.size() > 0) {
      message += fmt::format(" Jinja was looking for the following tags: {}.", Quoted(ends));
      message += fmt::format(" The innermost block that needs to be closed is '{}'.", tags_[tags_.size() - 2]);
    }
    return FailAt(token.line, message);
  }

  Status ParseFor(Body& body) {
    ForStmt loop;
    const int line = stream_.Take().line;
    KV_ASSIGN(loop.target, expressions_.Target(false, "in"));
    KV_TRY(stream_.ExpectName("in"));
    KV_ASSIGN(loop.iterable, expressions_.Tuple(false, "recursive"));
    if (stream_.TakeName("if")) {
      KV_ASSIGN(loop.test, expressions_.Expression());
    }
    loop.recursive = stream_.TakeName("recursive");
    ++loops_;
    KV_ASSIGN(loop.body, ParseBlock({"endfor", "else"}));
    --loops_;
    if (stream_.Take().text == "else") {
      loop.has_else = true;
      KV_ASSIGN(loop.otherwise, ParseBlockAndEnd("endfor"));
    }
    body.push_back({std::move(loop), line});
    return {};
  }

  Status ParseIf(Body& body) {
    IfStmt node;
    const int line = stream_.line();
    while (true) {
      stream_.Take();
      KV_ASSIGN(ExprPtr test, expressions_.Tuple(false));
      KV_ASSIGN(Body then, ParseBlock({"elif", "else", "endif"}));
      node.branches.emplace_back(std::move(test), std::move(then));
      if (!stream_.IsName("elif")) break;
    }
    if (stream_.Take().text == "else") {
      KV_ASSIGN(node.otherwise, ParseBlockAndEnd("endif"));
    }
    body.push_back({std::move(node), line});
    return {};
  }

  Status ParseSet(Body& body) {
    const int line = stream_.Take().line;
    KV_ASSIGN(ExprPtr target, expressions_.Target(true));
    if (stream_.TakeOp("=")) {
      KV_ASSIGN(ExprPtr value, expressions_.Tuple());
      body.push_back({SetStmt{std::move(target), std::move(value)}, line});
      return {};
    }
    SetBlockStmt block;
    block.target = std::move(target);
    KV_ASSIGN(block.filter, expressions_.Filters(nullptr, false));
    KV_ASSIGN(block.body, ParseBlockAndEnd("endset"));
    body.push_back({std::move(block), line});
    return {};
  }

  Status ParseSignature(MacroDefinition& definition) {
    KV_TRY(stream_.ExpectOp("("));
    while (!stream_.IsOp(")")) {
      if (!definition.parameters.empty()) KV_TRY(stream_.ExpectOp(","));
      MacroParameter parameter;
      const int line = stream_.line();
      KV_ASSIGN(parameter.name, expressions_.TargetName());
      const auto same = [&](const MacroParameter& other) { return other.name == parameter.name; };
      if (std::ranges::any_of(definition.parameters, same)) {
        return FailAt(line, fmt::format("duplicate argument '{}' in function definition", parameter.name));
      }
      if (stream_.TakeOp("=")) {
        KV_ASSIGN(parameter.fallback, expressions_.Expression());
      } else if (!definition.parameters.empty() && definition.parameters.back().fallback) {
        return FailAt(line, "non-default argument follows default argument");
      }
      definition.explicit_caller = definition.explicit_caller || parameter.name == "caller";
      definition.parameters.push_back(std::move(parameter));
    }
    stream_.Take();
    return {};
  }

  /// A body that becomes a function of its own: a loop around it cannot be left from inside.
  Status ParseFunctionBody(MacroDefinition& definition, std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    KV_ASSIGN(definition.body, ParseBlockAndEnd(end));
    loops_ = loops;
    return {};
  }

  Status ParseMacro(Body& body) {
    MacroStmt macro;
    const int line = stream_.Take().line;
    KV_ASSIGN(macro.definition.name, expressions_.TargetName());
    KV_TRY(ParseSignature(macro.definition));
    KV_TRY(ParseFunctionBody(macro.definition, "endmacro"));
    body.push_back({std::move(macro), line});
    return {};
  }

  Status ParseCallBlock(Body& body) {
    CallBlockStmt block;
    const int line = stream_.Take().line;
    block.definition.anonymous = true;
    if (stream_.IsOp("(")) KV_TRY(ParseSignature(block.definition));
    KV_ASSIGN(block.call, expressions_.Expression());
    if (!std::holds_alternative<CallExpr>(block.call->node)) return FailAt(line, "expected call");
    KV_TRY(ParseFunctionBody(block.definition, "endcall"));
    body.push_back({std::move(block), line});
    return {};
  }

  Status ParseGeneration(Body& body) {
    CallBlockStmt block;
    const int line = stream_.Take().line;
    block.definition.anonymous = true;
    KV_TRY(ParseFunctionBody(block.definition, "endgeneration"));
    body.push_back({std::move(block), line});
    return {};
  }

  Status ParseFilterBlock(Body& body) {
    FilterBlockStmt block;
    const int line = stream_.Take().line;
    KV_ASSIGN(block.filter, expressions_.Filters(nullptr, true));
    KV_ASSIGN(block.body, ParseBlockAndEnd("endfilter"));
    body.push_back({std::move(block), line});
    return {};
  }

  Status ParseWith(Body& body) {
    WithStmt with;
    const int line = stream_.Take().line;
    while (!stream_.Is(TokenKind::kBlockEnd)) {
      if (!with.assignments.empty()) KV_TRY(stream_.ExpectOp(","));
      KV_ASSIGN(ExprPtr target, expressions_.Target(false));
      KV_TRY(stream_.ExpectOp("="));
      KV_ASSIGN(ExprPtr value, expressions_.Expression());
      with.assignments.emplace_back(std::move(target), std::move(value));
    }
    KV_ASSIGN(with.body, ParseBlockAndEnd("endwith"));
    body.push_back({std::move(with), line});
    return {};
  }

  Status ParsePrint(Body& body) {
    stream_.Take();
    for (bool first = true; !stream_.Is(TokenKind::kBlockEnd); first = false) {
      if (!first) KV_TRY(stream_.ExpectOp(","));
      const int line = stream_.line();
      KV_ASSIGN(ExprPtr value, expressions_.Expression());
      body.push_back({PrintStmt{std::move(value)}, line});
    }
    return {};
  }

  /// Escaping is always off here; a template may say so, but cannot switch it on.
  Status ParseAutoescape(Body& body) {
    const int line = stream_.Take().line;
    KV_ASSIGN(const ExprPtr mode, expressions_.Expression());
    const auto* constant = std::get_if<ConstantExpr>(&mode->node);
    if (constant == nullptr || !constant->value.is_bool() || constant->value.boolean()) {
      return FailAt(line, ErrorCode::kUnsupported, "automatic escaping is not supported");
    }
    ScopeStmt scope;
    KV_ASSIGN(scope.body, ParseBlockAndEnd("endautoescape"));
    body.push_back({std::move(scope), line});
    return {};
  }

  Status ParseLoopControl(Body& body) {
    const Token& token = stream_.Take();
    if (loops_ == 0) return FailAt(token.line, fmt::format("'{}' outside loop", token.text));
    if (token.text == "break") {
      body.push_back({BreakStmt{}, token.line});
    } else {
      body.push_back({ContinueStmt{}, token.line});
    }
    return {};
  }

  TokenStream stream_;
  ExpressionParser expressions_;
  std::vector<std::string> tags_;  ///< the tags that are open
  int loops_ = 0;                  ///< loops around the current statement that break can leave
};

}  // namespace

Result<Program> ParseProgram(const std::vector<Token>& tokens) {
  return StatementParser(tokens).Run();
}

}  // namespace kvasir::jinja
