#include "text/stream_decoder.h"

#include <utility>

#include "text/utf8.h"

namespace kvasir::text {
namespace {

// The number of bytes at the end of `text` that begin a character but do not finish it.
size_t UnfinishedTail(std::string_view text) {
  for (size_t length = 1; length <= 3 && length <= text.size(); ++length) {
    const Utf8Char last = DecodeUtf8(text, text.size() - length);
    if (last.status == Utf8Status::kTruncated && static_cast<size_t>(last.length) == length) return length;
  }
  return 0;
}

}  // namespace

std::string StreamDecoder::Push(int32_t id) {
  tokenizer_.AppendDecoded(id, options_, strip_space_, held_);
  const std::string_view bytes = held_;
  const size_t tail = UnfinishedTail(bytes);
  std::string text;
  AppendReplacingInvalid(bytes.substr(0, bytes.size() - tail), text);
  held_.erase(0, held_.size() - tail);
  return text;
}

std::string StreamDecoder::Flush() {
  std::string text;
  AppendReplacingInvalid(std::exchange(held_, {}), text);
  strip_space_ = options_.strip_space_prefix;
  return text;
}

}  // namespace kvasir::text
