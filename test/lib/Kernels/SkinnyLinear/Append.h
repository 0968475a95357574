// A linear whose columns are the heads of queries, keys and values, a batch of
// sequences, and what is left behind where the append is a launch of its own.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_TEST_LIB_KERNELS_SKINNYLINEAR_APPEND_H
#define QOPT_TEST_LIB_KERNELS_SKINNYLINEAR_APPEND_H

#include "../KernelTest.h"
#include "lib/Kernels/SkinnyLinear/SkinnyLinear.h"

#include <functional>

namespace qopt::kernels::test {

struct AppendOptions {
  int64_t heads = 4, keyHeads = 2, size = 64, columns = 256, tokens = 1;
  std::string key = "f16", value = "f16";
  rotary_append::Pairs pairs = rotary_append::Pairs::Halves;
  quant::ElementType activation = quant::ElementType::F16;
  bool codes = false;    ///< of activations and weights: int8
  bool bias = false;     ///< of gemm's cases
  bool norm = false;     ///< of heads
  bool layer = false;    ///< a layer_norm, with a scale for each head
  bool rotary = true;    ///< else queries stay in y
  int64_t sequences = 2; ///< share the tokens
  int64_t padding = 0;   ///< tokens behind the last sequence
  const target::Target *target = &target::sm90a();

  std::string describe() const;
};

/// What a batch brings along.
struct Batch {
  std::vector<int32_t> tokenStarts, contextStarts, pageTable;
  std::vector<float> cos, sin;
  std::vector<uint16_t> queryScale, keyScale; ///< of norms
};

/// What the kernels leave behind.
struct Results {
  std::vector<uint16_t> y, queries;
  std::vector<uint8_t> pages;
};

/// A linear's kernel and the sizes of its launch.
struct LinearKernel {
  std::function<StatusOr<mlir::gpu::GPUFuncOp>(mlir::gpu::GPUModuleOp)> build;
  LaunchShape shape; ///< of one row: the whole grid
  int64_t workspaceBytes = 0, counters = 0;
};

rotary_append::Problem appendOf(const AppendOptions &options);
/// With the append; `tokens` are those of the launch.
skinny_linear::Problem linearOf(const AppendOptions &options);
Batch batchOf(const AppendOptions &options);
Results emptyResults(const AppendOptions &options, uint16_t fill);
/// The arguments of an append behind its heads.
void addBatch(Launch &launch, const AppendOptions &options, Batch &batch,
              Results &results);

/// Runs a compiled linear of random numbers; `addRest` adds the arguments
/// between counters, scales of codes and a bias, and tokens. Counters that are
/// not zero again are an error.
Status runLinear(const skinny_linear::Problem &problem, const Compiled &kernel,
                 const LinearKernel &linear, int64_t tokens,
                 std::vector<uint16_t> &y,
                 llvm::function_ref<void(Launch &)> addRest, uint64_t seed = 1);
/// Compiles, assembles and runs it.
void launchLinear(const skinny_linear::Problem &problem,
                  const LinearKernel &linear, const target::Target &target,
                  int64_t tokens, std::vector<uint16_t> &y,
                  llvm::function_ref<void(Launch &)> addRest,
                  uint64_t seed = 1);

/// strayWrite (CachePool.h) of a batch whose results began as emptyResults.
std::string strayWriteOf(const AppendOptions &options, const Batch &batch,
                         const Results &results);

/// How many of a kernel's stores, moved one by one (storesMoved), the
/// emulator's checks or bytes of the pool tell of.
size_t movedStoresSeen(const AppendOptions &options,
                       const skinny_linear::Problem &problem,
                       const LinearKernel &linear);

/// The append of `results.y` as a launch of its own.
void appendAlone(const AppendOptions &options, Batch &batch, Results &results);

} // namespace qopt::kernels::test

#endif // QOPT_TEST_LIB_KERNELS_SKINNYLINEAR_APPEND_H
