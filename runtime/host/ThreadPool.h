// The threads of the host device: one pool that splits an index range into
// equal contiguous parts. Workers spin for a few microseconds after their last
// part, because the kernels of a decode step follow each other at once, and
// then sleep. There is no queue: the split depends on the sizes alone, and no
// kernel's result depends on it. A part that its worker has not begun when the
// caller is done with its own is the caller's, so that a busy machine costs
// speed and not a time slice for each kernel.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_HOST_THREADPOOL_H
#define QOPT_RUNTIME_HOST_THREADPOOL_H

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace qopt::host {

/// A fixed set of threads; the caller of `parallelFor` is one of them. Several
/// threads may use one pool: while it is busy, a second caller does its whole
/// range itself, and so does a call from within a body.
class ThreadPool {
public:
  /// `threads` counts the caller: 1 starts no thread at all. 0 means one for
  /// each processor of this process.
  explicit ThreadPool(int threads = 0);
  ~ThreadPool();
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;

  int threads() const { return static_cast<int>(workers.size()) + 1; }

  /// Calls `body(begin, end)` so that the calls cover [0, count) once. No part
  /// is smaller than `grain` indices (but the whole range may be); with one
  /// part the call happens here, without any synchronisation.
  template <typename Body>
  void parallelFor(int64_t count, int64_t grain, const Body &body) {
    int64_t parts = partsFor(count, grain);
    if (parts <= 1) {
      if (count > 0)
        body(int64_t{0}, count);
      return;
    }
    auto call = [](const void *context, int64_t begin, int64_t end) {
      (*static_cast<const Body *>(context))(begin, end);
    };
    dispatch({call, &body, count, parts});
  }

private:
  struct Job {
    void (*call)(const void *context, int64_t begin, int64_t end) = nullptr;
    const void *context = nullptr;
    int64_t count = 0;
    int64_t parts = 0;
    void runPart(int64_t part) const;
  };
  /// One cache line for each worker: the number of the job it has been given,
  /// of the last that it or the caller has taken, and of the last it has done.
  struct alignas(64) Worker {
    std::atomic<uint32_t> given{0};
    std::atomic<uint32_t> taken{0};
    std::atomic<uint32_t> done{0};
    std::thread thread;

    /// Whether the part of job `number` is the one's who asks.
    bool take(uint32_t number) {
      uint32_t before = number - 1;
      return taken.compare_exchange_strong(before, number,
                                           std::memory_order_acq_rel);
    }
  };

  int64_t partsFor(int64_t count, int64_t grain) const {
    if (grain < 1)
      grain = 1;
    return count / grain < threads() ? count / grain : threads();
  }
  void dispatch(const Job &next);
  void work(Worker &self, int64_t part);

  Job job;
  std::atomic_flag busy;
  std::atomic<bool> stop{false};
  std::vector<std::unique_ptr<Worker>> workers;
};

} // namespace qopt::host

#endif // QOPT_RUNTIME_HOST_THREADPOOL_H
