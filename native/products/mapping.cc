#include "mapping.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <vector>

namespace tracer {
namespace {

constexpr int32_t kMost = 4096;  // a checkpoint of 70B has 30 shards, a set one file a layer

// The signal handler reads ranges without a lock, so they are never moved.
struct Range {
  std::atomic<uint8_t*> start{nullptr};
  std::atomic<int64_t> size{0};
  std::atomic<bool> isCut{false};
};
Range ranges[kMost];
std::atomic<bool> anyCut{false};
std::mutex mutex;
std::vector<Mapping> mappings(kMost, Mapping{nullptr, 0});
std::vector<std::string> paths(kMost);
struct sigaction previous;

void onBusError(int signal, siginfo_t* info, void* context) {
  uint8_t* const at = static_cast<uint8_t*>(info->si_addr);
  for (Range& range : ranges) {
    uint8_t* const start = range.start.load(std::memory_order_acquire);
    if (!start || at < start || at >= start + range.size.load(std::memory_order_relaxed)) continue;
    const uintptr_t pageBytes = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    uint8_t* const page = reinterpret_cast<uint8_t*>(reinterpret_cast<uintptr_t>(at) & ~(pageBytes - 1));
    const size_t rest = static_cast<size_t>(start + range.size.load(std::memory_order_relaxed) - page);
    if (mmap(page, rest, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) break;
    range.isCut.store(true, std::memory_order_release);
    anyCut.store(true, std::memory_order_release);
    return;
  }
  // Somebody else's fault: as if this handler were not there.
  if (previous.sa_flags & SA_SIGINFO) {
    if (previous.sa_sigaction) return previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    return previous.sa_handler(signal);
  }
  sigaction(SIGBUS, &previous, nullptr);
}

void installHandler() {
  static const bool once = [] {
    struct sigaction action;
    std::memset(&action, 0, sizeof(action));
    action.sa_sigaction = onBusError;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, &previous) == 0;
  }();
  (void)once;
}

}  // namespace

int32_t openMapping(int descriptor, const std::string& path, std::string& error) {
  const auto refuse = [&](const char* step) {
    error = std::string(step) + ": " + std::strerror(errno);
    return -1;
  };
  installHandler();
  struct stat info;
  if (fstat(descriptor, &info) != 0) return refuse("fstat");
  void* const data = mmap(nullptr, static_cast<size_t>(info.st_size), PROT_READ, MAP_SHARED, descriptor, 0);
  if (data == MAP_FAILED) return refuse("mmap");
  std::lock_guard<std::mutex> lock(mutex);
  for (int32_t id = 0; id < kMost; id++) {
    if (mappings[id].data) continue;
    mappings[id] = {static_cast<uint8_t*>(data), info.st_size};
    paths[id] = path;
    ranges[id].isCut.store(false);
    ranges[id].size.store(info.st_size);
    ranges[id].start.store(mappings[id].data, std::memory_order_release);
    return id;
  }
  munmap(data, static_cast<size_t>(info.st_size));
  error = "too many mapped files";
  return -1;
}

void closeMapping(int32_t id) {
  std::lock_guard<std::mutex> lock(mutex);
  if (id < 0 || id >= kMost || !mappings[id].data) return;
  ranges[id].start.store(nullptr, std::memory_order_release);
  ranges[id].isCut.store(false, std::memory_order_release);  // what it spoiled was refused, and nothing else is
  munmap(mappings[id].data, static_cast<size_t>(mappings[id].size));
  mappings[id] = {nullptr, 0};
}

void forgetPages(int32_t id, int64_t offset, int64_t bytes) {
  const Mapping* const mapping = mappingOf(id);
  if (!mapping) return;
  const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t start = (offset + page - 1) / page * page;
  const int64_t stop = (offset + bytes) / page * page;
  if (stop > start) madvise(mapping->data + start, static_cast<size_t>(stop - start), MADV_DONTNEED);
}

const Mapping* mappingOf(int32_t id) {
  std::lock_guard<std::mutex> lock(mutex);
  return id >= 0 && id < kMost && mappings[id].data ? &mappings[id] : nullptr;
}

bool takeCutFile(std::string& path) {
  if (!anyCut.load(std::memory_order_acquire)) return false;
  std::lock_guard<std::mutex> lock(mutex);
  for (int32_t id = 0; id < kMost; id++) {
    if (!ranges[id].isCut.load(std::memory_order_acquire)) continue;
    path = paths[id];
    return true;  // stays so: the mapping has zeros from now on
  }
  anyCut.store(false, std::memory_order_release);
  return false;
}

}  // namespace tracer
