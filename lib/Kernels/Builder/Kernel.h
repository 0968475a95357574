// A kernel under construction: its arguments and launch bounds, its place among
// threads, control flow, and the instructions that have no operator. A
// generator that uses it reads like the kernel it makes; what a loop of C++
// repeats is unrolled, what `loop` takes stays a loop.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_BUILDER_KERNEL_H
#define QOPT_LIB_KERNELS_BUILDER_KERNEL_H

#include "lib/Kernels/Builder/Values.h"
#include "lib/Target/Target.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/Builders.h"
#include "llvm/ADT/STLFunctionalExtras.h"

#include <array>
#include <string>
#include <vector>

namespace qopt::kernels {

/// What an argument of a kernel is. Pointers are to global memory and aligned
/// to `align` bytes.
struct Argument {
  enum Kind {
    Constant,  ///< nobody writes it, this kernel and the one before included
    Dependent, ///< read behind the dependency point, or written
    Integer,   ///< i32 by value
  } kind;
  std::string name;
  int align = 16;
};

/// Most threads of a block, and blocks that shall fit on an SM.
struct LaunchBounds {
  int threads;
  int blocksPerSm = 1;
};

/// An address in global memory.
struct Global : Scalar {
  /// The address `count` · `bytes` further on, computed in 64 bits.
  Global at(Int count, int64_t bytes) const;
  Global at(int64_t bytes) const;
};

/// What a lane holds of the 16 × 8 f32 result of a product: (g, 2t), (g, 2t+1),
/// (g+8, 2t), (g+8, 2t+1) with lane = 4g + t.
using Accumulator = std::array<Real, 4>;

class Kernel {
public:
  /// Appends the function `name` to `module` and stands at its begin.
  Kernel(mlir::gpu::GPUModuleOp module, llvm::StringRef name,
         const std::vector<Argument> &arguments, LaunchBounds bounds,
         const target::Target &target);
  Kernel(const Kernel &) = delete;
  /// Ends the function. Nothing may be built afterwards.
  mlir::gpu::GPUFuncOp finish();

  mlir::OpBuilder &builder() { return opBuilder; }
  mlir::Location loc() const { return location; }
  const target::Target &target() const { return *architecture; }

  Global pointer(unsigned argument);
  Int integer(unsigned argument);
  Int constant(int64_t value);
  Real real(double value);
  Int thread(); ///< 0 … threads − 1
  Int block();
  Int lane();
  /// Index of the warp, the same register for all its lanes.
  Int warp();

  // Control flow. -------------------------------------------------------------
  using Values = std::vector<mlir::Value>;
  /// for (i = from; i < to; i += step): `body` takes the carried values and
  /// returns the next ones; the last ones are the result.
  Values loop(Int from, Int to, Int step, Values carried,
              llvm::function_ref<Values(Int, Values)> body);
  void when(Flag condition, llvm::function_ref<void()> body);
  /// Carried values that change only where `condition` holds.
  Values when(Flag condition, Values carried,
              llvm::function_ref<Values(Values)> body);
  /// Repeats `attempt` until it is true.
  void until(llvm::function_ref<Flag()> attempt);

  // Memory. -------------------------------------------------------------------
  /// Reserves `bytes` of the block's dynamic shared memory; an address.
  Int shared(int64_t bytes, int64_t align = 128);
  int64_t sharedBytes() const { return sharedSize; }
  /// 1, 2 or 4 consecutive words at `address` + `offset` bytes.
  std::vector<Int> loadShared(Int address, int64_t offset, unsigned words);
  void storeShared(Int address, int64_t offset, llvm::ArrayRef<Int> words);
  Real loadSharedReal(Int address, int64_t offset);
  /// 16 bits, extended with zeros.
  Int loadSharedHalfWord(Int address, int64_t offset);
  void storeSharedReal(Int address, int64_t offset, Real value);
  /// Words that nobody writes while the kernel runs.
  std::vector<Int> loadConstant(Global address, unsigned words);
  std::vector<Int> load(Global address, unsigned words);
  void store(Global address, llvm::ArrayRef<Int> words);
  /// An element of f32, f16, bf16 as f32, and back with rounding. `alone`: one
  /// of the last of an array, which LLVM would join with those before it into a
  /// load that reaches behind them.
  Real loadReal(Global address, mlir::Type type, bool alone = false);
  void storeReal(Global address, Real value, mlir::Type type);
  /// 16 bits, extended with zeros; always alone.
  Int loadHalfWord(Global address);

  // Bits and conversions. -----------------------------------------------------
  /// Any function of three bits, bit by bit: lop3 with its table.
  Int lop3(Int a, Int b, Int c, uint8_t table);
  /// Bytes of b:a (a is bytes 0…3) picked by four nibbles.
  Int prmt(Int a, Int b, uint32_t selector);
  Int prmt(Int a, Int b, Int selector); ///< its lower 16 bits
  Real lowHalf(Int word, mlir::Type type);
  Real highHalf(Int word, mlir::Type type);
  Int packHalves(Real low, Real high, mlir::Type type);
  Int addHalves(Int a, Int b, mlir::Type type);
  Int bits(Real value);
  Real asReal(Int bits);

  // Products and warps. -------------------------------------------------------
  /// mma.m16n8k16 of f16 or bf16 with f32 sums.
  Accumulator mma(mlir::Type type, std::array<Int, 4> a, std::array<Int, 2> b,
                  Accumulator c);
  /// value + the value of lane ^ distance.
  Real addFromLane(Real value, int distance);
  Real reciprocalRoot(Real value);
  Int fromLane(Int value, int lane);
  void syncWarp();
  /// Barrier `id` (1…15) of `threads` threads.
  void syncThreads(int id, int threads);
  void syncBlock();

  // The dependency point. -----------------------------------------------------
  /// Before it a kernel reads nothing that its predecessor writes.
  void waitForPredecessor();
  void launchSuccessor();

  // Between blocks. -----------------------------------------------------------
  /// Counts an arrival, with acquire and release for the whole device, and
  /// returns how many came before; the counter is 0 again after `last`.
  Int arriveAt(Global counter, Int last);

private:
  mlir::Value sharedPointer(Int address, int64_t offset);

  mlir::OpBuilder opBuilder;
  mlir::Location location;
  mlir::gpu::GPUFuncOp function;
  const target::Target *architecture;
  Int threadIndex, laneIndex, warpIndex, sharedBase;
  int64_t sharedSize = 0;
};

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_BUILDER_KERNEL_H
