// The work of a generic divided among threads, warps and blocks.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/ThreadLoops.h"

#include "lib/Codegen/Host/KernelForm.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::codegen;

static constexpr int warpThreads = 32, blockThreads = 256;
/// A reduction below the first is one thread's, from the second on a block's.
static constexpr int64_t shortReduction = 32, longReduction = 4096;

/// The op that joins two partial results of an output: the region's last, when
/// it takes the accumulator once, as one of two operands, and its order does
/// not count. Null otherwise.
static Operation *combinerOf(linalg::GenericOp op, unsigned output) {
  BlockArgument accumulator = op.getRegionOutputArgs()[output];
  Operation *last =
      op.getBody()->getTerminator()->getOperand(output).getDefiningOp();
  if (!last || !accumulator.hasOneUse() ||
      *accumulator.getUsers().begin() != last || last->getNumOperands() != 2)
    return nullptr;
  bool joins =
      isa<arith::AddFOp, arith::AddIOp, arith::MulFOp, arith::MulIOp,
          arith::MaximumFOp, arith::MinimumFOp, arith::MaxNumFOp,
          arith::MinNumFOp, arith::MaxSIOp, arith::MaxUIOp, arith::MinSIOp,
          arith::MinUIOp, arith::AndIOp, arith::OrIOp, arith::XOrIOp>(last);
  return joins && arith::getNeutralElement(last) ? last : nullptr;
}

namespace {
/// Writes the threads' share of one generic.
class ThreadWriter : ElementWriter {
public:
  ThreadWriter(linalg::GenericOp op, SmallVector<Value> starts,
               gpu::GPUFuncOp kernel)
      : ElementWriter(op, std::move(starts)), kernel(kernel) {}

  /// Threads of a team that shares an element: 1, a warp or a block.
  int team();
  void write(int team);

private:
  using Body = llvm::function_ref<void()>;

  void classify();
  bool reducesAlongRows();
  void ifTrue(Value condition, Body body);
  void decompose(Value linear, ArrayRef<unsigned> dims);
  Value extent(ArrayRef<unsigned> dims);
  SmallVector<Value> reduce(Value first, int64_t step,
                            ArrayRef<Value> accumulators);
  void writeTeam(int team);
  SmallVector<Value> combine(ArrayRef<Value> left, ArrayRef<Value> right);
  SmallVector<Value> combineWarp(SmallVector<Value> values, int width);
  SmallVector<Value> combineBlock(SmallVector<Value> values);
  Value shuffle(Value value, int offset);

  Value mul(Value x, Value y) { return arith::MulIOp::create(b, loc, x, y); }
  Value div(Value x, Value y) { return arith::DivUIOp::create(b, loc, x, y); }
  Value rem(Value x, Value y) { return arith::RemUIOp::create(b, loc, x, y); }
  Value less(Value x, Value y) {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, x, y);
  }

  gpu::GPUFuncOp kernel;
  SmallVector<unsigned> parallel, reductions;
  SmallVector<Operation *> combiners;
  Value thread;
};
} // namespace

void ThreadWriter::classify() {
  for (auto [dim, kind] : llvm::enumerate(op.getIteratorTypesArray())) {
    if (getConstantIntValue(sizes[dim]) == 1)
      continue;
    (kind == utils::IteratorType::reduction ? reductions : parallel)
        .push_back(dim);
  }
}

/// Whether some input is contiguous along the last reduction dimension and none
/// along the last parallel one.
bool ThreadWriter::reducesAlongRows() {
  bool along = false;
  for (OpOperand *input : op.getDpsInputOperands()) {
    ArrayRef<AffineExpr> place = op.getMatchingIndexingMap(input).getResults();
    if (place.empty())
      continue;
    if (!parallel.empty() && place.back().isFunctionOfDim(parallel.back()))
      return false;
    along |= place.back().isFunctionOfDim(reductions.back());
  }
  return along;
}

int ThreadWriter::team() {
  classify();
  if (reductions.empty() || !reducesAlongRows())
    return 1;
  std::optional<int64_t> length = 1;
  for (unsigned dim : reductions) {
    std::optional<int64_t> size = getConstantIntValue(sizes[dim]);
    length = length && size ? std::optional(*length * *size) : std::nullopt;
  }
  if (length && *length < shortReduction)
    return 1;
  for (unsigned output = 0; output < op.getNumDpsInits(); ++output) {
    combiners.push_back(combinerOf(op, output));
    if (!combiners.back())
      return 1;
  }
  return length && *length < longReduction ? warpThreads : blockThreads;
}

void ThreadWriter::ifTrue(Value condition, Body body) {
  auto branch = scf::IfOp::create(b, loc, condition, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(branch.thenBlock());
  body();
}

/// The indices of `dims` from their row-major number.
void ThreadWriter::decompose(Value linear, ArrayRef<unsigned> dims) {
  for (unsigned dim : llvm::reverse(dims.drop_front(dims.empty() ? 0 : 1))) {
    indices[dim] = rem(linear, sizes[dim]);
    linear = div(linear, sizes[dim]);
  }
  if (!dims.empty())
    indices[dims.front()] = linear;
}

Value ThreadWriter::extent(ArrayRef<unsigned> dims) {
  Value product = constant(1);
  for (unsigned dim : dims)
    product = mul(product, sizes[dim]);
  return product;
}

/// The accumulators after the region at `first`, `first` + step, … of all
/// reduction dimensions as one.
SmallVector<Value> ThreadWriter::reduce(Value first, int64_t step,
                                        ArrayRef<Value> accumulators) {
  auto loop = scf::ForOp::create(b, loc, first, extent(reductions),
                                 constant(step), accumulators);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  decompose(loop.getInductionVar(), reductions);
  scf::YieldOp::create(b, loc,
                       body(SmallVector<Value>(loop.getRegionIterArgs())));
  return SmallVector<Value>(loop.getResults());
}

void ThreadWriter::write(int team) {
  thread = gpu::ThreadIdOp::create(b, loc, gpu::Dimension::x);
  Value block = gpu::BlockIdOp::create(b, loc, gpu::Dimension::x);
  Value element = block;
  if (team < blockThreads)
    element =
        arith::AddIOp::create(b, loc, mul(block, constant(blockThreads / team)),
                              team == 1 ? thread : div(thread, constant(team)));
  ifTrue(less(element, extent(parallel)), [&] {
    decompose(element, parallel);
    if (team > 1)
      writeTeam(team);
    else if (reductions.empty())
      store(body(startValues()));
    else
      store(reduce(constant(0), 1, startValues()));
  });
}

/// Each thread starts from the neutral element; the first one joins what all
/// have found with what the output starts from.
void ThreadWriter::writeTeam(int team) {
  SmallVector<Value> values;
  for (Operation *combiner : combiners)
    values.push_back(
        arith::ConstantOp::create(b, loc, *arith::getNeutralElement(combiner)));
  Value place = rem(thread, constant(team));
  values = reduce(place, team, values);
  values = team == warpThreads ? combineWarp(values, warpThreads)
                               : combineBlock(values);
  Value first = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, place,
                                      constant(0));
  ifTrue(first, [&] { store(combine(startValues(), values)); });
}

SmallVector<Value> ThreadWriter::combine(ArrayRef<Value> left,
                                         ArrayRef<Value> right) {
  SmallVector<Value> joined;
  for (auto [index, combiner] : llvm::enumerate(combiners)) {
    Operation *copy = b.clone(*combiner);
    copy->setOperands({left[index], right[index]});
    joined.push_back(copy->getResult(0));
  }
  return joined;
}

/// Exchanges between lanes whose numbers differ in one bit: every lane ends
/// with the same bits, for the ops are commutative.
SmallVector<Value> ThreadWriter::combineWarp(SmallVector<Value> values,
                                             int width) {
  for (int offset = width / 2; offset > 0; offset /= 2) {
    SmallVector<Value> others;
    for (Value value : values)
      others.push_back(shuffle(value, offset));
    values = combine(values, others);
  }
  return values;
}

/// Warps, then one value of each warp in shared memory, which every warp joins
/// alike.
SmallVector<Value> ThreadWriter::combineBlock(SmallVector<Value> values) {
  constexpr int warps = blockThreads / warpThreads;
  auto space =
      gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
  values = combineWarp(values, warpThreads);
  Value lane = rem(thread, constant(warpThreads));
  Value warp = div(thread, constant(warpThreads));
  Value first = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, lane,
                                      constant(0));
  SmallVector<Value> shared;
  for (Value value : values)
    shared.push_back(kernel.addWorkgroupAttribution(
        MemRefType::get({warps}, value.getType(), AffineMap(), space), loc));
  ifTrue(first, [&] {
    for (auto [value, buffer] : llvm::zip(values, shared))
      memref::StoreOp::create(b, loc, value, buffer, warp);
  });
  gpu::BarrierOp::create(b, loc);
  Value place = rem(lane, constant(warps));
  SmallVector<Value> ofWarps;
  for (Value buffer : shared)
    ofWarps.push_back(memref::LoadOp::create(b, loc, buffer, place));
  return combineWarp(ofWarps, warps);
}

/// The value of the lane whose number differs by `offset`, word by word.
Value ThreadWriter::shuffle(Value value, int offset) {
  Type type = value.getType(), word = b.getI32Type();
  auto exchange = [&](Value part) -> Value {
    Value distance = arith::ConstantIntOp::create(b, loc, word, offset);
    Value width = arith::ConstantIntOp::create(b, loc, word, warpThreads);
    return gpu::ShuffleOp::create(b, loc, part, distance, width,
                                  gpu::ShuffleMode::XOR)
        .getShuffleResult();
  };
  unsigned width = type.getIntOrFloatBitWidth();
  Type bitsType = b.getIntegerType(width);
  Value bits = isa<FloatType>(type)
                   ? arith::BitcastOp::create(b, loc, bitsType, value)
                   : value;
  if (width < 32) {
    Value wide = exchange(arith::ExtUIOp::create(b, loc, word, bits));
    bits = arith::TruncIOp::create(b, loc, bitsType, wide);
  } else if (width == 32) {
    bits = exchange(bits);
  } else {
    Value half = arith::ConstantIntOp::create(b, loc, bitsType, 32);
    Value low = exchange(arith::TruncIOp::create(b, loc, word, bits));
    Value high = exchange(arith::TruncIOp::create(
        b, loc, word, arith::ShRUIOp::create(b, loc, bits, half)));
    high = arith::ShLIOp::create(
        b, loc, arith::ExtUIOp::create(b, loc, bitsType, high), half);
    bits = arith::OrIOp::create(b, loc, high,
                                arith::ExtUIOp::create(b, loc, bitsType, low));
  }
  return isa<FloatType>(type) ? arith::BitcastOp::create(b, loc, type, bits)
                              : bits;
}

/// The kernel's body as that of a gpu.func, without the range's indices, which
/// become 0 and 1.
static gpu::GPUFuncOp moveToModule(func::FuncOp kernel,
                                   gpu::GPUModuleOp module) {
  unsigned arguments = kernel.getNumArguments() - 2;
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  auto type = builder.getFunctionType(kernel.getArgumentTypes().drop_back(2),
                                      TypeRange());
  auto moved = gpu::GPUFuncOp::create(builder, kernel.getLoc(),
                                      kernel.getSymName(), type);
  moved->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                 builder.getUnitAttr());
  moved.getBody().takeBody(kernel.getBody());
  Block &entry = moved.getBody().front();
  builder.setInsertionPointToStart(&entry);
  for (int64_t number : {1, 0}) {
    Value index =
        arith::ConstantIndexOp::create(builder, kernel.getLoc(), number);
    entry.getArgument(entry.getNumArguments() - 1).replaceAllUsesWith(index);
    entry.eraseArgument(entry.getNumArguments() - 1);
  }
  auto end = cast<func::ReturnOp>(entry.getTerminator());
  builder.setInsertionPoint(end);
  gpu::ReturnOp::create(builder, end.getLoc());
  end.erase();
  // Nothing that a kernel writes overlaps another of its buffers.
  for (unsigned i = 0; i < arguments; ++i)
    if (isa<MemRefType>(moved.getArgument(i).getType()))
      moved.setArgAttr(i, "llvm.noalias", builder.getUnitAttr());
  return moved;
}

/// All that a kernel with loops of its own does, by the first thread.
static void keepToOneThread(gpu::GPUFuncOp kernel) {
  Block &entry = kernel.getBody().front();
  Operation *end = entry.getTerminator();
  OpBuilder builder = OpBuilder::atBlockBegin(&entry);
  Location loc = kernel.getLoc();
  Value thread = gpu::ThreadIdOp::create(builder, loc, gpu::Dimension::x);
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Value first = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq,
                                      thread, zero);
  auto branch =
      scf::IfOp::create(builder, loc, first, /*withElseRegion=*/false);
  Block *body = branch.thenBlock();
  body->getOperations().splice(body->begin(), entry.getOperations(),
                               std::next(Block::iterator(branch)),
                               Block::iterator(end));
}

FailureOr<ThreadRange> codegen::lowerToThreads(func::FuncOp kernel,
                                               gpu::GPUModuleOp module) {
  FailureOr<KernelForm> form = readKernelForm(kernel);
  if (failed(form))
    return failure();
  linalg::GenericOp generic =
      form->generic ? simplifyDimensions(form->generic) : form->generic;
  gpu::GPUFuncOp moved = moveToModule(kernel, module);
  ThreadRange range{form->extent, blockThreads, blockThreads};
  if (generic) {
    ThreadWriter writer(generic, form->starts, moved);
    int team = writer.team();
    writer.write(team);
    generic.erase();
    range.perBlock = blockThreads / team;
  } else {
    keepToOneThread(moved);
    range.threads = warpThreads;
    range.perBlock = 1;
  }
  Builder builder(moved.getContext());
  moved.setKnownBlockSizeAttr(builder.getDenseI32ArrayAttr(
      {static_cast<int32_t>(range.threads), 1, 1}));
  // Two blocks of 256 threads leave each thread 128 registers.
  moved->setAttr("nvvm.minctasm", builder.getI32IntegerAttr(2));
  return range;
}
