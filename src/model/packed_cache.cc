// The file: a header, a table with a hash of each chunk of the content, and the content: the bytes of the arena as they
// are. Numbers are the machine's own; a machine of the other byte order sees a wrong version. The header's hash covers
// the header and the table, the table's hashes the content, so that a reader knows every byte before it is used. All
// threads read and hash at the same time, a chunk each, straight into the arena's huge pages: mapping the file instead
// would save a copy, but decode from pages of 4 KB, and hash nothing.
#include "model/packed_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <vector>

#include "base/atomic_file.h"
#include "base/check.h"

namespace kvasir::model {
namespace {

/// Raise it when a packed layout changes, or the order in which weights are loaded.
constexpr uint64_t kVersion = 1;
constexpr uint64_t kMagic = 0x3031'4b43'5056'4b01;
constexpr size_t kChunkBytes = size_t{4} << 20;

struct Header {
  uint64_t magic = kMagic;
  uint64_t version = kVersion;
  uint64_t model_low = 0;
  uint64_t model_high = 0;
  uint64_t content_bytes = 0;
  uint64_t hash = 0;  // of the fields above and the table
};

size_t ChunksOf(size_t content_bytes) {
  return (content_bytes + kChunkBytes - 1) / kChunkBytes;
}

std::span<std::byte> ChunkOf(std::span<std::byte> content, size_t chunk) {
  const size_t begin = chunk * kChunkBytes;
  return content.subspan(begin, std::min(kChunkBytes, content.size() - begin));
}

uint64_t Hash(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t HashOf(const Header& header, std::span<const uint64_t> table) {
  return XXH3_64bits_withSeed(table.data(), table.size_bytes(), XXH3_64bits(&header, offsetof(Header, hash)));
}

/// An open file, closed at the end of the scope.
class InputFile {
 public:
  explicit InputFile(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {}
  ~InputFile() {
    if (fd_ >= 0) close(fd_);
  }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  /// The size of a regular file; 0 where there is none.
  [[nodiscard]] size_t size() const {
    struct stat info = {};
    return fd_ >= 0 && fstat(fd_, &info) == 0 && S_ISREG(info.st_mode) ? static_cast<size_t>(info.st_size) : 0;
  }
  [[nodiscard]] bool ReadAt(size_t offset, std::span<std::byte> out) const {
    while (!out.empty()) {
      const ssize_t got = pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      offset += static_cast<size_t>(got);
      out = out.subspan(static_cast<size_t>(got));
    }
    return true;
  }

 private:
  int fd_;
};

}  // namespace

PackedCache::PackedCache(std::string path, const files::GgufFile& gguf) : path_(std::move(path)) {
  std::vector<uint64_t> material;
  for (const base::MmapFile& part : gguf.parts()) {
    std::error_code error;
    const auto time = std::filesystem::last_write_time(part.path(), error).time_since_epoch().count();
    size_t head = part.size();
    for (const tensor::TensorView& view : gguf.tensors()) {
      if (view.data < part.data() || view.data >= part.data() + part.size()) continue;
      head = std::min(head, static_cast<size_t>(view.data - part.data()));
    }
    material.insert(material.end(), {static_cast<uint64_t>(time), part.size(), Hash(part.span().first(head))});
  }
  const XXH128_hash_t hash = XXH3_128bits(material.data(), material.size() * sizeof(uint64_t));
  model_low_ = hash.low64;
  model_high_ = hash.high64;
}

bool PackedCache::Read(ops::WeightArena& arena, base::ThreadPool& pool,
                       const std::function<void(const LoadProgress&)>& on_progress) const {
  const InputFile file(path_);
  const size_t size = file.size();
  Header header;
  if (size < sizeof header || !file.ReadAt(0, std::as_writable_bytes(std::span(&header, 1)))) return false;
  if (header.magic != kMagic || header.version != kVersion || header.model_low != model_low_ ||
      header.model_high != model_high_ || header.content_bytes > arena.memory().size()) {
    return false;
  }
  std::vector<uint64_t> table(ChunksOf(header.content_bytes));
  const size_t begin = sizeof header + table.size() * sizeof(uint64_t);
  if (size != begin + header.content_bytes || !file.ReadAt(sizeof header, std::as_writable_bytes(std::span(table))) ||
      HashOf(header, table) != header.hash) {
    return false;
  }
  const std::span<std::byte> content = arena.memory().first(header.content_bytes);
  std::atomic<bool> good = true;
  const auto chunks = static_cast<int64_t>(table.size());
  const int64_t at_a_time = 16 * pool.size();
  for (int64_t first = 0; first < chunks && good; first += at_a_time) {
    const int64_t count = std::min(at_a_time, chunks - first);
    pool.ForDynamic(count, 1, [&](int64_t from, int64_t to, int) {
      for (int64_t i = first + from; i < first + to; ++i) {
        const auto chunk = static_cast<size_t>(i);
        const std::span<std::byte> part = ChunkOf(content, chunk);
        if (!file.ReadAt(begin + chunk * kChunkBytes, part) || Hash(part) != table[chunk]) good = false;
      }
    });
    const size_t done = std::min(content.size(), static_cast<size_t>(first + count) * kChunkBytes);
    if (on_progress) on_progress({"reading packed weights", done, content.size()});
  }
  return good;
}

Status PackedCache::Write(ops::WeightArena& arena, base::ThreadPool& pool) const {
  const std::span<std::byte> content = arena.used();
  std::vector<uint64_t> table(ChunksOf(content.size()));
  pool.ForDynamic(static_cast<int64_t>(table.size()), 1, [&](int64_t from, int64_t to, int) {
    for (auto chunk = static_cast<size_t>(from); chunk < static_cast<size_t>(to); ++chunk) {
      table[chunk] = Hash(ChunkOf(content, chunk));
    }
  });
  Header header{.model_low = model_low_, .model_high = model_high_, .content_bytes = content.size()};
  header.hash = HashOf(header, table);
  auto file = base::AtomicFile::Create(path_);
  if (!file && file.error().code == ErrorCode::kResourceExhausted) return {};
  if (!file) return std::unexpected(std::move(file).error());
  KV_TRY(file->Write(std::as_bytes(std::span(&header, 1))));
  KV_TRY(file->Write(std::as_bytes(std::span(table))));
  KV_TRY(file->Write(content));
  return file->Commit();
}

}  // namespace kvasir::model
