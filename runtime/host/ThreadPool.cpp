// Dispatch costs two cache-line transfers a worker: its job number there, its
// answer back. The job itself is one shared record, written before the numbers
// are.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/ThreadPool.h"

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace qopt::host {

/// How long a thread polls before it gives up its processor: some 50 to 100
/// microseconds, more than the gap between two kernels and less than a person
/// or a power meter notices.
constexpr int spinRounds = 2000;

static void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

static int availableProcessors() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0)
    return CPU_COUNT(&set);
#endif
  unsigned count = std::thread::hardware_concurrency();
  return count ? static_cast<int>(count) : 1;
}

ThreadPool::ThreadPool(int threads) {
  if (threads <= 0)
    threads = availableProcessors();
  for (int part = 1; part < threads; ++part) {
    workers.push_back(std::make_unique<Worker>());
    Worker &worker = *workers.back();
    worker.thread = std::thread([this, &worker, part] { work(worker, part); });
  }
}

ThreadPool::~ThreadPool() {
  stop.store(true, std::memory_order_relaxed);
  for (auto &worker : workers) {
    worker->given.fetch_add(1, std::memory_order_release);
    worker->given.notify_one();
  }
  for (auto &worker : workers)
    worker->thread.join();
}

void ThreadPool::Job::runPart(int64_t part) const {
  call(context, count * part / parts, count * (part + 1) / parts);
}

void ThreadPool::dispatch(const Job &next) {
  if (busy.test_and_set(std::memory_order_acquire)) {
    next.call(next.context, 0, next.count);
    return;
  }
  job = next;
  for (int64_t part = 1; part < next.parts; ++part) {
    Worker &worker = *workers[part - 1];
    worker.given.fetch_add(1, std::memory_order_release);
    worker.given.notify_one();
  }
  next.runPart(0);
  for (int64_t part = 1; part < next.parts; ++part) {
    Worker &worker = *workers[part - 1];
    uint32_t number = worker.given.load(std::memory_order_relaxed);
    if (worker.take(number)) {
      next.runPart(part);
      continue;
    }
    for (int round = 0; worker.done.load(std::memory_order_acquire) != number;
         ++round)
      round < spinRounds ? relax() : std::this_thread::yield();
  }
  busy.clear(std::memory_order_release);
}

void ThreadPool::work(Worker &self, int64_t part) {
  uint32_t seen = 0;
  while (true) {
    for (int round = 0; round < spinRounds &&
                        self.given.load(std::memory_order_acquire) == seen;
         ++round)
      relax();
    self.given.wait(seen, std::memory_order_acquire);
    // Before `stop`: a number that was given at the end is no job's.
    seen = self.given.load(std::memory_order_acquire);
    if (stop.load(std::memory_order_relaxed))
      return;
    // `job` may be read only by who has taken its part: only then is it kept.
    if (!self.take(seen))
      continue;
    job.runPart(part);
    self.done.store(seen, std::memory_order_release);
  }
}

} // namespace qopt::host
