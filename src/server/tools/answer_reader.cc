#include "server/tools/answer_reader.h"

#include <algorithm>

namespace kvasir::server {

AnswerReader::AnswerReader(const ToolOptions& tools, const ToolDialect& dialect, bool thinking)
    : separate_(dialect.separate_thoughts) {
  if (dialect.thoughts != nullptr && separate_) thoughts_.emplace(*dialect.thoughts, thinking);
  if (tools.offered()) {
    parser_ = dialect.format->NewParser(tools.Callable());
  } else if (dialect.format->reads_every_answer()) {
    parser_ = dialect.format->NewParser({});
  }
}

// Reads what is no thought, behind `events`.
CallEvents AnswerReader::Parsed(std::string_view text, CallEvents events) {
  if (parser_) {
    parser_->Push(text, events);
  } else if (!text.empty()) {
    events.push_back({CallEvent::Kind::kContent, std::string(text)});
  }
  return events;
}

CallEvents AnswerReader::Counted(CallEvents events) {
  for (CallEvent& event : events) {
    if (event.kind == CallEvent::Kind::kBegin) ++calls_;
    if (event.kind == CallEvent::Kind::kThought && !separate_) event.kind = CallEvent::Kind::kContent;
  }
  return events;
}

CallEvents AnswerReader::Push(std::string_view text) {
  if (!thoughts_) return Counted(Parsed(text, {}));
  CallEvents events;
  const std::string answer = thoughts_->Push(text, events);
  return Counted(Parsed(answer, std::move(events)));
}

CallEvents AnswerReader::Finish() {
  CallEvents events;
  if (thoughts_) {
    const std::string answer = thoughts_->Finish(events);
    events = Parsed(answer, std::move(events));
  }
  if (parser_) parser_->Finish(events);
  return Counted(std::move(events));
}

AnswerParts ReadAnswer(std::string_view text, const ToolOptions& tools, const ToolDialect& dialect, bool thinking) {
  AnswerReader reader(tools, dialect, thinking);
  CallEvents events = reader.Push(text);
  for (CallEvent& event : reader.Finish()) events.push_back(std::move(event));
  AnswerParts parts;
  for (const CallEvent& event : events) {
    switch (event.kind) {
      case CallEvent::Kind::kThought: parts.thoughts += event.text; break;
      case CallEvent::Kind::kContent: parts.text += event.text; break;
      case CallEvent::Kind::kBegin: parts.calls.push_back({.name = event.text, .arguments = ""}); break;
      case CallEvent::Kind::kArguments: parts.calls.back().arguments += event.text; break;
      case CallEvent::Kind::kEnd: break;
    }
  }
  return parts;
}

}  // namespace kvasir::server
