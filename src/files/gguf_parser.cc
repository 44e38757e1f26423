// Parsing untrusted GGUF.
//
// The problem: a model file comes from strangers and is mapped, not copied, so one unchecked length is an out-of-bounds
// read of whatever lies behind it. The idea: a single cursor (ByteReader) is the only code that touches the bytes,
// every count is compared with the bytes that are left before anything is reserved for it, and nothing is computed from
// a number of the file without an overflow check. Later code may then index the views without checks of its own. Tensor
// data must be contiguous, as the format's reference reader demands: this excludes overlaps without a search.
#include "files/gguf_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <unordered_set>

#include "base/check.h"
#include "files/byte_reader.h"

namespace kvasir::files {
namespace {

// The fewest bytes that a key with its value, a string, and a tensor's description can take.
constexpr uint64_t kSmallestPair = 8 + 1 + 4 + 1;
constexpr uint64_t kSmallestString = 8;
constexpr uint64_t kSmallestTensorInfo = 8 + 1 + 4 + 8 + 4 + 8;

/// Says what the file is instead, when it is something that people load by mistake.
std::string GuessOtherFormat(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 64));
  if (text.starts_with("FUGG")) return "its bytes are in big-endian order; get the little-endian file";
  if (text.starts_with("version https://git-lfs")) {
    return "it is a Git LFS pointer, not the model itself; run `git lfs pull` or download the file";
  }
  if (text.starts_with("<")) return "it looks like a web page; download the file itself";
  if (text.starts_with("PK")) return "it looks like a PyTorch or zip archive; convert it to GGUF";
  if (text.size() > 8 && text[8] == '{') return "it looks like safetensors; convert it to GGUF";
  for (const std::string_view old : {"lmgg", "fmgg", "tjgg", "algg"}) {
    if (text.starts_with(old)) return "it is of the GGML family that came before GGUF; convert the model again";
  }
  return "a GGUF file begins with the letters GGUF; this is another format, or damaged";
}

struct Counts {
  uint32_t version = 0;
  uint64_t tensors = 0;
  uint64_t keys = 0;
};

Status CheckVersion(uint32_t version) {
  if ((version & 0xffff) == 0 && version != 0) {
    return Fail(
        ErrorCode::kUnsupported,
        fmt::format("the version reads as {:#010x}: the file is in big-endian order; get the little-endian file",
                    version));
  }
  if (version == 1) {
    return Fail(ErrorCode::kUnsupported,
                "this is GGUF version 1, which no tool reads any more; convert the model again");
  }
  if (version != 2 && version != 3) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("this is GGUF version {}, but only versions 2 and 3 are known", version));
  }
  return {};
}

Status CheckCount(std::string_view what, uint64_t count, uint64_t limit, uint64_t smallest, uint64_t remaining) {
  if (count > limit) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("the file claims {} {}, more than the {} allowed", count, what, limit));
  }
  if (count > remaining / smallest) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("the file claims {} {}, which need at least {} bytes, but only {} are left: it is cut off "
                            "or damaged, get it again",
                            count, what, count * smallest, remaining));
  }
  return {};
}

Result<Counts> ReadHeader(ByteReader& reader, std::span<const std::byte> bytes) {
  const auto magic = reader.Take(kGgufMagic.size(), "the magic number");
  KV_TRY(magic);
  if (!std::ranges::equal(std::as_bytes(std::span(kGgufMagic)), *magic)) {
    return Fail(ErrorCode::kCorrupt, "not a GGUF file: " + GuessOtherFormat(bytes));
  }
  Counts counts;
  KV_ASSIGN(counts.version, reader.Read<uint32_t>("the version"));
  KV_TRY(CheckVersion(counts.version));
  KV_ASSIGN(counts.tensors, reader.Read<uint64_t>("the number of tensors"));
  KV_ASSIGN(counts.keys, reader.Read<uint64_t>("the number of metadata keys"));
  KV_TRY(CheckCount("tensors", counts.tensors, kMaxTensors, kSmallestTensorInfo, reader.remaining()));
  KV_TRY(CheckCount("metadata keys", counts.keys, kMaxKeys, kSmallestPair, reader.remaining()));
  return counts;
}

Result<GgufType> ReadType(ByteReader& reader, std::string_view what) {
  KV_ASSIGN(const uint32_t id, reader.Read<uint32_t>(what));
  const auto type = GgufTypeFromId(id);
  if (!type) return Fail(ErrorCode::kCorrupt, fmt::format("{} is {}, which is no metadata type", what, id));
  return *type;
}

Status CheckBools(std::span<const std::byte> bytes, std::string_view what) {
  const auto bad = std::ranges::find_if(bytes, [](std::byte byte) { return byte > std::byte{1}; });
  if (bad == bytes.end()) return {};
  return Fail(ErrorCode::kCorrupt,
              fmt::format("{} holds the byte {} as a boolean, which must be 0 or 1", what, static_cast<int>(*bad)));
}

/// Moves over `count` values of `type` and returns their bytes.
Result<std::span<const std::byte>> ReadElements(ByteReader& reader, GgufType type, uint64_t count,
                                                std::string_view what) {
  if (type != GgufType::kString) {
    KV_ASSIGN(const auto elements, reader.Take(count * GgufTypeBytes(type), what));
    if (type == GgufType::kBool) {
      KV_TRY(CheckBools(elements, what));
    }
    return elements;
  }
  ByteReader start = reader;
  for (uint64_t i = 0; i < count; ++i) {
    KV_TRY(reader.ReadString(kMaxStringBytes, what));
  }
  return start.Take(reader.offset() - start.offset(), what);
}

Result<GgufValue> ReadArray(ByteReader& reader, std::string_view what) {
  GgufValue value;
  value.type = GgufType::kArray;
  KV_ASSIGN(value.element_type, ReadType(reader, fmt::format("the element type of {}", what)));
  if (value.element_type == GgufType::kArray) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("{} is an array of arrays, which GGUF readers do not support", what));
  }
  KV_ASSIGN(value.count, reader.Read<uint64_t>(fmt::format("the length of {}", what)));
  const uint64_t smallest =
      value.element_type == GgufType::kString ? kSmallestString : GgufTypeBytes(value.element_type);
  KV_TRY(CheckCount(fmt::format("elements in {}", what), value.count, kMaxArrayElements, smallest, reader.remaining()));
  KV_ASSIGN(value.elements, ReadElements(reader, value.element_type, value.count, what));
  return value;
}

Status ReadPair(ByteReader& reader, GgufMetadata& metadata) {
  KV_ASSIGN(const std::string_view key, reader.ReadString(kMaxKeyBytes, "a metadata key"));
  KV_TRY(CheckKey(key));
  const std::string what = fmt::format("metadata key {}", Printable(key));
  KV_ASSIGN(const GgufType type, ReadType(reader, fmt::format("the type of {}", what)));
  GgufValue value = {.type = type, .element_type = type, .count = 1, .elements = {}};
  if (type == GgufType::kArray) {
    KV_ASSIGN(value, ReadArray(reader, what));
  } else {
    KV_ASSIGN(value.elements, ReadElements(reader, type, 1, what));
  }
  if (!metadata.Insert(key, value)) return Fail(ErrorCode::kCorrupt, fmt::format("{} occurs twice", what));
  return {};
}

Result<uint32_t> ReadAlignment(const GgufMetadata& metadata) {
  const GgufValue* value = metadata.Find(kAlignmentKey);
  if (value == nullptr) return kDefaultAlignment;
  if (value->type != GgufType::kU32) {
    return Fail(ErrorCode::kCorrupt, fmt::format("metadata key {} is of type {}, but must be U32", kAlignmentKey,
                                                 GgufTypeName(value->type)));
  }
  KV_ASSIGN(const uint32_t alignment, metadata.GetU32(kAlignmentKey));
  KV_TRY(CheckAlignment(alignment));
  return alignment;
}

/// A tensor as described in the header; its offset counts from the data section, whose place is not known yet.
struct TensorInfo {
  tensor::TensorView view;
  uint64_t offset = 0;
};

std::unexpected<Error> UnknownType(std::string_view name, uint32_t id) {
  return Fail(
      ErrorCode::kUnsupported,
      fmt::format("tensor {} is stored as type {}, which {}; quantise the model again in a known format",
                  Printable(name), id,
                  id == 4 || id == 5 || (id >= 31 && id <= 33) || (id >= 36 && id <= 38) ? "was removed from GGUF"
                                                                                         : "is not known here"));
}

Result<TensorInfo> ReadTensorInfo(ByteReader& reader) {
  TensorInfo info;
  KV_ASSIGN(info.view.name, reader.ReadString(kMaxTensorNameBytes, "the name of a tensor"));
  const std::string what = fmt::format("the description of tensor {}", Printable(info.view.name));
  KV_ASSIGN(const uint32_t dims, reader.Read<uint32_t>(what));
  if (dims < 1 || dims > tensor::kMaxDims) {
    return Fail(ErrorCode::kCorrupt, fmt::format("tensor {} has {} dimensions, but must have 1 to {}",
                                                 Printable(info.view.name), dims, tensor::kMaxDims));
  }
  info.view.dims = static_cast<int>(dims);
  for (uint32_t i = 0; i < dims; ++i) {
    KV_ASSIGN(info.view.shape[i], reader.Read<int64_t>(what));
  }
  KV_ASSIGN(const uint32_t type_id, reader.Read<uint32_t>(what));
  const auto dtype = tensor::FromGgufId(type_id);
  if (!dtype) return UnknownType(info.view.name, type_id);
  info.view.dtype = *dtype;
  KV_ASSIGN(info.offset, reader.Read<uint64_t>(what));
  KV_ASSIGN(info.view.bytes, TensorBytes(info.view.name, *dtype, std::span(info.view.shape).first(dims)));
  return info;
}

Result<std::vector<TensorInfo>> ReadTensorInfos(ByteReader& reader, uint64_t count) {
  std::vector<TensorInfo> infos;
  std::unordered_set<std::string_view> names;
  for (uint64_t i = 0; i < count; ++i) {
    KV_ASSIGN(TensorInfo info, ReadTensorInfo(reader));
    if (!names.insert(info.view.name).second) {
      return Fail(ErrorCode::kCorrupt, fmt::format("tensor {} occurs twice", Printable(info.view.name)));
    }
    infos.push_back(info);
  }
  return infos;
}

/// Points every tensor at its bytes: `data_offset` is where the data section begins.
Status PlaceTensors(std::span<const std::byte> bytes, uint64_t data_offset, uint32_t alignment,
                    std::span<TensorInfo> infos) {
  uint64_t expected = 0;
  for (TensorInfo& info : infos) {
    tensor::TensorView& view = info.view;
    if (info.offset != expected) {
      return Fail(ErrorCode::kCorrupt, fmt::format("tensor {} is at offset {} of the data, but must follow the one "
                                                   "before it at {}",
                                                   Printable(view.name), info.offset, expected));
    }
    uint64_t begin = 0;
    uint64_t end = 0;
    const bool overflow = __builtin_add_overflow(data_offset, info.offset, &begin) ||
                          __builtin_add_overflow(begin, uint64_t{view.bytes}, &end);
    if (overflow || end > bytes.size()) {
      return Fail(ErrorCode::kCorrupt,
                  fmt::format("tensor {} needs {} bytes from byte {}, but the file has only {} bytes: it is cut off or "
                              "damaged, get it again",
                              Printable(view.name), view.bytes, begin, bytes.size()));
    }
    view.data = bytes.data() + begin;
    const auto next = AlignUp(info.offset + view.bytes, alignment);
    KV_CHECK(next.has_value());  // inside the file, so far from 2^64
    expected = *next;
  }
  return {};
}

}  // namespace

Result<GgufContents> ParseGguf(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  GgufContents contents;
  KV_ASSIGN(const Counts counts, ReadHeader(reader, bytes));
  contents.version = counts.version;
  for (uint64_t i = 0; i < counts.keys; ++i) {
    KV_TRY(ReadPair(reader, contents.metadata));
  }
  KV_ASSIGN(contents.alignment, ReadAlignment(contents.metadata));
  KV_ASSIGN(std::vector<TensorInfo> infos, ReadTensorInfos(reader, counts.tensors));
  contents.data_offset = reader.offset();
  if (!infos.empty()) {
    const auto data_offset = AlignUp(reader.offset(), contents.alignment);
    KV_CHECK(data_offset.has_value());
    KV_TRY(PlaceTensors(bytes, *data_offset, contents.alignment, infos));
    contents.data_offset = static_cast<size_t>(*data_offset);
  }
  contents.tensors.reserve(infos.size());
  for (const TensorInfo& info : infos) contents.tensors.push_back(info.view);
  return contents;
}

}  // namespace kvasir::files
