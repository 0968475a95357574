// Two sequences whose keys and values lie in the shuffled pages of one cache,
// and what a step of both hands to the kernels.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_HOST_TWOSEQUENCES_H
#define QOPT_TEST_RUNTIME_HOST_TWOSEQUENCES_H

#include "runtime/host/LatestPositions.h"
#include "test/runtime/host/EveryTarget.h"

#include <algorithm>
#include <numeric>

namespace qopt::host {

/// `Parameter`: that of the tests. `channels`: of a head.
template <typename Parameter, int64_t channels = 24>
class TwoSequences : public testing::TestWithParam<Parameter> {
protected:
  static constexpr int64_t heads = 6, keyHeads = 2, size = channels;

  /// Values of `tokens` tokens, and a table of pages, once
  /// the layout has its formats.
  void fill(int64_t tokens) {
    perSequence = tokens / layout.pageTokens + 1;
    table.resize(size_t(2 * perSequence));
    std::iota(table.begin(), table.end(), 0);
    std::shuffle(table.begin(), table.end(), std::mt19937(5));
    for (int s = 0; s < 2; ++s) {
      query[s] = randomValues(tokens * heads * size, 10 + s);
      key[s] = randomValues(tokens * keyHeads * size, 20 + s);
      value[s] = randomValues(tokens * keyHeads * size, 30 + s);
    }
  }

  /// The pages of both sequences, and slots ahead of them, of garbage that is
  /// NaN in every type: nothing unwritten may be used.
  void clear() {
    int64_t ahead = 3 * layout.slotBytes();
    memory.assign(size_t(ahead + 2 * perSequence * layout.pageBytes()) + 64,
                  0xff);
    auto address = reinterpret_cast<uintptr_t>(memory.data());
    pages = memory.data() + (64 - address % 64) % 64 + ahead;
  }

  /// Tokens [from, from + count) of both sequences in one step.
  class Step {
  public:
    Step(const TwoSequences &all, const std::vector<int32_t> &from,
         const std::vector<int32_t> &count)
        : starts{0, count[0], count[0] + count[1]}, contexts(from) {
      for (size_t s = 0; s < 2; ++s) {
        auto add = [&](std::vector<float> &to, const std::vector<float> &source,
                       int64_t width) {
          to.insert(to.end(), source.begin() + from[s] * width,
                    source.begin() + (from[s] + count[s]) * width);
        };
        add(q, all.query[s], heads * size);
        add(k, all.key[s], keyHeads * size);
        add(v, all.value[s], keyHeads * size);
      }
      RaggedBatch batch{2,
                        starts.data(),
                        contexts.data(),
                        all.table.data(),
                        all.perSequence,
                        all.slots.data()};
      append = {all.layout,      batch,    all.pages,      k.data(),
                keyHeads * size, v.data(), keyHeads * size};
      if (all.layout.recent)
        rows.resize(size_t(StepRows::elements(all.layout, starts[2], 2)));
      append.stepRows = rows.data();
      attention.stepRows = rows.data();
      attention.layout = all.layout;
      attention.batch = batch;
      attention.pages = all.pages;
      attention.heads = heads;
      attention.query = q.data();
      attention.queryStride = attention.outputStride = heads * size;
    }
    Step(const Step &) = delete;
    Step &operator=(const Step &) = delete;

    /// Appends, then attends.
    std::vector<float> run(ThreadPool &pool) {
      kvAppend(append, pool);
      std::vector<float> out(q.size());
      attention.output = out.data();
      cachedAttention(attention, pool);
      return out;
    }

    CachedAttentionArguments attention; ///< with options to be set

  private:
    std::vector<int32_t> starts, contexts;
    std::vector<float> q, k, v;
    std::vector<uint16_t> rows;
    KvAppendArguments append;
  };

  KvCacheLayout layout = {keyHeads, size};
  int64_t perSequence = 0; ///< pages
  std::vector<int32_t> table, slots = {-3, -1};
  std::vector<uint8_t> memory;
  uint8_t *pages = nullptr;
  std::vector<float> query[2], key[2], value[2];
};

} // namespace qopt::host

#endif // QOPT_TEST_RUNTIME_HOST_TWOSEQUENCES_H
