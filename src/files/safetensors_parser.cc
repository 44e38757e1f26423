// Parsing untrusted safetensors.
//
// The format is eight bytes of length, that many bytes of JSON, and the tensors' bytes; the JSON gives each tensor a
// type, a shape and the range of its bytes. The problem is that of every mapped file: one unchecked range is a read
// of whatever lies behind it. The idea: the header is read as a stream of events, so that nothing is built from JSON of
// another shape, a name that occurs twice is seen (a JSON library would keep the last), and depth is bounded by the
// grammar. Then the ranges, sorted, must tile the data section exactly, which leaves no room for a gap, an overlap or
// an overrun. Source: the README of huggingface/safetensors, which demands all of this of a reader.
#include "files/safetensors_parser.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "base/check.h"
#include "base/parse_json.h"
#include "files/byte_reader.h"
#include "files/gguf.h"

namespace kvasir::files {
namespace {

using Json = nlohmann::json;

struct ElementType {
  std::string_view name;
  uint64_t bytes;
  std::optional<tensor::DType> dtype;  // nothing: foreign
};

constexpr auto kElementTypes = std::to_array<ElementType>({
    {"F32", 4, tensor::DType::kF32},
    {"F16", 2, tensor::DType::kF16},
    {"BF16", 2, tensor::DType::kBF16},
    {"F64", 8, tensor::DType::kF64},
    {"I64", 8, tensor::DType::kI64},
    {"I32", 4, tensor::DType::kI32},
    {"I16", 2, tensor::DType::kI16},
    {"I8", 1, tensor::DType::kI8},
    {"U64", 8, std::nullopt},
    {"U32", 4, std::nullopt},
    {"U16", 2, std::nullopt},
    {"U8", 1, std::nullopt},
    {"BOOL", 1, std::nullopt},
    {"F8_E4M3", 1, std::nullopt},
    {"F8_E5M2", 1, std::nullopt},
});

// One entry of the header as it stands there.
struct Entry {
  std::string name;
  std::string dtype;
  std::vector<uint64_t> shape;  // contiguous dimension last
  std::vector<uint64_t> offsets;
  bool has_dtype = false;
  bool has_shape = false;
  bool has_offsets = false;
};

// Follows the header's JSON event by event and takes only what has the format's shape. A false return stops the parser;
// `problem` then says why.
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderReader(std::string_view text) : text_(text) {}

  std::vector<Entry> entries;
  std::vector<std::pair<std::string, std::string>> metadata;
  std::string problem;

  bool null() override { return Unexpected("null"); }
  bool boolean(bool /*value*/) override { return Unexpected("true or false"); }
  bool number_integer(number_integer_t value) override { return Unexpected(fmt::to_string(value)); }
  bool number_float(number_float_t /*value*/, const string_t& text) override { return Unexpected(Printable(text)); }
  bool binary(binary_t& /*value*/) override { return Unexpected("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kShape && place_ != Place::kOffsets) return Unexpected(fmt::to_string(value));
    std::vector<uint64_t>& list = place_ == Place::kShape ? entries.back().shape : entries.back().offsets;
    // Far more than any dimension count that is accepted below, and no room for a hostile list.
    constexpr size_t kMostNumbers = 64;
    if (list.size() >= kMostNumbers) return Refuse("has a list of more than 64 numbers");
    list.push_back(value);
    return true;
  }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      metadata.back().second = value;
      return true;
    }
    if (place_ != Place::kTensor || key_ != "dtype") return Unexpected("the text '" + Printable(value) + "'");
    entries.back().dtype = value;
    return true;
  }

  bool start_object(size_t /*size*/) override {
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
    } else if (place_ == Place::kTop) {
      if (key_ == "__metadata__") {
        place_ = Place::kMetadata;
      } else {
        place_ = Place::kTensor;
        entries.emplace_back().name = key_;
      }
    } else {
      return Unexpected("an object");
    }
    return true;
  }

  bool key(string_t& name) override {
    key_ = name;
    if (place_ == Place::kTop) return TopKey();
    if (place_ == Place::kMetadata) {
      if (!metadata_keys_.insert(name).second) {
        return Say("metadata key '" + Printable(name) + "' occurs twice");
      }
      metadata.emplace_back(name, "");
      return true;
    }
    return TensorKey();
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      const Entry& entry = entries.back();
      if (!entry.has_dtype || !entry.has_shape || !entry.has_offsets) {
        return Refuse("must have dtype, shape and data_offsets");
      }
    }
    place_ = place_ == Place::kTop ? Place::kEnd : Place::kTop;
    return true;
  }

  bool start_array(size_t /*size*/) override {
    if (place_ != Place::kTensor || key_ == "dtype") return Unexpected("a list");
    place_ = key_ == "shape" ? Place::kShape : Place::kOffsets;
    return true;
  }

  bool end_array() override {
    place_ = Place::kTensor;
    return true;
  }

  bool parse_error(size_t place, const std::string& /*token*/, const nlohmann::detail::exception& error) override {
    constexpr size_t kShown = 300;
    const std::string why = Printable(base::ExplainBadJson(text_, place, error.what()), kShown);
    return Say(fmt::format("it is no JSON from byte {} on: {}", place, why));
  }

 private:
  enum class Place { kStart, kTop, kMetadata, kTensor, kShape, kOffsets, kEnd };

  bool Say(std::string text) {
    problem = std::move(text);
    return false;
  }
  bool Refuse(std::string_view what) { return Say(fmt::format("tensor {} {}", Printable(entries.back().name), what)); }
  bool Unexpected(std::string_view what) {
    switch (place_) {
      case Place::kStart: return Say("it must be an object");
      case Place::kTop:
      case Place::kEnd:
        return Say(fmt::format("'{}' is {}, but must be the description of a tensor", Printable(key_), what));
      case Place::kMetadata:
        return Say(fmt::format("metadata key '{}' is {}, but must be a text", Printable(key_), what));
      case Place::kTensor:
      case Place::kShape:
      case Place::kOffsets: break;
    }
    const bool text = key_ == "dtype";
    return Refuse(
        fmt::format("has {} as {}, but it must be {}", what, key_, text ? "a text" : "a list of whole numbers"));
  }

  bool TopKey() {
    if (!top_keys_.insert(key_).second) return Say("'" + Printable(key_) + "' occurs twice");
    if (key_.size() > kMaxSafetensorsName) {
      return Say(
          fmt::format("a tensor's name has {} bytes, more than the {} allowed", key_.size(), kMaxSafetensorsName));
    }
    if (top_keys_.size() > kMaxSafetensorsTensors) {
      return Say(fmt::format("there are more than {} tensors", kMaxSafetensorsTensors));
    }
    return true;
  }

  bool TensorKey() {
    Entry& entry = entries.back();
    bool* seen = key_ == "dtype"          ? &entry.has_dtype
                 : key_ == "shape"        ? &entry.has_shape
                 : key_ == "data_offsets" ? &entry.has_offsets
                                          : nullptr;
    if (seen == nullptr) return Refuse("has a member '" + Printable(key_) + "', which the format does not know");
    if (*seen) return Refuse("has " + key_ + " twice");
    *seen = true;
    return true;
  }

  std::string_view text_;
  Place place_ = Place::kStart;
  std::string key_;
  std::unordered_set<std::string> top_keys_;
  std::unordered_set<std::string> metadata_keys_;
};

std::unexpected<Error> Corrupt(std::string message) {
  return Fail(ErrorCode::kCorrupt, std::move(message));
}

Result<std::string_view> ReadHeader(ByteReader& reader) {
  KV_ASSIGN(const uint64_t length, reader.Read<uint64_t>("the length of the header"));
  if (length > kMaxSafetensorsHeader) {
    return Corrupt(
        fmt::format("the header claims {} bytes, more than the {} allowed: this is no safetensors file, or "
                    "a damaged one",
                    length, kMaxSafetensorsHeader));
  }
  KV_ASSIGN(const auto bytes, reader.Take(length, "the header"));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with('{')) return Corrupt("the header does not begin with '{': this is no safetensors file");
  return text;
}

// The bytes that an entry's type and shape take. Also a tensor without elements must have dimensions whose product
// means something, because those who walk over it multiply some of them.
Result<uint64_t> BytesOf(const Entry& entry, const ElementType& type) {
  int64_t bytes = static_cast<int64_t>(type.bytes);
  bool overflow = false;
  bool empty = false;
  for (const uint64_t dim : entry.shape) {
    empty = empty || dim == 0;
    overflow = overflow || __builtin_mul_overflow(bytes, std::max<uint64_t>(dim, 1), &bytes);
  }
  if (!overflow) return empty ? 0 : static_cast<uint64_t>(bytes);
  return Corrupt(fmt::format("tensor {} has shape [{}]: more bytes than 2^63", Printable(entry.name),
                             fmt::join(entry.shape, ", ")));
}

// Adds a checked entry to `contents`, as a view or as foreign.
Status AddEntry(const Entry& entry, std::string_view name, std::span<const std::byte> data,
                SafetensorsContents& contents) {
  const auto type = std::ranges::find(kElementTypes, entry.dtype, &ElementType::name);
  if (type == kElementTypes.end()) {
    return Corrupt(fmt::format("tensor {} has type '{}', which the format does not know", Printable(name),
                               Printable(entry.dtype, 20)));
  }
  KV_ASSIGN(const uint64_t bytes, BytesOf(entry, *type));
  if (bytes != data.size()) {
    return Corrupt(fmt::format("tensor {} of type {} and shape [{}] takes {} bytes, but its data_offsets hold {}",
                               Printable(name), type->name, fmt::join(entry.shape, ", "), bytes, data.size()));
  }
  if (!type->dtype) {
    contents.foreign.push_back({name, type->name});
    return {};
  }
  if (entry.shape.size() > static_cast<size_t>(tensor::kMaxDims)) {
    return Fail(ErrorCode::kUnsupported, fmt::format("tensor {} has {} dimensions; at most {} are supported",
                                                     Printable(name), entry.shape.size(), tensor::kMaxDims));
  }
  tensor::TensorView view{.name = name, .dtype = *type->dtype, .data = data.data(), .bytes = data.size()};
  view.dims = std::max(1, static_cast<int>(entry.shape.size()));
  view.shape = {1, 1, 1, 1};
  for (size_t i = 0; i < entry.shape.size(); ++i) {
    view.shape[i] = static_cast<int64_t>(entry.shape[entry.shape.size() - 1 - i]);
  }
  contents.tensors.push_back(view);
  return {};
}

// Fails unless the ranges of the entries, which are sorted by them, tile `size` bytes.
Status CheckTiling(std::span<const Entry> entries, uint64_t size) {
  uint64_t expected = 0;
  for (const Entry& entry : entries) {
    const std::string name = Printable(entry.name);
    const uint64_t begin = entry.offsets[0];
    const uint64_t end = entry.offsets[1];
    if (end < begin || end > size) {
      return Corrupt(fmt::format("tensor {} is at bytes {} to {} of {}: the file is cut off or damaged, get it again",
                                 name, begin, end, size));
    }
    if (begin != expected) {
      return Corrupt(fmt::format("tensor {} begins at byte {} of the data, but must follow the one before it at {}",
                                 name, begin, expected));
    }
    expected = end;
  }
  if (expected == size) return {};
  return Corrupt(fmt::format("the tensors end at byte {} of the data, but there are {}", expected, size));
}

}  // namespace

Result<SafetensorsContents> ParseSafetensors(std::span<const std::byte> bytes) {
  ByteReader reader(bytes);
  KV_ASSIGN(const std::string_view text, ReadHeader(reader));
  HeaderReader header(text);
  if (!Json::sax_parse(text.begin(), text.end(), &header)) return Corrupt("in the header, " + header.problem);

  std::vector<Entry>& entries = header.entries;
  for (const Entry& entry : entries) {
    if (entry.offsets.size() == 2) continue;
    return Corrupt(
        fmt::format("tensor {} has {} data_offsets, but must have 2", Printable(entry.name), entry.offsets.size()));
  }
  std::ranges::stable_sort(entries, {},
                           [](const Entry& entry) { return std::pair(entry.offsets[0], entry.offsets[1]); });
  const std::span<const std::byte> data = bytes.subspan(reader.offset());
  KV_TRY(CheckTiling(entries, data.size()));

  SafetensorsContents contents;
  contents.metadata = std::move(header.metadata);
  contents.names.reserve(entries.size());
  for (Entry& entry : entries) contents.names.push_back(std::move(entry.name));
  for (size_t i = 0; i < entries.size(); ++i) {
    const Entry& entry = entries[i];
    const auto range =
        data.subspan(static_cast<size_t>(entry.offsets[0]), static_cast<size_t>(entry.offsets[1] - entry.offsets[0]));
    KV_TRY(AddEntry(entry, contents.names[i], range, contents));
  }
  return contents;
}

}  // namespace kvasir::files
