// Pages of key-value memory under one byte budget: allocation, reference counts, accounting.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "kvasir/result.h"

namespace kvasir::kvcache {

class PagePool;

namespace internal {
struct Slab;

// The bookkeeping of one page. It lies apart from the page's bytes, so that those stay aligned and dense.
struct PageHeader {
  std::byte* data = nullptr;
  Slab* slab = nullptr;
  std::atomic<uint32_t> references = 0;
  bool compact = false;
};
}  // namespace internal

/// A counted reference to one page; the last reference gives the page back to its pool, which must outlive it.
///
/// Threads: different Page objects may be used from different threads, also when they refer to the same page. The bytes
/// themselves may be written only through a Page that is `unique()`.
class Page {
 public:
  Page() = default;
  Page(const Page& other) : header_(other.header_) { Acquire(); }
  Page(Page&& other) noexcept : header_(std::exchange(other.header_, nullptr)) {}
  Page& operator=(Page other) noexcept {
    std::swap(header_, other.header_);
    return *this;
  }
  ~Page() { Reset(); }

  /// Drops the reference; the object becomes empty.
  void Reset();

  explicit operator bool() const { return header_ != nullptr; }
  std::byte* data() const { return header_->data; }
  /// The size class of the page: the bytes that were asked for, rounded up to 64.
  size_t bytes() const;
  /// Whether the page is stored as CompactStore does it, and not in the open format.
  bool compact() const { return header_->compact; }
  /// Says so. Before anybody else has a reference.
  void MarkCompact() { header_->compact = true; }
  uint32_t use_count() const { return header_->references.load(std::memory_order_acquire); }
  bool unique() const { return use_count() == 1; }
  /// Whether both refer to the same page (or both to none).
  friend bool operator==(const Page& a, const Page& b) { return a.header_ == b.header_; }

 private:
  friend class PagePool;
  explicit Page(internal::PageHeader* header) : header_(header) {}
  void Acquire() const {
    if (header_ != nullptr) header_->references.fetch_add(1, std::memory_order_relaxed);
  }

  internal::PageHeader* header_ = nullptr;
};

/// The state of a pool at one moment. All figures in bytes unless named otherwise.
struct PoolStats {
  size_t budget_bytes = 0;
  size_t live_bytes = 0;  ///< Of all pages somebody refers to; never above the budget. A shared page counts once.
  size_t live_pages = 0;
  size_t reserved_bytes = 0;  ///< Set aside for what is no page; with live_bytes never above the budget.
  size_t mapped_bytes = 0;  ///< Address space held from the system: live pages, free pages of slabs in use, slab tails.
  size_t peak_live_bytes = 0;
};

/// Somebody who keeps pages that can be done without. Its functions are called from whatever thread allocates.
class PageKeeper {
 public:
  virtual ~PageKeeper() = default;
  /// Gives up pages that nobody else refers to, until `bytes` are free or none is left. Returns the bytes freed. Must
  /// not allocate pages.
  virtual size_t Reclaim(size_t bytes) = 0;
};

/// One pool of pages of any sizes under one budget.
///
/// The budget limits live bytes exactly: an allocation that fits it succeeds (unless the system itself refuses memory),
/// so admission can be decided by arithmetic alone. Where one does not fit, those who keep pages for reuse are asked to
/// give up what is missing before it fails. Pages of one size are cut from slabs of about 2 MiB, aligned for
/// transparent huge pages; a slab without live pages goes back to the system, except for one spare per size.
///
/// Threads: all functions are safe to call concurrently. One mutex guards lists and figures and is held for the list
/// operation only, and in the rarer case while a slab is mapped; page contents are never touched under it.
class PagePool {
 public:
  /// Fails with kInvalidArgument when `budget_bytes` is zero.
  static Result<std::unique_ptr<PagePool>> Create(size_t budget_bytes);
  /// All pages must have been given back.
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  /// A page of at least `page_bytes` (1 .. 1 MiB) bytes, aligned to 64, contents unspecified. kResourceExhausted, with
  /// the numbers, when the budget does not allow it or the system refuses memory.
  Result<Page> Allocate(size_t page_bytes);
  /// `count` such pages, or none.
  Result<std::vector<Page>> AllocateMany(size_t page_bytes, size_t count);

  /// Bytes of the budget that belong to something else than pages: until the object goes, no page can have them.
  class Reservation {
   public:
    Reservation() = default;
    Reservation(Reservation&& other) noexcept
        : pool_(std::exchange(other.pool_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    Reservation& operator=(Reservation other) noexcept {
      std::swap(pool_, other.pool_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Reservation();

   private:
    friend class PagePool;
    Reservation(PagePool* pool, size_t bytes) : pool_(pool), bytes_(bytes) {}

    PagePool* pool_ = nullptr;
    size_t bytes_ = 0;
  };
  /// Sets `bytes` aside, for which those who keep pages for reuse may have to give some up. kResourceExhausted, with
  /// the numbers, when the budget does not allow it.
  Result<Reservation> Reserve(size_t bytes);

  /// From now on `keeper` is asked when memory is short, until it is removed.
  void AddKeeper(PageKeeper& keeper);
  /// Once this returns, no call of `keeper` is under way.
  void RemoveKeeper(PageKeeper& keeper);

  size_t budget_bytes() const { return budget_bytes_; }
  PoolStats stats() const;

 private:
  friend class Page;
  struct SizeClass;

  explicit PagePool(size_t budget_bytes);
  size_t Missing(size_t bytes) const;
  Status TakeReservation(size_t bytes);
  size_t ReclaimFromKeepers(size_t bytes);
  Result<std::vector<Page>> TakePages(size_t class_bytes, size_t count);
  Status MapSlab(SizeClass& size_class, size_t class_bytes);
  Page TakeFree(SizeClass& size_class);
  void GiveBack(internal::PageHeader* header);
  void UnmapSlab(SizeClass& size_class, internal::Slab* slab);

  const size_t budget_bytes_;
  mutable std::mutex mutex_;
  std::map<size_t, std::unique_ptr<SizeClass>> classes_;  // by bytes of a page
  PoolStats stats_;

  std::mutex keepers_mutex_;  // taken before a keeper's own mutex, and that before mutex_
  std::vector<PageKeeper*> keepers_;
};

}  // namespace kvasir::kvcache
