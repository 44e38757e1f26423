#include "server/tools/thoughts.h"

#include <algorithm>
#include <array>
#include <utility>

#include "server/tools/call_format.h"
#include "server/tools/cursor.h"

namespace kvasir::server {
namespace {

// Qwen 3, DeepSeek R1, GLM, MiniMax, SmolLM 3, Granite; Seed OSS; Command R; Magistral; Apertus.
constexpr auto kStyles = std::to_array<ThoughtStyle>({{"<think>", "</think>"},
                                                      {"<seed:think>", "</seed:think>"},
                                                      {"<|START_THINKING|>", "<|END_THINKING|>"},
                                                      {"[THINK]", "[/THINK]"},
                                                      {"<|inner_prefix|>", "<|inner_suffix|>"}});

size_t LeadingSpace(std::string_view text) {
  return static_cast<size_t>(std::find_if_not(text.begin(), text.end(), IsSpace) - text.begin());
}

}  // namespace

bool ThoughtStyle::BeginsIn(std::string_view prompt) const {
  return Trimmed(prompt).ends_with(open);
}

const ThoughtStyle* ThoughtsOf(std::string_view chat_template) {
  const auto found = std::find_if(kStyles.begin(), kStyles.end(), [&](const ThoughtStyle& style) {
    return chat_template.contains(style.open) && chat_template.contains(style.close);
  });
  return found == kStyles.end() ? nullptr : &*found;
}

void ThoughtReader::EmitThought(size_t size, CallEvents& out) {
  const size_t begin = begun_ ? 0 : std::min(size, LeadingSpace(held_));
  if (size > begin) {
    begun_ = true;
    if (out.empty() || out.back().kind != CallEvent::Kind::kThought) out.push_back({CallEvent::Kind::kThought, ""});
    out.back().text += std::string_view(held_).substr(begin, size - begin);
  }
  held_.erase(0, size);
}

bool ThoughtReader::Step(CallEvents& out, std::string& answer) {
  const std::string_view text = held_;
  switch (state_) {
    case State::kBefore: {
      const size_t first = LeadingSpace(text);
      const std::string_view rest = text.substr(first);
      if (rest.size() < style_->open.size() && style_->open.starts_with(rest)) return false;
      const bool opens = rest.starts_with(style_->open);
      if (opens) held_.erase(0, first + style_->open.size());
      state_ = opens ? State::kInside : State::kAnswer;
      return true;
    }
    case State::kInside: {
      const size_t close = text.find(style_->close);
      size_t end = close == std::string_view::npos ? text.size() - OpenEnd(text, style_->close) : close;
      while (end > 0 && IsSpace(text[end - 1])) --end;
      const size_t taken = close == std::string_view::npos ? 0 : close + style_->close.size() - end;
      EmitThought(end, out);
      if (taken == 0) return false;
      held_.erase(0, taken);
      state_ = State::kBehind;
      return true;
    }
    case State::kBehind:
      held_.erase(0, LeadingSpace(text));
      if (held_.empty()) return false;
      state_ = State::kAnswer;
      return true;
    case State::kAnswer: answer += std::exchange(held_, ""); return false;
  }
  return false;
}

std::string ThoughtReader::Push(std::string_view text, CallEvents& out) {
  held_ += text;
  std::string answer;
  while (Step(out, answer)) {
  }
  return answer;
}

std::string ThoughtReader::Finish(CallEvents& out) {
  if (state_ != State::kInside) return std::exchange(held_, "");
  EmitThought(held_.size(), out);
  return "";
}

}  // namespace kvasir::server
