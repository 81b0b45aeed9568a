#include "threads.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif

namespace tracer {
namespace {

// A worker looks for the next product this often before it sleeps: products of one pass follow each other within
// microseconds, and waking a sleeping thread costs more than a small product.
constexpr int kSpins = 2000;

inline void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

int availableCores() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
  const unsigned n = std::thread::hardware_concurrency();
  return n == 0 ? 1 : static_cast<int>(n);
}

class Pool {
 public:
  Pool() : size_(chosenSize()) {
    for (int i = 1; i < size_; i++) std::thread([this] { work(); }).detach();
  }

  int size() const { return size_; }

  void run(int64_t count, const std::function<void(int64_t)>& task) {
    if (size_ == 1 || count <= 1) {
      for (int64_t i = 0; i < count; i++) task(i);
      return;
    }
    std::lock_guard<std::mutex> oneAtATime(caller_);
    task_ = &task;
    count_ = count;
    next_.store(0, std::memory_order_relaxed);
    running_.store(size_ - 1, std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      round_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    takeTasks();
    // Where other programs have the processor, a worker may not be running: then it gets the time that waiting would take.
    for (int i = 0; running_.load(std::memory_order_acquire) != 0; i++) {
      if (i < kSpins) relax();
      else std::this_thread::yield();
    }
  }

 private:
  static int chosenSize() {
    const char* asked = std::getenv("TRACER_THREADS");
    const int n = asked ? std::atoi(asked) : 0;
    return n > 0 ? n : availableCores();
  }

  void takeTasks() {
    for (;;) {
      const int64_t i = next_.fetch_add(1, std::memory_order_relaxed);
      if (i >= count_) return;
      (*task_)(i);
    }
  }

  void work() {
    uint64_t seen = 0;
    for (;;) {
      for (int i = 0; i < kSpins && round_.load(std::memory_order_acquire) == seen; i++) relax();
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_.load(std::memory_order_acquire) != seen; });
      }
      seen++;
      takeTasks();
      running_.fetch_sub(1, std::memory_order_release);
    }
  }

  const int size_;
  std::mutex caller_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> round_{0};
  std::atomic<int64_t> next_{0};
  std::atomic<int> running_{0};
  int64_t count_ = 0;
  const std::function<void(int64_t)>* task_ = nullptr;
};

// Never destroyed: its threads live as long as the process.
Pool& pool() {
  static Pool* const all = new Pool();
  return *all;
}

}  // namespace

int threadCount() { return pool().size(); }

void parallel(int64_t count, const std::function<void(int64_t)>& task) { pool().run(count, task); }

}  // namespace tracer
