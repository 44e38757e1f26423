// For the tests and the fuzz target of call formats: functions to call, and an answer read in pieces.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/tools/call_format.h"

namespace kvasir::server {

/// One with arguments of several types, and one with none.
inline std::vector<Tool> ToolsForTest() {
  const Json weather = {{"type", "object"},
                        {"properties",
                         {{"city", {{"type", "string"}}},
                          {"days", {{"type", "integer"}}},
                          {"exact", {{"type", "boolean"}}},
                          {"tags", {{"type", "array"}}}}}};
  return {{.name = "get_weather", .description = "", .parameters = weather},
          {.name = "now", .description = "", .parameters = {{"type", "object"}, {"properties", Json::object()}}}};
}

/// What a parser says of a text that comes in pieces, which end at `cuts`. Texts of the same kind that follow each
/// other are joined, as a client joins them.
inline CallEvents EventsOf(const CallFormat& format, std::string_view text, std::span<const size_t> cuts) {
  using Kind = CallEvent::Kind;
  const std::unique_ptr<AnswerParser> parser = format.NewParser(ToolsForTest());
  CallEvents joined;
  const auto add = [&](CallEvents events) {
    for (CallEvent& event : events) {
      const bool is_text = event.kind != Kind::kBegin && event.kind != Kind::kEnd;
      if (is_text && !event.text.empty() && !joined.empty() && joined.back().kind == event.kind) {
        joined.back().text += event.text;
      } else {
        joined.push_back(std::move(event));
      }
    }
  };
  const auto push = [&](std::string_view piece) {
    CallEvents events;
    parser->Push(piece, events);
    add(std::move(events));
  };
  size_t begin = 0;
  for (const size_t cut : cuts) {
    push(text.substr(begin, cut - begin));
    begin = cut;
  }
  push(text.substr(begin));
  CallEvents rest;
  parser->Finish(rest);
  add(std::move(rest));
  return joined;
}

/// What no parser of `format` may do, whatever `text` is, as a sentence; empty where `events`, which it made of `text`,
/// are in order.
inline std::string FaultOf(const CallFormat& format, const CallEvents& events, std::string_view text) {
  using Kind = CallEvent::Kind;
  bool open = false;
  bool called = false;
  for (const CallEvent& event : events) {
    const bool inside = event.kind == Kind::kArguments || event.kind == Kind::kEnd;
    if (open != inside) return open ? "something stands inside a call" : "a call goes on that has not begun";
    if (event.kind == Kind::kBegin) open = called = true;
    if (event.kind == Kind::kEnd) open = false;
    if (event.text.empty() != (event.kind == Kind::kEnd)) return "an event is empty, or an end is not";
    if (event.kind == Kind::kBegin && event.text != "get_weather" && event.text != "now") return "no such function";
  }
  if (open) return "a call has no end";
  if (called || format.reads_every_answer()) return "";
  const std::string content = events.empty() ? "" : events.front().text;
  return content == text && events.size() <= 1 ? "" : "an answer without calls is not the text that came";
}

}  // namespace kvasir::server
