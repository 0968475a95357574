// A launch of attention_decode, or of attention_prefill with the word
// `prefill`, as text, with random queries and a random paged cache, and what
// its result must be: softmax in double of the values that the cache's codes
// stand for.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_LIB_KERNELS_ATTENTIONDECODE_CASE_H
#define QOPT_TEST_LIB_KERNELS_ATTENTIONDECODE_CASE_H

#include "lib/Kernels/AttentionDecode/AttentionDecode.h"
#include "qopt/Tensor.h"

#include <string>
#include <vector>

namespace qopt::kernels::attention_decode {

/// New tokens of a sequence and its positions before them.
struct SequenceCase {
  int64_t tokens, context;
};

/// "heads=8 kv=2 d=64 dv=64 page=16 key=int8 value=f16 act=f16
/// sequences=1:37,3:100 window=20 softcap=30 all slopes sinks prefill
/// recent=32 first=16 arch=sm_90a", and `splits`, `tile`, `warps`, `stages`,
/// `rowtiles`, `tilesperwarp` to change what the schedule chose.
struct Case {
  Problem problem;
  Schedule schedule;
  Launch launch;
  const target::Target *target = nullptr;
  std::vector<SequenceCase> sequences;
  unsigned seed = 1;

  int64_t tokens() const;
};

StatusOr<Case> parseCase(const std::string &text);

/// The arguments of the kernel in their order, and the values of queries and
/// cache as they are stored: [token][head][channel], [sequence][position][key
/// head][channel].
struct Arrays {
  std::vector<Tensor> arguments;
  std::vector<float> query;
  std::vector<std::vector<float>> keys, values;
  /// The same with 16 bits, where some positions are read so.
  std::vector<std::vector<float>> halfKeys, halfValues;
  std::vector<float> slopes, sinks;
};
Arrays makeArrays(const Case &test);

/// Ok if `output` [tokens, heads · valueSize] in the activation's type is
/// within the bound of every element, and `counters` are zero.
Status check(const Case &test, const Arrays &arrays, const Tensor &output,
             const Tensor &counters);

} // namespace qopt::kernels::attention_decode

#endif // QOPT_TEST_LIB_KERNELS_ATTENTIONDECODE_CASE_H
