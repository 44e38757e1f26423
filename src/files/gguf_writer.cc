#include "files/gguf_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "base/check.h"

namespace kvasir::files {
namespace {

constexpr uint32_t kVersion = 3;

void AppendBytes(std::string& out, std::span<const std::byte> bytes) {
  out.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

template <typename T>
void AppendValue(std::string& out, T value) {
  AppendBytes(out, std::as_bytes(std::span(&value, 1)));
}

void AppendType(std::string& out, GgufType type) {
  AppendValue(out, static_cast<uint32_t>(type));
}

void AppendString(std::string& out, std::string_view text) {
  AppendValue(out, uint64_t{text.size()});
  out += text;
}

size_t PaddingAt(size_t offset, uint32_t alignment) {
  return (alignment - offset % alignment) % alignment;
}

}  // namespace

void GgufHeader::Put(std::string_view key, std::string encoded) {
  const auto found = std::ranges::find(pairs_, key, &Pair::key);
  if (found != pairs_.end()) {
    found->encoded = std::move(encoded);
  } else {
    pairs_.push_back({std::string(key), std::move(encoded)});
  }
}

void GgufHeader::SetEncoded(std::string_view key, GgufType type, std::span<const std::byte> value) {
  std::string encoded;
  AppendType(encoded, type);
  AppendBytes(encoded, value);
  Put(key, std::move(encoded));
}

void GgufHeader::SetEncodedArray(std::string_view key, GgufType element_type, uint64_t count,
                                 std::span<const std::byte> elements) {
  std::string encoded;
  AppendType(encoded, GgufType::kArray);
  AppendType(encoded, element_type);
  AppendValue(encoded, count);
  AppendBytes(encoded, elements);
  Put(key, std::move(encoded));
}

void GgufHeader::SetString(std::string_view key, std::string_view value) {
  std::string encoded;
  AppendType(encoded, GgufType::kString);
  AppendString(encoded, value);
  Put(key, std::move(encoded));
}

void GgufHeader::SetStrings(std::string_view key, std::span<const std::string_view> values) {
  std::string elements;
  for (const std::string_view value : values) AppendString(elements, value);
  SetEncodedArray(key, GgufType::kString, values.size(), std::as_bytes(std::span(elements)));
}

void GgufHeader::SetValue(std::string_view key, const GgufValue& value) {
  if (value.is_array()) {
    SetEncodedArray(key, value.element_type, value.count, value.elements);
  } else {
    SetEncoded(key, value.type, value.elements);
  }
}

void GgufHeader::Remove(std::string_view key) {
  std::erase_if(pairs_, [&](const Pair& pair) { return pair.key == key; });
}

void GgufHeader::AddTensor(std::string_view name, tensor::DType dtype, std::span<const int64_t> shape) {
  tensors_.push_back({std::string(name), dtype, std::vector<int64_t>(shape.begin(), shape.end())});
}

Result<uint32_t> GgufHeader::Alignment() const {
  const auto found = std::ranges::find(pairs_, kAlignmentKey, &Pair::key);
  if (found == pairs_.end()) return kDefaultAlignment;
  std::string u32;
  AppendType(u32, GgufType::kU32);
  if (!found->encoded.starts_with(u32) || found->encoded.size() != 2 * sizeof(uint32_t)) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("metadata key {} must be of type U32", kAlignmentKey));
  }
  uint32_t alignment = 0;
  std::copy_n(found->encoded.data() + sizeof(uint32_t), sizeof alignment, reinterpret_cast<char*>(&alignment));
  KV_TRY(CheckAlignment(alignment));
  return alignment;
}

Result<std::string> GgufHeader::Encode() const {
  KV_ASSIGN(const uint32_t alignment, Alignment());
  std::string out(kGgufMagic);
  AppendValue(out, kVersion);
  AppendValue(out, uint64_t{tensors_.size()});
  AppendValue(out, uint64_t{pairs_.size()});
  for (const Pair& pair : pairs_) {
    KV_TRY(CheckKey(pair.key));
    AppendString(out, pair.key);
    out += pair.encoded;
  }
  std::unordered_set<std::string_view> names;
  uint64_t offset = 0;
  for (const Tensor& tensor : tensors_) {
    KV_ASSIGN(const size_t bytes, TensorBytes(tensor.name, tensor.dtype, tensor.shape));
    if (!names.insert(tensor.name).second) {
      return Fail(ErrorCode::kInvalidArgument, fmt::format("tensor {} was added twice", Printable(tensor.name)));
    }
    AppendString(out, tensor.name);
    AppendValue(out, static_cast<uint32_t>(tensor.shape.size()));
    for (const int64_t dim : tensor.shape) AppendValue(out, dim);
    AppendValue(out, static_cast<uint32_t>(tensor.dtype));
    AppendValue(out, offset);
    const auto next = offset + bytes < offset ? std::nullopt : AlignUp(offset + bytes, alignment);
    if (!next) return Fail(ErrorCode::kInvalidArgument, "the tensors together have more bytes than 2^64");
    offset = *next;
  }
  out.append(PaddingAt(out.size(), alignment), '\0');
  return out;
}

Result<GgufWriter> GgufWriter::Create(const std::string& path, const GgufHeader& header) {
  GgufWriter writer;
  writer.path_ = path;
  KV_ASSIGN(writer.alignment_, header.Alignment());
  KV_ASSIGN(const std::string encoded, header.Encode());
  for (const GgufHeader::Tensor& tensor : header.tensors()) {
    KV_ASSIGN(const size_t bytes, TensorBytes(tensor.name, tensor.dtype, tensor.shape));
    writer.expected_.push_back({tensor.name, bytes});
  }
  KV_ASSIGN(base::AtomicFile file, base::AtomicFile::Create(path));
  writer.file_ = std::make_unique<base::AtomicFile>(std::move(file));
  KV_TRY(writer.file_->Write(std::as_bytes(std::span(encoded))));
  return writer;
}

Status GgufWriter::Append(std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  if (current_ == expected_.size()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} bytes follow the last of the {} tensors of {}", bytes.size(), current_, path_));
  }
  const Expected& tensor = expected_[current_];
  if (bytes.size() > tensor.bytes - written_) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("tensor {} has {} bytes, but {} were given", Printable(tensor.name), tensor.bytes,
                            written_ + bytes.size()));
  }
  KV_TRY(file_->Write(bytes));
  written_ += bytes.size();
  if (written_ < tensor.bytes) return {};
  static constexpr std::byte kZeros[4096] = {};
  for (size_t left = PaddingAt(tensor.bytes, alignment_); left > 0;) {
    const size_t piece = std::min(left, sizeof kZeros);
    KV_TRY(file_->Write(std::span(kZeros).first(piece)));
    left -= piece;
  }
  ++current_;
  written_ = 0;
  return {};
}

Status GgufWriter::Commit() {
  if (current_ != expected_.size()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} cannot be finished: tensor {} has only {} of its {} bytes", path_,
                            Printable(expected_[current_].name), written_, expected_[current_].bytes));
  }
  return file_->Commit();
}

}  // namespace kvasir::files
