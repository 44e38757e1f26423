#include "files/gguf_reader.h"

#include <fmt/format.h>

#include <cctype>
#include <optional>
#include <utility>

#include "base/check.h"

namespace kvasir::files {
namespace {

constexpr std::string_view kSplitCountKey = "split.count";
constexpr std::string_view kSplitNumberKey = "split.no";
constexpr std::string_view kSplitTensorsKey = "split.tensors.count";

std::unexpected<Error> FailIn(const std::string& path, const Error& error) {
  return Fail(error.code, fmt::format("{}: {}", path, error.message));
}

struct Part {
  base::MmapFile file;
  GgufContents contents;
};

Result<Part> OpenPart(const std::string& path) {
  KV_ASSIGN(base::MmapFile file, base::MmapFile::Open(path));
  auto contents = ParseGguf(file.span());
  if (!contents) return FailIn(path, contents.error());
  return Part{std::move(file), std::move(*contents)};
}

/// How many files the model is in, as this one of them says.
Result<uint32_t> PartCount(const Part& part) {
  auto count = part.contents.metadata.GetU32(kSplitCountKey, 1);
  if (!count) return FailIn(part.file.path(), count.error());
  return *count <= 1 ? 1 : *count;
}

/// What comes before "-00002-of-00003.gguf" in a part's path, or nothing if the name is not of that form.
std::optional<std::string> SplitPrefix(std::string_view path) {
  constexpr std::string_view kPattern = "-#####-of-#####.gguf";
  if (path.size() <= kPattern.size()) return std::nullopt;
  const std::string_view suffix = path.substr(path.size() - kPattern.size());
  for (size_t i = 0; i < kPattern.size(); ++i) {
    const bool matches =
        kPattern[i] == '#' ? std::isdigit(static_cast<unsigned char>(suffix[i])) != 0 : kPattern[i] == suffix[i];
    if (!matches) return std::nullopt;
  }
  return std::string(path.substr(0, path.size() - kPattern.size()));
}

/// Fails unless the file says that it is part `number` (from 0) of `count`.
Status CheckPart(const Part& part, uint32_t number, uint32_t count) {
  const auto actual_count = PartCount(part);
  if (!actual_count) return std::unexpected(actual_count.error());
  const auto actual_number = part.contents.metadata.GetU32(kSplitNumberKey);
  if (!actual_number) return FailIn(part.file.path(), actual_number.error());
  if (*actual_count != count || *actual_number != number) {
    return Fail(
        ErrorCode::kCorrupt,
        fmt::format("{}: the file says that it is part {} of {}, but by its name it is part {} of {}; the parts "
                    "are of different models, or were renamed",
                    part.file.path(), uint64_t{*actual_number} + 1, *actual_count, number + 1, count));
  }
  return {};
}

}  // namespace

Result<GgufFile> GgufFile::Open(const std::string& path) {
  KV_ASSIGN(Part part, OpenPart(path));
  KV_ASSIGN(const uint32_t count, PartCount(part));
  GgufFile file;
  if (count == 1) {
    KV_TRY(file.AddPart(std::move(part.file), std::move(part.contents)));
  } else {
    KV_TRY(file.AddSplit(path, count));
  }
  return file;
}

Status GgufFile::AddSplit(const std::string& any_part, uint32_t count) {
  const auto prefix = SplitPrefix(any_part);
  if (!prefix) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: this is one of {} parts of a model, and the others are found by name: call it "
                            "NAME-00001-of-{:05}.gguf (its own number first)",
                            any_part, count, count));
  }
  for (uint32_t number = 0; number < count; ++number) {
    const std::string path = fmt::format("{}-{:05}-of-{:05}.gguf", *prefix, uint64_t{number} + 1, count);
    auto part = OpenPart(path);
    if (!part && part.error().code == ErrorCode::kNotFound) {
      return Fail(ErrorCode::kNotFound, fmt::format("part {} of {} of the model is missing: {}", uint64_t{number} + 1,
                                                    count, part.error().message));
    }
    if (!part) return std::unexpected(part.error());
    KV_TRY(CheckPart(*part, number, count));
    KV_TRY(AddPart(std::move(part->file), std::move(part->contents)));
  }
  auto tensors = metadata_.GetU64(kSplitTensorsKey, tensors_.size());
  if (!tensors) return FailIn(path(), tensors.error());
  if (*tensors != tensors_.size()) {
    return Fail(ErrorCode::kCorrupt, fmt::format("{}: the model should have {} tensors, but its {} parts have {}",
                                                 path(), *tensors, count, tensors_.size()));
  }
  return {};
}

Status GgufFile::AddPart(base::MmapFile file, GgufContents contents) {
  KV_TRY(AddTensors(contents.tensors, file.path()));
  if (parts_.empty()) {
    metadata_ = std::move(contents.metadata);
    version_ = contents.version;
    alignment_ = contents.alignment;
  }
  parts_.push_back(std::move(file));
  return {};
}

Status GgufFile::AddTensors(std::span<const tensor::TensorView> tensors, const std::string& path) {
  for (const tensor::TensorView& view : tensors) {
    if (!tensor_index_.emplace(view.name, tensors_.size()).second) {
      return Fail(ErrorCode::kCorrupt,
                  fmt::format("{}: tensor {} is in another part of the model too", path, Printable(view.name)));
    }
    tensors_.push_back(view);
  }
  return {};
}

const tensor::TensorView* GgufFile::FindTensor(std::string_view name) const {
  const auto found = tensor_index_.find(name);
  return found == tensor_index_.end() ? nullptr : &tensors_[found->second];
}

Result<tensor::TensorView> GgufFile::GetTensor(std::string_view name) const {
  const tensor::TensorView* view = FindTensor(name);
  if (view == nullptr) return Fail(ErrorCode::kNotFound, fmt::format("{}: there is no tensor {}", path(), name));
  return *view;
}

size_t GgufFile::total_bytes() const {
  size_t bytes = 0;
  for (const base::MmapFile& part : parts_) bytes += part.size();
  return bytes;
}

void GgufFile::Advise(base::MmapFile::Access access) const {
  for (const base::MmapFile& part : parts_) part.Advise(access);
}

}  // namespace kvasir::files
