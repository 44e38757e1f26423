// Test support: reads the vocabulary out of a GGUF file, with as little as that takes. Products read GGUF in src/files,
// which this room must not depend on.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <unordered_map>

#include "text/vocabulary.h"

namespace kvasir::text {

/// A forward reader of GGUF metadata that keeps what begins with "tokenizer.ggml.". Trusts the file: tests only.
class GgufVocabularyReader {
 public:
  static std::optional<Vocabulary> Read(const std::string& path) {
    GgufVocabularyReader reader(path);
    if (!reader.in_ || reader.Value<uint32_t>() != 0x46554747) return std::nullopt;
    reader.Value<uint32_t>();  // version
    reader.Value<uint64_t>();  // tensors
    const auto keys = reader.Value<uint64_t>();
    for (uint64_t i = 0; i < keys && reader.in_; ++i) reader.ReadKey();
    if (!reader.in_) return std::nullopt;
    return std::move(reader.vocabulary_);
  }

 private:
  enum Kind : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

  explicit GgufVocabularyReader(const std::string& path) : in_(path, std::ios::binary) {}

  template <typename T>
  T Value() {
    T value{};
    in_.read(reinterpret_cast<char*>(&value), sizeof value);
    return value;
  }

  std::string String() {
    std::string text(static_cast<size_t>(Value<uint64_t>()), '\0');
    in_.read(text.data(), static_cast<std::streamsize>(text.size()));
    return text;
  }

  static size_t SizeOf(uint32_t kind) {
    constexpr size_t kSizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return kSizes[kind];
  }

  void Skip(uint32_t kind) {
    if (kind == kString) {
      String();
    } else if (kind == kArray) {
      const auto element = Value<uint32_t>();
      const auto count = Value<uint64_t>();
      for (uint64_t i = 0; i < count; ++i) Skip(element);
    } else {
      in_.ignore(static_cast<std::streamsize>(SizeOf(kind)));
    }
  }

  template <typename T, typename ReadOne>
  void Array(std::vector<T>& out, ReadOne read_one) {
    Value<uint32_t>();  // element kind: as the format says for the key
    out.resize(static_cast<size_t>(Value<uint64_t>()));
    for (T& element : out) element = read_one();
  }

  void ReadKey() {
    const std::string key = String();
    const auto kind = Value<uint32_t>();
    const std::string prefix = "tokenizer.ggml.";
    if (!key.starts_with(prefix) || !ReadField(key.substr(prefix.size()))) Skip(kind);
  }

  bool ReadField(const std::string& name) {
    Vocabulary& v = vocabulary_;
    if (name == "model") return v.model = String(), true;
    if (name == "pre") return v.pre = String(), true;
    if (name == "tokens") return Array(v.tokens, [&] { return String(); }), true;
    if (name == "merges") return Array(v.merges, [&] { return String(); }), true;
    if (name == "scores") return Array(v.scores, [&] { return Value<float>(); }), true;
    if (name == "token_type") return Array(v.types, [&] { return static_cast<TokenType>(Value<int32_t>()); }), true;
    if (name == "precompiled_charsmap") return Array(v.precompiled_charsmap, [&] { return Value<std::byte>(); }), true;
    return ReadId(name) || ReadFlag(name);
  }

  bool ReadId(const std::string& name) {
    const std::unordered_map<std::string, int32_t Vocabulary::*> ids = {
        {"bos_token_id", &Vocabulary::bos},     {"eos_token_id", &Vocabulary::eos},
        {"unknown_token_id", &Vocabulary::unk}, {"seperator_token_id", &Vocabulary::sep},
        {"padding_token_id", &Vocabulary::pad}, {"cls_token_id", &Vocabulary::cls},
        {"mask_token_id", &Vocabulary::mask},   {"eot_token_id", &Vocabulary::eot},
        {"eom_token_id", &Vocabulary::eom},
    };
    const auto field = ids.find(name);
    if (field == ids.end()) return false;
    vocabulary_.*field->second = Value<int32_t>();
    return true;
  }

  bool ReadFlag(const std::string& name) {
    const std::unordered_map<std::string, std::optional<bool> Vocabulary::*> flags = {
        {"add_bos_token", &Vocabulary::add_bos},
        {"add_eos_token", &Vocabulary::add_eos},
        {"add_sep_token", &Vocabulary::add_sep},
        {"add_space_prefix", &Vocabulary::add_space_prefix},
        {"remove_extra_whitespaces", &Vocabulary::remove_extra_whitespaces},
    };
    const auto field = flags.find(name);
    if (field == flags.end()) return false;
    vocabulary_.*field->second = Value<uint8_t>() != 0;
    return true;
  }

  std::ifstream in_;
  Vocabulary vocabulary_;
};

/// Where real models lie: $KVASIR_MODELS, else the user's cache.
inline std::string ModelPathForTest(const std::string& file) {
  if (const char* models = std::getenv("KVASIR_MODELS")) return std::string(models) + "/" + file;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string root =
      cache != nullptr && *cache != '\0' ? cache : std::string(home != nullptr ? home : "") + "/.cache";
  return root + "/kvasir/models/" + file;
}

/// The whole of a file; "" if it cannot be read.
inline std::string ReadFileForTest(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace kvasir::text
