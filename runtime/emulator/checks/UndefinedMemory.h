// Undefined values on their way through memory: loads of bytes that nobody has
// written, or that hold an undefined value; stores of such values to shared
// and local memory, where they may stay; copies from memory to memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_EMULATOR_CHECKS_UNDEFINEDMEMORY_H
#define QOPT_RUNTIME_EMULATOR_CHECKS_UNDEFINEDMEMORY_H

#include "runtime/emulator/MemoryAccess.h"

namespace qopt::emulator {

/// Bytes that an instruction's lane reads and that are not defined.
struct UndefinedRead {
  unsigned lane = 0;
  unsigned bytes = 0;     ///< of the whole access
  uint64_t undefined = 0; ///< a bit for each of them
  Origin origin = neverWritten;
  std::string where; ///< "shared offset 64": of never written ones
};

/// The registers that the instruction loads become undefined where the bytes
/// are; or, if it is no load, this is a use. False when the launch stops.
bool readUndefined(Warp &warp, const Inst &inst, const UndefinedRead &read);

/// Bytes of a source that an instruction stores.
struct UndefinedStore {
  unsigned source = 0;
  unsigned firstByte = 0;
  unsigned bytes = 0;
};

/// What is undefined of the bytes, which `mask` lanes store at these addresses:
/// in shared and local memory it stays, global memory is a use. False when the
/// launch stops.
bool storeUndefined(Warp &warp, const Inst &inst, uint32_t mask,
                    const uint64_t *addresses, const UndefinedStore &store);
/// The same of stmatrix, whose lanes have the addresses of rows.
void storeUndefinedRows(Warp &warp, const Inst &inst,
                        const uint64_t *addresses);
/// The space of one lane's address of an instruction.
ptx::Space spaceOfLane(const Inst &inst, uint64_t address);

/// Local memory: every lane that reads, or `write`s, `bytes` bytes at an offset
/// of its own. False when the launch stops.
bool checkLocal(Warp &warp, const Inst &inst, uint32_t mask, unsigned bytes,
                AccessKind kind, const uint64_t *addresses);

/// A copy from global memory has landed in the block: bytes that nobody has
/// written stay undefined.
void copyUndefined(Block &block, uint32_t offset, uint64_t global,
                   uint32_t bytes, uint32_t position);

} // namespace qopt::emulator

#endif // QOPT_RUNTIME_EMULATOR_CHECKS_UNDEFINEDMEMORY_H
