// What the tests of kernel families share: PTX of one kernel, its launch on the
// emulator with all checks, and the assembler's verdict.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_LIB_KERNELS_KERNELTEST_H
#define QOPT_TEST_LIB_KERNELS_KERNELTEST_H

#include "lib/Kernels/LaunchShape.h"
#include "lib/Quant/Format.h"
#include "lib/Target/Target.h"
#include "qopt/Status.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace qopt::emulator {
struct Statistics;
} // namespace qopt::emulator

namespace qopt::kernels::test {

/// A kernel alone in its module.
struct Compiled {
  std::string symbol, ptx;
  int ptxVersion; ///< 83 of PTX 8.3

  /// The text without the header of its module, for codegen::joinKernelPtx.
  std::string body() const;
};

using Generator =
    llvm::function_ref<StatusOr<mlir::gpu::GPUFuncOp>(mlir::gpu::GPUModuleOp)>;

StatusOr<Compiled> compile(Generator generate, const target::Target &target);

/// Tests whose kernels are assembled when a test ends, those of an architecture
/// by one process: ptxas takes longer to start than for a small kernel.
class KernelTest : public testing::Test {
protected:
  void SetUp() override;
  void TearDown() override;
};

/// Has ptxas make code of it, by the end of the KernelTest; the test fails
/// where it cannot, or where the code has spills, local memory or advisories.
/// Does nothing on a machine without ptxas.
void assemble(const Compiled &kernel, const target::Target &target);

/// A problem's kernel for `target`; the kernels of all architectures are
/// assembled.
template <typename Problem, typename Schedule>
StatusOr<Compiled> compileClean(
    const Problem &problem,
    StatusOr<Schedule> (*choose)(const Problem &, const target::Target &),
    StatusOr<mlir::gpu::GPUFuncOp> (*build)(mlir::gpu::GPUModuleOp,
                                            const Problem &, const Schedule &,
                                            const target::Target &),
    const target::Target &target) {
  Compiled result;
  for (const target::Target *each : target::allTargets()) {
    auto schedule = choose(problem, *each);
    if (!schedule)
      return schedule.status();
    auto kernel = compile(
        [&](mlir::gpu::GPUModuleOp module) {
          return build(module, problem, *schedule, *each);
        },
        *each);
    if (!kernel)
      return kernel.status();
    assemble(*kernel, *each);
    if (each == &target)
      result = *kernel;
  }
  return result;
}

/// For each store to global memory, in the kernel's order, a kernel where it
/// goes as many bytes behind its place as it stores.
std::vector<Compiled> storesMoved(const Compiled &kernel);

/// A launch under construction: arguments in the kernel's order.
class Launch {
public:
  /// An array that the kernel reads, or writes, or both. What an output holds
  /// before is unwritten memory to the emulator.
  template <typename T> Launch &in(const std::vector<T> &values) {
    return add(const_cast<T *>(values.data()), values.size() * sizeof(T), true,
               false);
  }
  template <typename T> Launch &out(std::vector<T> &values) {
    return add(values.data(), values.size() * sizeof(T), false, true);
  }
  template <typename T> Launch &inOut(std::vector<T> &values) {
    return add(values.data(), values.size() * sizeof(T), true, true);
  }
  /// The array of argument `index` once more.
  Launch &same(size_t index);
  Launch &integer(int32_t value);

  /// Runs the kernel and copies back what it wrote; `statistics`, where asked
  /// for, with what memory did.
  Status run(const Compiled &kernel, const LaunchShape &shape, int64_t rows,
             uint64_t seed = 1, emulator::Statistics *statistics = nullptr);

private:
  struct Item {
    void *data = nullptr;
    size_t bytes = 0;
    bool read = false, written = false;
    int same = -1;
    int32_t value = 0;
  };
  Launch &add(void *data, size_t bytes, bool read, bool written);

  std::vector<Item> items;
};

/// Values of f16, bf16 or f32 as their bytes, and back; for 16-bit types.
std::vector<uint16_t> encode(quant::ElementType type,
                             const std::vector<float> &values);
std::vector<float> decode(quant::ElementType type,
                          const std::vector<uint16_t> &halves);
/// The values that remain in `type`.
std::vector<float> rounded(quant::ElementType type, std::vector<float> values);

std::vector<float> normals(size_t count, unsigned seed, float deviation = 1);

/// A step of `type` at `value`: what rounding may change.
double ulp(quant::ElementType type, double value);

} // namespace qopt::kernels::test

#endif // QOPT_TEST_LIB_KERNELS_KERNELTEST_H
