// Runs one kernel given as the body of an entry, for the emulator's tests. The
// kernel is called k, its parameters are 64-bit addresses named p0, p1, ….
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_RUNTIME_EMULATOR_KERNELRUN_H
#define QOPT_TEST_RUNTIME_EMULATOR_KERNELRUN_H

#include "runtime/emulator/Emulator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace qopt::emulator {

class KernelRun {
public:
  /// `body` stands between the braces; `before` in front of the entry,
  /// `directives` behind its parameters.
  explicit KernelRun(const std::string &body, unsigned parameters = 1,
                     const std::string &before = "",
                     const std::string &directives = "") {
    std::string text = ".version 8.6\n.target sm_90a\n.address_size 64\n" +
                       before + "\n.visible .entry k(";
    for (unsigned i = 0; i < parameters; ++i)
      text += std::string(i ? ", " : "") + ".param .u64 p" + std::to_string(i);
    text += ")" + directives + "\n{\n";
    linesBefore = uint32_t(std::count(text.begin(), text.end(), '\n'));
    text += body + "\n}\n";
    keepText(text);
    StatusOr<std::unique_ptr<Module>> parsed = Module::parse(text, memory);
    status = parsed.status();
    if (parsed.ok())
      module = std::move(*parsed);
  }

  /// Device memory with these values; becomes the next argument.
  template <typename T> uint64_t array(const std::vector<T> &values) {
    uint64_t address = allocate(values.size() * sizeof(T));
    EXPECT_TRUE(
        memory.write(address, values.data(), values.size() * sizeof(T)).ok());
    return address;
  }
  /// The same without values.
  uint64_t allocate(size_t bytes) {
    uint64_t address = *memory.allocate(bytes);
    addresses.push_back(address);
    return address;
  }
  template <typename T> std::vector<T> fetch(uint64_t address, size_t count) {
    std::vector<T> values(count);
    EXPECT_TRUE(memory.read(values.data(), address, count * sizeof(T)).ok());
    return values;
  }

  /// The status of the launch; findings are kept.
  Status launch(Extent grid, Extent block, size_t shared = 0) {
    if (!status.ok())
      return status;
    StatusOr<Kernel> kernel = module->kernel("k");
    if (!kernel.ok())
      return kernel.status();
    std::span<const uint8_t> arguments(
        reinterpret_cast<const uint8_t *>(addresses.data()),
        addresses.size() * sizeof(uint64_t));
    StatusOr<Statistics> counted = emulator::launch(
        *kernel, grid, block, shared, arguments, memory, options, &findings);
    if (!counted.ok())
      return counted.status();
    statistics = *counted;
    return Status();
  }

  /// The launch ends with a finding of this kind at the body's n-th line, from
  /// 1.
  void expectFinding(FindingKind kind, uint32_t line, Extent grid, Extent block,
                     size_t shared = 0) {
    Status result = launch(grid, block, shared);
    ASSERT_FALSE(result.ok()) << "no finding";
    ASSERT_FALSE(findings.empty()) << result.message();
    EXPECT_STREQ(nameOf(findings[0].kind), nameOf(kind)) << result.message();
    EXPECT_EQ(findings[0].line, linesBefore + line) << result.message();
  }

  /// The launch ends with the use of an undefined value, which line `origin`
  /// has loaded or read from a register.
  void expectUse(uint32_t line, uint32_t origin, Extent grid, Extent block,
                 size_t shared = 0) {
    expectFinding(FindingKind::Uninitialised, line, grid, block, shared);
    if (!findings.empty())
      EXPECT_EQ(findings[0].originLine, linesBefore + origin)
          << findings[0].report();
  }

  Memory memory;
  std::unique_ptr<Module> module;
  Status status;
  LaunchOptions options;
  Statistics statistics;
  std::vector<Finding> findings;

private:
  /// Into the folder QOPT_TEST_KERNELS, if it is given, for test_assembled.py.
  static void keepText(const std::string &text) {
    const char *folder = std::getenv("QOPT_TEST_KERNELS");
    if (!folder)
      return;
    std::ofstream(std::string(folder) + "/" +
                  std::to_string(std::hash<std::string>()(text)) + ".ptx")
        << text;
  }

  std::vector<uint64_t> addresses;
  uint32_t linesBefore = 0;
};

} // namespace qopt::emulator

#endif // QOPT_TEST_RUNTIME_EMULATOR_KERNELRUN_H
