// A pool covers every index once, whatever the sizes and however many callers
// there are.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/ThreadPool.h"

#include <chrono>
#include <gtest/gtest.h>

namespace qopt::host {

TEST(ThreadPool, coversEveryIndexOnce) {
  for (int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(threads, pool.threads());
    for (int64_t count : {0, 1, 2, 7, 64, 1000}) {
      std::vector<int> seen(static_cast<size_t>(count));
      pool.parallelFor(count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          ++seen[static_cast<size_t>(i)];
      });
      for (int times : seen)
        EXPECT_EQ(1, times);
    }
  }
}

TEST(ThreadPool, smallWorkStaysHere) {
  ThreadPool pool(2);
  std::thread::id caller = std::this_thread::get_id();
  pool.parallelFor(10, 6, [&](int64_t begin, int64_t end) {
    EXPECT_EQ(caller, std::this_thread::get_id());
    EXPECT_EQ(0, begin);
    EXPECT_EQ(10, end);
  });
}

TEST(ThreadPool, wakesAfterSleeping) {
  ThreadPool pool(2);
  std::atomic<int64_t> sum = 0;
  for (int round = 0; round < 5; ++round) {
    pool.parallelFor(100, 1,
                     [&](int64_t begin, int64_t end) { sum += end - begin; });
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(500, sum);
}

TEST(ThreadPool, callsFromWithinABody) {
  ThreadPool pool(2);
  std::atomic<int64_t> sum = 0;
  pool.parallelFor(4, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      pool.parallelFor(10, 1,
                       [&](int64_t from, int64_t to) { sum += to - from; });
  });
  EXPECT_EQ(40, sum);
}

TEST(ThreadPool, severalCallers) {
  ThreadPool pool(2);
  std::atomic<int64_t> sum = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i)
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round)
        pool.parallelFor(
            10, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
    });
  for (std::thread &caller : callers)
    caller.join();
  EXPECT_EQ(3 * 200 * 10, sum);
}

/// A worker that wakes up for the pool's end, after the caller has done its
/// part itself, must not take the end for a job: its body is gone. Many
/// threads, so that some wake up late.
TEST(ThreadPool, endsWithoutDoingAPartAgain) {
  std::atomic<int64_t> sum = 0;
  auto body = [&](int64_t begin, int64_t end) { sum += end - begin; };
  constexpr int pools = 1000, threads = 16;
  for (int round = 0; round < pools; ++round)
    ThreadPool(threads).parallelFor(threads, 1, body);
  EXPECT_EQ(pools * threads, sum);
}

} // namespace qopt::host
