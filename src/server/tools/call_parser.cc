#include "server/tools/call_parser.h"

#include <algorithm>

namespace kvasir::server {
namespace {

// What is held in the hope that it becomes a call; longer than any name with what stands around it.
constexpr size_t kLongestHead = 64 * 1024;

}  // namespace

void CallParser::EmitContent(size_t size, CallEvents& out) {
  if (size == 0) return;
  has_content_ = true;
  Emit(out, CallEvent::Kind::kContent, std::string_view(held_).substr(0, size));
  held_.erase(0, size);
}

CallParser::Found CallParser::FindOpening() const {
  Found found;
  found.hold = held_.size();
  for (const Opening& opening : openings_) {
    if (!opening.only_first) {
      found.at = std::min(found.at, held_.find(opening.text));
      found.hold = std::min(found.hold, held_.size() - OpenEnd(held_, opening.text));
      continue;
    }
    if (has_content_) continue;
    const auto first = static_cast<size_t>(std::find_if_not(held_.begin(), held_.end(), IsSpace) - held_.begin());
    const std::string_view text = std::string_view(held_).substr(first);
    if (text.starts_with(opening.text)) {
      found.at = std::min(found.at, first);
    } else if (opening.text.starts_with(text)) {
      found.hold = std::min(found.hold, first);
    }
  }
  return found;
}

bool CallParser::ReadContent(CallEvents& out) {
  const Found found = FindOpening();
  const auto without_space = [&](size_t end) {
    while (end > 0 && IsSpace(held_[end - 1])) --end;
    return end;
  };
  if (found.at == std::string::npos) {
    EmitContent(without_space(found.hold), out);
    return false;
  }
  CallEvents begun;
  const std::string_view head = std::string_view(held_).substr(found.at, kLongestHead);
  Cursor cursor(head);
  Seen seen = Open(cursor, begun);
  if (seen == Seen::kPartly && head.size() == kLongestHead) seen = Seen::kNo;
  switch (seen) {
    case Seen::kNo: EmitContent(found.at + 1, out); return true;
    case Seen::kPartly: EmitContent(without_space(found.at), out); return false;
    case Seen::kYes: break;
  }
  const size_t taken = found.at + cursor.at();
  if (const size_t end = without_space(found.at); end > 0) {
    has_content_ = true;
    Emit(out, CallEvent::Kind::kContent, std::string_view(held_).substr(0, end));
  }
  for (const CallEvent& event : begun) Emit(out, event.kind, event.text);
  held_.erase(0, taken);
  in_calls_ = called_ = true;
  return true;
}

bool CallParser::ReadCalls(CallEvents& out) {
  Cursor cursor(held_);
  const Seen seen = Continue(cursor, out);
  held_.erase(0, cursor.at());
  if (seen == Seen::kNo) in_calls_ = false;
  return seen != Seen::kPartly;
}

void CallParser::Push(std::string_view text, CallEvents& out) {
  held_ += text;
  while (in_calls_ ? ReadCalls(out) : ReadContent(out)) {
  }
}

void CallParser::Finish(CallEvents& out) {
  if (in_calls_) {
    CutOff(held_, out);
  } else if (!called_ || !std::all_of(held_.begin(), held_.end(), IsSpace)) {
    Emit(out, CallEvent::Kind::kContent, held_);
  }
  held_.clear();
}

}  // namespace kvasir::server
