#include "server/tools/answer_reader.h"

#include <algorithm>

namespace kvasir::server {

AnswerReader::AnswerReader(const ToolOptions& tools, const ToolDialect& dialect) {
  if (tools.offered() && dialect.format != nullptr) parser_ = dialect.format->NewParser(tools.Callable());
}

CallEvents AnswerReader::Counted(CallEvents events) {
  calls_ += static_cast<int>(std::count_if(
      events.begin(), events.end(), [](const CallEvent& event) { return event.kind == CallEvent::Kind::kBegin; }));
  return events;
}

CallEvents AnswerReader::Push(std::string_view text) {
  CallEvents events;
  if (parser_) {
    parser_->Push(text, events);
  } else if (!text.empty()) {
    events.push_back({CallEvent::Kind::kContent, std::string(text)});
  }
  return Counted(std::move(events));
}

CallEvents AnswerReader::Finish() {
  CallEvents events;
  if (parser_) parser_->Finish(events);
  return Counted(std::move(events));
}

AnswerParts ReadAnswer(std::string_view text, const ToolOptions& tools, const ToolDialect& dialect) {
  AnswerReader reader(tools, dialect);
  CallEvents events = reader.Push(text);
  for (CallEvent& event : reader.Finish()) events.push_back(std::move(event));
  AnswerParts parts;
  for (const CallEvent& event : events) {
    switch (event.kind) {
      case CallEvent::Kind::kContent: parts.text += event.text; break;
      case CallEvent::Kind::kBegin: parts.calls.push_back({.name = event.text, .arguments = ""}); break;
      case CallEvent::Kind::kArguments: parts.calls.back().arguments += event.text; break;
      case CallEvent::Kind::kEnd: break;
    }
  }
  return parts;
}

}  // namespace kvasir::server
