#include "server/tools/answer_parser.h"

namespace kvasir::server {

void AnswerParser::Emit(CallEvents& out, CallEvent::Kind kind, std::string_view text) {
  const bool joins = kind != CallEvent::Kind::kBegin && kind != CallEvent::Kind::kEnd;
  if (joins && text.empty()) return;
  if (joins && !out.empty() && out.back().kind == kind) {
    out.back().text += text;
  } else {
    out.push_back({kind, std::string(text)});
  }
}

}  // namespace kvasir::server
