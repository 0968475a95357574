// Construction of a kernel, its arguments and indices, control flow and memory.
// The instructions without an operator are in Instructions.cpp.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Kernels/Builder/Kernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace qopt;
using namespace qopt::kernels;

static LLVM::LLVMPointerType globalPointer(MLIRContext *context) {
  return LLVM::LLVMPointerType::get(context, 1);
}

static LLVM::LLVMPointerType sharedPointerType(MLIRContext *context) {
  return LLVM::LLVMPointerType::get(context, 3);
}

/// The module's name for the dynamic shared memory of its kernels.
static LLVM::GlobalOp sharedSymbol(gpu::GPUModuleOp module) {
  constexpr StringLiteral name = "shared";
  if (auto symbol = module.lookupSymbol<LLVM::GlobalOp>(name))
    return symbol;
  OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
  auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), 0);
  return LLVM::GlobalOp::create(builder, module.getLoc(), type,
                                /*isConstant=*/false, LLVM::Linkage::External,
                                name, Attribute(), /*alignment=*/128,
                                /*addrSpace=*/3);
}

static Type typeOf(const Argument &argument, OpBuilder &builder) {
  return argument.kind == Argument::Integer
             ? Type(builder.getI32Type())
             : Type(globalPointer(builder.getContext()));
}

/// What the predecessor may still be writing gets no promise: the optimiser
/// would move its loads before the dependency point.
static void describe(gpu::GPUFuncOp function, unsigned index,
                     const Argument &argument, OpBuilder &builder) {
  if (argument.kind == Argument::Integer)
    return;
  function.setArgAttr(index, LLVM::LLVMDialect::getAlignAttrName(),
                      builder.getI64IntegerAttr(argument.align));
  if (argument.kind == Argument::Dependent)
    return;
  function.setArgAttr(index, LLVM::LLVMDialect::getNoAliasAttrName(),
                      builder.getUnitAttr());
  function.setArgAttr(index, LLVM::LLVMDialect::getReadonlyAttrName(),
                      builder.getUnitAttr());
}

Kernel::Kernel(gpu::GPUModuleOp module, StringRef name,
               const std::vector<Argument> &arguments, LaunchBounds bounds,
               const target::Target &target)
    : opBuilder(OpBuilder::atBlockEnd(module.getBody())),
      location(module.getLoc()), architecture(&target) {
  LLVM::GlobalOp symbol = sharedSymbol(module);
  SmallVector<Type> types;
  for (const Argument &argument : arguments)
    types.push_back(typeOf(argument, opBuilder));
  function = gpu::GPUFuncOp::create(opBuilder, location, name,
                                    opBuilder.getFunctionType(types, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                    opBuilder.getUnitAttr());
  function.setKnownBlockSizeAttr(
      opBuilder.getDenseI32ArrayAttr({bounds.threads, 1, 1}));
  function->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                    opBuilder.getI32IntegerAttr(bounds.blocksPerSm));
  for (auto [index, argument] : llvm::enumerate(arguments))
    describe(function, index, argument, opBuilder);
  opBuilder.setInsertionPointToStart(&function.getBody().front());

  MLIRContext *context = opBuilder.getContext();
  threadIndex = {{this, NVVM::ThreadIdXOp::create(opBuilder, location,
                                                  opBuilder.getI32Type())}};
  laneIndex = threadIndex & 31;
  // One lane's value for all, so that what follows from it is uniform.
  warpIndex = fromLane(threadIndex >> constant(5), 0);
  Value base = LLVM::AddressOfOp::create(
      opBuilder, location, sharedPointerType(context), symbol.getSymName());
  sharedBase = {{this, LLVM::PtrToIntOp::create(opBuilder, location,
                                                opBuilder.getI32Type(), base)}};
}

gpu::GPUFuncOp Kernel::finish() {
  gpu::ReturnOp::create(opBuilder, location);
  return function;
}

Global Kernel::pointer(unsigned argument) {
  return {{this, function.getArgument(argument)}};
}

Int Kernel::integer(unsigned argument) {
  return {{this, function.getArgument(argument)}};
}

Int Kernel::constant(int64_t value) {
  return {{this, arith::ConstantIntOp::create(opBuilder, location,
                                              opBuilder.getI32Type(), value)}};
}

Real Kernel::real(double value) {
  return {{this, arith::ConstantFloatOp::create(opBuilder, location,
                                                opBuilder.getF32Type(),
                                                APFloat(float(value)))}};
}

Int Kernel::thread() { return threadIndex; }
Int Kernel::lane() { return laneIndex; }
Int Kernel::warp() { return warpIndex; }
Int Kernel::block() {
  return {{this, NVVM::BlockIdXOp::create(opBuilder, location,
                                          opBuilder.getI32Type())}};
}

// Control flow ----------------------------------------------------------------

/// A loop of a kernel stays one: what shall be unrolled is a loop of C++.
static Attribute keepsLoop(OpBuilder &builder) {
  auto unroll = LLVM::LoopUnrollAttr::get(builder.getContext(),
                                          /*disable=*/builder.getBoolAttr(true),
                                          {}, {}, {}, {}, {}, {});
  return LLVM::LoopAnnotationAttr::get(builder.getContext(), {}, {}, {}, unroll,
                                       {}, {}, {}, {}, {}, {}, {}, {}, {}, {},
                                       {});
}

Kernel::Values Kernel::loop(Int from, Int to, Int step, Values carried,
                            llvm::function_ref<Values(Int, Values)> body) {
  auto loop = scf::ForOp::create(
      opBuilder, location, from.value, to.value, step.value, carried,
      [&](OpBuilder &nested, Location, Value index, ValueRange values) {
        OpBuilder saved = opBuilder;
        opBuilder = nested;
        Values next =
            body({{this, index}}, Values(values.begin(), values.end()));
        scf::YieldOp::create(opBuilder, location, next);
        opBuilder = saved;
      });
  loop->setAttr("loop_annotation", keepsLoop(opBuilder));
  return Values(loop.result_begin(), loop.result_end());
}

void Kernel::when(Flag condition, llvm::function_ref<void()> body) {
  when(condition, {}, [&](Values) {
    body();
    return Values();
  });
}

Kernel::Values Kernel::when(Flag condition, Values carried,
                            llvm::function_ref<Values(Values)> body) {
  auto choice =
      scf::IfOp::create(opBuilder, location, TypeRange(ValueRange(carried)),
                        condition.value, /*withElse=*/!carried.empty());
  OpBuilder saved = opBuilder;
  auto build = [&](Block &block, llvm::function_ref<Values()> results) {
    opBuilder.setInsertionPointToStart(&block);
    Values values = results();
    if (!carried.empty())
      scf::YieldOp::create(opBuilder, location, values);
  };
  build(*choice.thenBlock(), [&] { return body(carried); });
  if (!carried.empty())
    build(*choice.elseBlock(), [&] { return carried; });
  opBuilder = saved;
  return Values(choice.result_begin(), choice.result_end());
}

void Kernel::until(llvm::function_ref<Flag()> attempt) {
  OpBuilder saved = opBuilder;
  scf::WhileOp::create(
      opBuilder, location, TypeRange(), ValueRange(),
      [&](OpBuilder &nested, Location, ValueRange) {
        opBuilder = nested;
        Flag done = attempt();
        Value again = arith::XOrIOp::create(
            opBuilder, location, done.value,
            arith::ConstantIntOp::create(opBuilder, location,
                                         opBuilder.getI1Type(), 1));
        scf::ConditionOp::create(opBuilder, location, again, ValueRange());
      },
      [&](OpBuilder &nested, Location, ValueRange) {
        scf::YieldOp::create(nested, location);
      });
  opBuilder = saved;
}

// Memory ----------------------------------------------------------------------

static Value offsetPointer(OpBuilder &builder, Location location, Value pointer,
                           LLVM::GEPArg offset) {
  return LLVM::GEPOp::create(builder, location, pointer.getType(),
                             builder.getI8Type(), pointer, offset);
}

Global Global::at(int64_t bytes) const {
  OpBuilder &builder = kernel->builder();
  Value offset = arith::ConstantIntOp::create(builder, kernel->loc(),
                                              builder.getI64Type(), bytes);
  return {{kernel, offsetPointer(builder, kernel->loc(), value, offset)}};
}

Global Global::at(Int count, int64_t bytes) const {
  OpBuilder &builder = kernel->builder();
  Location location = kernel->loc();
  Value wide = arith::ExtSIOp::create(builder, location, builder.getI64Type(),
                                      count.value);
  Value size = arith::ConstantIntOp::create(builder, location,
                                            builder.getI64Type(), bytes);
  Value offset = arith::MulIOp::create(builder, location, wide, size);
  return {{kernel, offsetPointer(builder, location, value, offset)}};
}

Int Kernel::shared(int64_t bytes, int64_t align) {
  int64_t offset = (sharedSize + align - 1) / align * align;
  sharedSize = offset + bytes;
  return sharedBase + offset;
}

/// The dynamic part becomes the pointer and the constant its offset, which is
/// how the instructions take them.
Value Kernel::sharedPointer(Int address, int64_t offset) {
  Value pointer = LLVM::IntToPtrOp::create(
      opBuilder, location, sharedPointerType(opBuilder.getContext()),
      address.value);
  return offset ? offsetPointer(opBuilder, location, pointer, int32_t(offset))
                : pointer;
}

static std::vector<Int> loadWords(Kernel &kernel, Value pointer, unsigned words,
                                  bool invariant) {
  OpBuilder &builder = kernel.builder();
  Type word = builder.getI32Type();
  Type type = words == 1 ? word : Type(VectorType::get(words, word));
  auto load = LLVM::LoadOp::create(builder, kernel.loc(), type, pointer,
                                   /*alignment=*/words * 4);
  load.setInvariant(invariant);
  std::vector<Int> result;
  for (unsigned i = 0; i < words; ++i) {
    Value value = load;
    if (words > 1)
      value = LLVM::ExtractElementOp::create(builder, kernel.loc(), load,
                                             kernel.constant(i).value);
    result.push_back({{&kernel, value}});
  }
  return result;
}

std::vector<Int> Kernel::loadShared(Int address, int64_t offset,
                                    unsigned words) {
  return loadWords(*this, sharedPointer(address, offset), words, false);
}

std::vector<Int> Kernel::loadConstant(Global address, unsigned words) {
  return loadWords(*this, address.value, words, true);
}

std::vector<Int> Kernel::load(Global address, unsigned words) {
  return loadWords(*this, address.value, words, false);
}

/// One value of the words, a vector where they are several.
static Value joined(Kernel &k, ArrayRef<Int> words) {
  if (words.size() == 1)
    return words.front().value;
  OpBuilder &builder = k.builder();
  Value value = LLVM::PoisonOp::create(
      builder, k.loc(),
      VectorType::get(int64_t(words.size()), builder.getI32Type()));
  for (auto [index, word] : llvm::enumerate(words))
    value = LLVM::InsertElementOp::create(builder, k.loc(), value, word.value,
                                          k.constant(int64_t(index)).value);
  return value;
}

void Kernel::store(Global address, ArrayRef<Int> words) {
  LLVM::StoreOp::create(opBuilder, location, joined(*this, words),
                        address.value, words.size() * 4);
}

void Kernel::storeShared(Int address, int64_t offset, ArrayRef<Int> words) {
  LLVM::StoreOp::create(opBuilder, location, joined(*this, words),
                        sharedPointer(address, offset), words.size() * 4);
}

Int Kernel::loadSharedHalfWord(Int address, int64_t offset) {
  Value value =
      LLVM::LoadOp::create(opBuilder, location, opBuilder.getI16Type(),
                           sharedPointer(address, offset), 2);
  return {{this, arith::ExtUIOp::create(opBuilder, location,
                                        opBuilder.getI32Type(), value)}};
}

Real Kernel::loadSharedReal(Int address, int64_t offset) {
  return {
      {this, LLVM::LoadOp::create(opBuilder, location, opBuilder.getF32Type(),
                                  sharedPointer(address, offset), 4)}};
}

void Kernel::storeSharedReal(Int address, int64_t offset, Real value) {
  LLVM::StoreOp::create(opBuilder, location, value.value,
                        sharedPointer(address, offset), 4);
}

Real Kernel::loadReal(Global address, Type type, bool alone) {
  Value value = LLVM::LoadOp::create(opBuilder, location, type, address.value,
                                     type.getIntOrFloatBitWidth() / 8,
                                     /*isVolatile=*/alone);
  if (!type.isF32())
    value = arith::ExtFOp::create(opBuilder, location, opBuilder.getF32Type(),
                                  value);
  return {{this, value}};
}

void Kernel::storeReal(Global address, Real real, Type type) {
  Value value = real.value;
  if (!type.isF32())
    value = arith::TruncFOp::create(opBuilder, location, type, value);
  LLVM::StoreOp::create(opBuilder, location, value, address.value,
                        type.getIntOrFloatBitWidth() / 8);
}

Int Kernel::loadHalfWord(Global address) {
  Value value = LLVM::LoadOp::create(opBuilder, location,
                                     opBuilder.getI16Type(), address.value, 2,
                                     /*isVolatile=*/true);
  return {{this, arith::ExtUIOp::create(opBuilder, location,
                                        opBuilder.getI32Type(), value)}};
}
