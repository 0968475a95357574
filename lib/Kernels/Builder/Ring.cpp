// Rings of stages, with bulk copies or 16-byte asynchronous copies.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Ring.h"

#include "dialects/Ptx/PtxOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;

constexpr int64_t pieceBytes = 16; // of a lane's asynchronous copy

static Value sharedPointer(Kernel &kernel, Int address) {
  auto type =
      LLVM::LLVMPointerType::get(kernel.builder().getContext(), /*space=*/3);
  return LLVM::IntToPtrOp::create(kernel.builder(), kernel.loc(), type,
                                  address.value);
}

Ring::Ring(Kernel &kernel, int stages, int64_t stageBytes, Fillers fillers,
           int readers)
    : kernel(kernel), stages(stages), stageBytes(stageBytes),
      emptyArrivals(32 * readers) {
  int loaders = kernel.target().features.bulkCopy ? 1 : 32;
  fullArrivals = fillers.warps ? 32 * fillers.warps : loaders;
  barriers = kernel.shared(int64_t(stages) * 16, 16);
  first = kernel.shared(stages * stageBytes);
}

void Ring::initialise() {
  for (int i = 0; i < 2 * stages; ++i) {
    Int count = kernel.constant(i < stages ? fullArrivals : emptyArrivals);
    NVVM::MBarrierInitOp::create(kernel.builder(), kernel.loc(),
                                 sharedPointer(kernel, barriers + i * 8),
                                 count.value, Value());
  }
  if (kernel.target().features.bulkCopy)
    NVVM::FenceMbarrierInitOp::create(kernel.builder(), kernel.loc());
}

Ring::Cursor Ring::start() { return {kernel.constant(0), kernel.constant(0)}; }

Ring::Cursor Ring::next(Cursor cursor) {
  if (stages == 1)
    return {cursor.stage, cursor.parity ^ 1};
  Int stage = cursor.stage + 1;
  Flag wraps = stage == stages;
  return {select(wraps, kernel.constant(0), stage),
          select(wraps, cursor.parity ^ 1, cursor.parity)};
}

Ring::Cursor Ring::before(Cursor cursor, int steps) {
  Int stage = cursor.stage - int64_t(steps);
  Flag wraps = stage < 0;
  return {select(wraps, stage + int64_t(stages), stage),
          select(wraps, cursor.parity ^ 1, cursor.parity)};
}

void Ring::push(Kernel::Values &values, Cursor cursor) {
  values.push_back(cursor.stage.value);
  values.push_back(cursor.parity.value);
}

Ring::Cursor Ring::pop(Kernel::Values &values) {
  Cursor cursor{{{&kernel, values[values.size() - 2]}},
                {{&kernel, values.back()}}};
  values.resize(values.size() - 2);
  return cursor;
}

Int Ring::stage(Cursor cursor) { return first + cursor.stage * stageBytes; }

// Barriers --------------------------------------------------------------------

void Ring::wait(Int barrier, Int parity) {
  if (kernel.target().features.barrierTryWait) {
    ptx::MbarrierWaitOp::create(kernel.builder(), kernel.loc(),
                                sharedPointer(kernel, barrier), parity.value);
    return;
  }
  kernel.until([&] {
    Value done = NVVM::MBarrierTestWaitOp::create(
        kernel.builder(), kernel.loc(), kernel.builder().getI1Type(),
        sharedPointer(kernel, barrier), parity.value);
    return Flag{{&kernel, done}};
  });
}

void Ring::arrive(Int barrier) {
  NVVM::MBarrierArriveOp::create(kernel.builder(), kernel.loc(),
                                 kernel.builder().getI64Type(),
                                 sharedPointer(kernel, barrier), Value());
}

void Ring::waitEmpty(Cursor cursor) { wait(empty(cursor), cursor.parity ^ 1); }
void Ring::waitFull(Cursor cursor) { wait(full(cursor), cursor.parity); }
void Ring::publish(Cursor cursor) { arrive(full(cursor)); }
void Ring::release(Cursor cursor) { arrive(empty(cursor)); }

// Copies ----------------------------------------------------------------------

void Ring::load(llvm::function_ref<void()> body) {
  if (kernel.target().features.bulkCopy)
    kernel.when(kernel.lane() == 0, body);
  else
    body();
}

void Ring::expect(Cursor cursor, Int bytes) {
  if (!kernel.target().features.bulkCopy)
    return;
  NVVM::MBarrierArriveExpectTxOp::create(
      kernel.builder(), kernel.loc(), TypeRange(),
      sharedPointer(kernel, full(cursor)), bytes.value, NVVM::MemScopeKind::CTA,
      /*relaxed=*/false, Value());
}

void Ring::copy(Cursor cursor, int64_t offset, Global source, Int bytes,
                Value policy) {
  OpBuilder &builder = kernel.builder();
  Int destination = stage(cursor) + offset;
  if (kernel.target().features.bulkCopy) {
    ptx::CpAsyncBulkOp::create(
        builder, kernel.loc(), sharedPointer(kernel, destination), source.value,
        bytes.value, sharedPointer(kernel, full(cursor)), policy);
    return;
  }
  Int lane = kernel.lane() * pieceBytes;
  kernel.loop(lane, bytes, kernel.constant(32 * pieceBytes), {},
              [&](Int i, Kernel::Values) {
                ptx::CpAsyncOp::create(builder, kernel.loc(),
                                       sharedPointer(kernel, destination + i),
                                       source.at(i, 1).value, Value(), policy,
                                       uint32_t(pieceBytes));
                return Kernel::Values();
              });
}

void Ring::commit(Cursor cursor) {
  if (kernel.target().features.bulkCopy)
    return;
  NVVM::CpAsyncMBarrierArriveOp::create(kernel.builder(), kernel.loc(),
                                        sharedPointer(kernel, full(cursor)),
                                        /*noinc=*/true);
}

Value kernels::evictFirst(Kernel &kernel) {
  return ptx::CreatePolicyOp::create(kernel.builder(), kernel.loc(),
                                     ptx::SecondLevel::evict_first,
                                     APFloat(1.0f));
}
