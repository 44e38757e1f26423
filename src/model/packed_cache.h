// A model's packed weights in a file, so that the next start reads them instead of packing again.
#pragma once

#include <functional>
#include <string>

#include "base/thread_pool.h"
#include "files/gguf_reader.h"
#include "kvasir/options.h"
#include "kvasir/result.h"
#include "ops/weight_arena.h"

namespace kvasir::model {

/// One cache file of one model.
class PackedCache {
 public:
  /// The cache at `path` of the model in `gguf`, which is identified by the sizes and times of its files and a hash of
  /// everything in them before the tensors' data.
  PackedCache(std::string path, const files::GgufFile& gguf);

  /// Fills `arena` from the file with all threads of `pool`. False, with nothing promised about the arena's memory,
  /// where there is no file, it was made from another model or by another version, or a byte of it has changed.
  [[nodiscard]] bool Read(ops::WeightArena& arena, base::ThreadPool& pool,
                          const std::function<void(const LoadProgress&)>& on_progress) const;

  /// Writes what `arena` holds, in place of what was there. Errors: kIo. While another process writes the same file
  /// this does nothing.
  [[nodiscard]] Status Write(ops::WeightArena& arena, base::ThreadPool& pool) const;

 private:
  std::string path_;
  uint64_t model_low_ = 0;  // the identity, a 128-bit hash
  uint64_t model_high_ = 0;
};

}  // namespace kvasir::model
