// How the kernel tests run: each check once for every SIMD target that this
// processor has and for 1, 2 and 3 threads, against a plain f64 reference;
// results of different thread counts must be equal in every bit.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_HOST_EVERYTARGET_H
#define QOPT_TEST_RUNTIME_HOST_EVERYTARGET_H

#include "runtime/host/ThreadPool.h"

#include <cmath>
#include <cstring>
#include <functional>
#include <gtest/gtest.h>
#include <hwy/highway.h>
#include <random>
#include <vector>

namespace qopt::host {

/// Calls `body` with each target chosen in turn.
inline void forEveryTarget(const std::function<void()> &body) {
  for (int64_t rest = hwy::SupportedTargets() & HWY_ATTAINABLE_TARGETS;
       rest != 0; rest &= rest - 1) {
    int64_t target = rest & -rest;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    SCOPED_TRACE(hwy::TargetName(target));
    body();
    hwy::SetSupportedTargetsForTest(0);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
}

/// Runs `compute` (which fills and returns its result) with pools of 1, 2 and 3
/// threads; the results must be the same bits. Returns the first.
inline std::vector<float>
withThreads(const std::function<std::vector<float>(ThreadPool &)> &compute) {
  static ThreadPool one(1), two(2), three(3);
  std::vector<float> first = compute(one);
  for (ThreadPool *pool : {&two, &three}) {
    std::vector<float> other = compute(*pool);
    EXPECT_EQ(0, std::memcmp(first.data(), other.data(),
                             first.size() * sizeof(float)))
        << pool->threads() << " threads";
  }
  return first;
}

/// Seeded normal values.
inline std::vector<float> randomValues(int64_t count, unsigned seed,
                                       float spread = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> values(static_cast<size_t>(count));
  for (float &value : values)
    value = normal(generator);
  return values;
}

/// |actual − expected| ≤ tolerance · (1 + |expected|) everywhere; reports the
/// first place where not.
inline void expectClose(const std::vector<float> &actual,
                        const std::vector<double> &expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    if (!(std::abs(actual[i] - expected[i]) <=
          tolerance * (1 + std::abs(expected[i])))) {
      ADD_FAILURE() << "at " << i << ": got " << actual[i] << ", expected "
                    << expected[i];
      return;
    }
}

} // namespace qopt::host

#endif // QOPT_TEST_RUNTIME_HOST_EVERYTARGET_H
