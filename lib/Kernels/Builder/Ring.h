// A ring of stages in shared memory between warps that fill and warps that
// read. Each stage has two barriers: `full`, on which readers wait, and
// `empty`, on which fillers wait.
//
//          fill 0   fill 1   fill 2   wait empty 0, fill 0 …
//   stage  [  0  ]  [  1  ]  [  2  ]
//          wait full 0, read, release 0   wait full 1, read, release 1 …
//
// Every lane of a warp that publishes or releases arrives for itself, behind
// its own stores and reads.
//
// A Cursor is where a warp stands in the ring: its stage, and the parity of the
// rounds that it has made. The fillers are warps that store (publish) or a
// loader that copies from global memory: one elected thread with bulk copies
// where the architecture has them, else its warp with 16-byte asynchronous
// copies. A copy of tensors by a map, later, is another way to fill a stage.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_LIB_KERNELS_BUILDER_RING_H
#define QOPT_LIB_KERNELS_BUILDER_RING_H

#include "lib/Kernels/Builder/Kernel.h"

namespace qopt::kernels {

/// Who fills a ring: a loader with asynchronous copies, or warps with stores.
struct Fillers {
  int warps = 0; ///< warps that publish; 0: one loader warp that copies
};

class Ring {
public:
  struct Cursor {
    Int stage, parity;
  };

  /// Reserves `stages` of `stageBytes` and their barriers. A stage is empty
  /// again when `readers` warps have released it.
  Ring(Kernel &kernel, int stages, int64_t stageBytes, Fillers fillers,
       int readers);

  /// Makes the barriers; one thread calls it before a barrier of the block.
  void initialise();

  Cursor start();
  Cursor next(Cursor cursor);
  /// Where the warp stood `steps` < stages steps before; ahead of the first
  /// round, a stage that counts as full.
  Cursor before(Cursor cursor, int steps);
  /// A cursor as carried values of a loop: two, at the end of `values`.
  static void push(Kernel::Values &values, Cursor cursor);
  Cursor pop(Kernel::Values &values);

  /// Address of a stage.
  Int stage(Cursor cursor);

  // Fillers.
  /// Runs `body` on the threads of the loader's warp that start copies.
  void load(llvm::function_ref<void()> body);
  void waitEmpty(Cursor cursor);
  /// What the loader is about to copy into the stage, all pieces together.
  void expect(Cursor cursor, Int bytes);
  /// A piece of a stage; `bytes` is a multiple of 16. `policy` is a cache
  /// policy of evictFirst(), or null.
  void copy(Cursor cursor, int64_t offset, Global source, Int bytes,
            mlir::Value policy);
  /// After the last piece.
  void commit(Cursor cursor);
  /// The warp has stored its part of the stage.
  void publish(Cursor cursor);

  // Readers.
  void waitFull(Cursor cursor);
  /// The warp has read what it needs of the stage.
  void release(Cursor cursor);

private:
  void wait(Int barrier, Int parity);
  void arrive(Int barrier);
  Int full(Cursor cursor) { return barriers + (cursor.stage << 3); }
  Int empty(Cursor cursor) {
    return barriers + (cursor.stage << 3) + stages * 8;
  }

  Kernel &kernel;
  int stages;
  int64_t stageBytes;
  int fullArrivals, emptyArrivals;
  Int barriers, first;
};

/// Cache policy for what is read once.
mlir::Value evictFirst(Kernel &kernel);

} // namespace qopt::kernels

#endif // QOPT_LIB_KERNELS_BUILDER_RING_H
