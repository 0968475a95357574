// One instruction on one warp: every lane's registers come from an array and
// results go to one, [register][lane].
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_EMULATOR_OPS_WARPKERNEL_H
#define QOPT_TEST_RUNTIME_EMULATOR_OPS_WARPKERNEL_H

#include "../KernelRun.h"

namespace qopt::emulator {

/// "{%r4,%r5}": `count` registers from `first` on.
inline std::string registers(unsigned first, unsigned count,
                             const std::string &prefix = "%r") {
  std::string text = "{";
  for (unsigned i = 0; i < count; ++i)
    text += (i ? "," : "") + prefix + std::to_string(first + i);
  return text + "}";
}

/// Runs `instruction` with the inputs in %r0 and on (or %d0, of 64 bits); what
/// is in %r64 (%d64) and on comes back, `results` registers.
template <typename T>
std::vector<T> runWarp(const std::string &instruction,
                       const std::vector<T> &inputs, unsigned results) {
  const bool wide = sizeof(T) == 8;
  const std::string type = wide ? "b64" : "b32", name = wide ? "%d" : "%r";
  std::string body = ".reg .b32 %r<128>; .reg .b64 %d<128>; .reg .b64 %a<4>; "
                     ".reg .pred %p<4>;\nld.param.u64 %a0, [p0]; ld.param.u64 "
                     "%a1, [p1]; mov.u32 %r127, %laneid; mul.wide.u32 %a2, "
                     "%r127, " +
                     std::to_string(sizeof(T)) +
                     "; add.s64 %a0, %a0, %a2; add.s64 %a1, %a1, %a2;\n";
  auto address = [](const char *base, size_t n) {
    return "[" + std::string(base) + "+" + std::to_string(n * sizeof(T) * 32) +
           "]";
  };
  for (size_t i = 0; i < inputs.size() / 32; ++i)
    body += "ld.global." + type + " " + name + std::to_string(i) + ", " +
            address("%a0", i) + ";";
  body += "\n" + instruction + "\n";
  for (unsigned i = 0; i < results; ++i)
    body += "st.global." + type + " " + address("%a1", i) + ", " + name +
            std::to_string(64 + i) + ";";
  KernelRun run(body, 2);
  run.array(inputs);
  const uint64_t out = run.allocate(results * 32 * sizeof(T));
  Status status = run.launch({1}, {32});
  EXPECT_TRUE(status.ok()) << status.message();
  if (!status.ok())
    return std::vector<T>(results * 32);
  return run.fetch<T>(out, results * 32);
}

/// Numbers that repeat after 2^31.
class Numbers {
public:
  explicit Numbers(uint32_t seed) : state(seed * 2654435761u + 1) {}
  uint32_t next() {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return uint32_t(state >> 33);
  }
  std::vector<uint32_t> words(size_t count) {
    std::vector<uint32_t> all(count);
    for (uint32_t &word : all)
      word = next() ^ next() << 16;
    return all;
  }

private:
  uint64_t state;
};

} // namespace qopt::emulator

#endif // QOPT_TEST_RUNTIME_EMULATOR_OPS_WARPKERNEL_H
