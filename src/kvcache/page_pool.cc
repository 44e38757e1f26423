// Pages of one size are cut from slabs. A slab knows its free pages, a size class knows its slabs with any; so taking
// and giving back a page is a push or pop, and memory goes back to the system a slab at a time. Sizes never share a
// slab: a pool has one or two of them (the open format, a codec), and fixed places make fragmentation inside a slab
// impossible.
#include "kvcache/page_pool.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/aligned.h"
#include "base/check.h"

namespace kvasir::kvcache {
namespace {

constexpr size_t kSlabBytes = size_t{2} << 20;
constexpr size_t kMaxPageBytes = size_t{1} << 20;

constexpr size_t ClassBytes(size_t page_bytes) {
  return (page_bytes + base::kCacheLineBytes - 1) / base::kCacheLineBytes * base::kCacheLineBytes;
}

}  // namespace

namespace internal {

struct Slab {
  PagePool* pool = nullptr;
  size_t page_bytes = 0;
  base::AlignedBuffer memory;
  std::unique_ptr<PageHeader[]> headers;
  std::vector<PageHeader*> free;
  size_t num_pages = 0;

  bool unused() const { return free.size() == num_pages; }
};

}  // namespace internal

struct PagePool::SizeClass {
  std::vector<std::unique_ptr<internal::Slab>> slabs;
  std::vector<internal::Slab*> with_free;
  size_t num_unused = 0;  // slabs without a live page
};

void Page::Reset() {
  internal::PageHeader* header = std::exchange(header_, nullptr);
  // The last owner must see all writes of the others before the page is used for something else.
  if (header != nullptr && header->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    header->slab->pool->GiveBack(header);
  }
}

size_t Page::bytes() const {
  return header_->slab->page_bytes;
}

Result<std::unique_ptr<PagePool>> PagePool::Create(size_t budget_bytes) {
  if (budget_bytes == 0) {
    return Fail(ErrorCode::kInvalidArgument,
                "the cache's memory budget is 0 bytes: give it room for at least one page");
  }
  return std::unique_ptr<PagePool>(new PagePool(budget_bytes));
}

PagePool::PagePool(size_t budget_bytes) : budget_bytes_(budget_bytes) {
  stats_.budget_bytes = budget_bytes;
}

PagePool::~PagePool() {
  KV_CHECK(stats_.live_pages == 0 && stats_.reserved_bytes == 0);
}

PagePool::Reservation::~Reservation() {
  if (pool_ == nullptr) return;
  const std::lock_guard lock(pool_->mutex_);
  pool_->stats_.reserved_bytes -= bytes_;
}

Result<PagePool::Reservation> PagePool::Reserve(size_t bytes) {
  while (true) {
    const Status taken = TakeReservation(bytes);
    if (taken) return Reservation(this, bytes);
    if (ReclaimFromKeepers(bytes) == 0) return std::unexpected(taken.error());
  }
}

Status PagePool::TakeReservation(size_t bytes) {
  const std::lock_guard lock(mutex_);
  if (Missing(bytes) > 0) {
    return Fail(
        ErrorCode::kResourceExhausted,
        fmt::format("{} bytes beside the cache's pages are needed, but of its budget of {} bytes {} are in use: "
                    "raise the budget, shorten the context or end a sequence",
                    bytes, budget_bytes_, stats_.live_bytes + stats_.reserved_bytes));
  }
  stats_.reserved_bytes += bytes;
  return {};
}

Result<Page> PagePool::Allocate(size_t page_bytes) {
  KV_ASSIGN(std::vector<Page> pages, AllocateMany(page_bytes, 1));
  return std::move(pages.front());
}

Result<std::vector<Page>> PagePool::AllocateMany(size_t page_bytes, size_t count) {
  KV_CHECK(page_bytes > 0 && page_bytes <= kMaxPageBytes);
  const size_t class_bytes = ClassBytes(page_bytes);
  while (true) {
    Result<std::vector<Page>> pages = TakePages(class_bytes, count);
    if (pages || ReclaimFromKeepers(class_bytes * count) == 0) return pages;
  }
}

Result<std::vector<Page>> PagePool::TakePages(size_t class_bytes, size_t count) {
  std::vector<Page> pages;  // outlives the lock: dropping what a failure leaves takes it again
  pages.reserve(std::min(count, budget_bytes_ / class_bytes));
  const std::lock_guard lock(mutex_);
  if (Missing(class_bytes * count) > 0) {
    return Fail(ErrorCode::kResourceExhausted,
                fmt::format("the cache needs {} more page{} of {} bytes, but of its budget of {} bytes {} are in use: "
                            "raise the budget, shorten the context or end a sequence",
                            count, count == 1 ? "" : "s", class_bytes, budget_bytes_,
                            stats_.live_bytes + stats_.reserved_bytes));
  }
  std::unique_ptr<SizeClass>& size_class = classes_[class_bytes];
  if (size_class == nullptr) size_class = std::make_unique<SizeClass>();
  while (pages.size() < count) {
    if (size_class->with_free.empty()) KV_TRY(MapSlab(*size_class, class_bytes));
    pages.push_back(TakeFree(*size_class));
  }
  return pages;
}

// What `bytes` more would need beyond the budget.
size_t PagePool::Missing(size_t bytes) const {
  const size_t available = budget_bytes_ - stats_.live_bytes - stats_.reserved_bytes;
  return bytes > available ? bytes - available : 0;
}

// Frees what an allocation of `bytes` lacks, or some of it. Returns the bytes freed.
size_t PagePool::ReclaimFromKeepers(size_t bytes) {
  const std::lock_guard keepers_lock(keepers_mutex_);
  size_t missing = 0;
  {
    const std::lock_guard lock(mutex_);
    missing = Missing(bytes);
  }
  size_t freed = 0;
  for (PageKeeper* keeper : keepers_) {
    if (freed < missing) freed += keeper->Reclaim(missing - freed);
  }
  return freed;
}

void PagePool::AddKeeper(PageKeeper& keeper) {
  const std::lock_guard lock(keepers_mutex_);
  keepers_.push_back(&keeper);
}

void PagePool::RemoveKeeper(PageKeeper& keeper) {
  const std::lock_guard lock(keepers_mutex_);
  KV_CHECK(std::erase(keepers_, &keeper) == 1);
}

Status PagePool::MapSlab(SizeClass& size_class, size_t class_bytes) {
  auto slab = std::make_unique<internal::Slab>();
  slab->pool = this;
  slab->page_bytes = class_bytes;
  slab->num_pages = std::max<size_t>(1, kSlabBytes / class_bytes);
  KV_ASSIGN(slab->memory, base::AlignedBuffer::Create(kSlabBytes, base::AlignedBuffer::Pages::kHuge));
  slab->headers = std::make_unique<internal::PageHeader[]>(slab->num_pages);
  slab->free.reserve(slab->num_pages);
  for (size_t i = slab->num_pages; i-- > 0;) {  // the lowest address is taken first
    slab->headers[i].data = slab->memory.data() + i * class_bytes;
    slab->headers[i].slab = slab.get();
    slab->free.push_back(&slab->headers[i]);
  }
  stats_.mapped_bytes += kSlabBytes;
  ++size_class.num_unused;
  size_class.with_free.push_back(slab.get());
  size_class.slabs.push_back(std::move(slab));
  return {};
}

Page PagePool::TakeFree(SizeClass& size_class) {
  internal::Slab* slab = size_class.with_free.back();
  if (slab->unused()) --size_class.num_unused;
  internal::PageHeader* header = slab->free.back();
  slab->free.pop_back();
  if (slab->free.empty()) size_class.with_free.pop_back();
  header->references.store(1, std::memory_order_relaxed);
  header->compact = false;
  ++stats_.live_pages;
  stats_.live_bytes += slab->page_bytes;
  stats_.peak_live_bytes = std::max(stats_.peak_live_bytes, stats_.live_bytes);
  return Page(header);
}

void PagePool::GiveBack(internal::PageHeader* header) {
  const std::lock_guard lock(mutex_);
  internal::Slab* slab = header->slab;
  SizeClass& size_class = *classes_.at(slab->page_bytes);
  --stats_.live_pages;
  stats_.live_bytes -= slab->page_bytes;
  if (slab->free.empty()) size_class.with_free.push_back(slab);
  slab->free.push_back(header);
  if (!slab->unused()) return;
  // One spare stays mapped, so that a sequence at the edge of a slab does not map and unmap with every page.
  if (++size_class.num_unused > 1) UnmapSlab(size_class, slab);
}

void PagePool::UnmapSlab(SizeClass& size_class, internal::Slab* slab) {
  --size_class.num_unused;
  stats_.mapped_bytes -= kSlabBytes;
  std::erase(size_class.with_free, slab);
  std::erase_if(size_class.slabs, [&](const auto& owned) { return owned.get() == slab; });
}

PoolStats PagePool::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace kvasir::kvcache
