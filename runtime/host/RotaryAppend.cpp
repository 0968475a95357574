// Rotated keys pass through one row of scratch on their way to the cache, so
// they are never written to memory on their own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/RotaryAppend.h"
#include "runtime/host/Scratch.h"

#include <vector>

namespace qopt::host {

static void runTokens(const RotaryAppendArguments &arguments, int64_t begin,
                      int64_t end) {
  const KvCacheLayout &layout = arguments.append.layout;
  if (arguments.queries.heads > 0)
    rotateTokens(arguments.queries, begin, end);
  auto *row = static_cast<float *>(threadScratch(
      layout.keyHeads * layout.headSize * int64_t(sizeof(float))));
  // A stride of 0: every token's keys pass through the same row.
  RotaryArguments keys = arguments.queries;
  keys.heads = layout.keyHeads;
  keys.input = arguments.append.key;
  keys.inputStride = arguments.append.keyStride;
  keys.output = row;
  keys.outputStride = 0;
  KvAppendArguments append = arguments.append;
  append.key = row;
  append.keyStride = 0;
  for (int64_t token = begin; token < end; ++token) {
    rotateTokens(keys, token, token + 1);
    appendTokens(append, token, token + 1);
  }
}

/// Keys that share scales, and those that are kept in f16 too, are needed side
/// by side, so they are rotated first.
static void appendGroups(const RotaryAppendArguments &arguments, int64_t grain,
                         ThreadPool &pool) {
  const KvCacheLayout &layout = arguments.append.layout;
  int64_t tokens = arguments.append.batch.tokens();
  int64_t row = layout.keyHeads * layout.headSize;
  std::vector<float> rotated(size_t(tokens * row));
  RotaryArguments keys = arguments.queries;
  keys.heads = layout.keyHeads;
  keys.input = arguments.append.key;
  keys.inputStride = arguments.append.keyStride;
  keys.output = rotated.data();
  keys.outputStride = row;
  pool.parallelFor(tokens, grain, [&](int64_t begin, int64_t end) {
    if (arguments.queries.heads > 0)
      rotateTokens(arguments.queries, begin, end);
    rotateTokens(keys, begin, end);
  });
  KvAppendArguments append = arguments.append;
  append.key = rotated.data();
  append.keyStride = row;
  kvAppend(append, pool);
}

void rotaryAppend(const RotaryAppendArguments &arguments, ThreadPool &pool) {
  const KvCacheLayout &layout = arguments.append.layout;
  int64_t heads = arguments.queries.heads + 2 * layout.keyHeads;
  int64_t grain = 8192 / (heads * layout.headSize) + 1;
  if (layout.keyGroup() || layout.recent)
    return appendGroups(arguments, grain, pool);
  pool.parallelFor(
      arguments.append.batch.tokens(), grain,
      [&](int64_t begin, int64_t end) { runTokens(arguments, begin, end); });
}

} // namespace qopt::host
