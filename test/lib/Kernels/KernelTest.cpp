// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "KernelTest.h"

#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Codegen/Cuda/KernelPtx.h"
#include "lib/Codegen/Cuda/Ptxas.h"
#include "lib/Quant/Element.h"
#include "runtime/emulator/Emulator.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Verifier.h"

#include <cmath>
#include <map>

using namespace qopt;
using namespace qopt::kernels;
using namespace qopt::kernels::test;
using quant::ElementType;

/// One for all kernels: making one takes as long as a small kernel.
static mlir::MLIRContext &sharedContext() {
  static const std::unique_ptr<mlir::MLIRContext> context = [] {
    mlir::DialectRegistry registry;
    codegen::registerCudaCodegen(registry);
    auto made = std::make_unique<mlir::MLIRContext>(registry);
    made->loadAllAvailableDialects();
    return made;
  }();
  return *context;
}

StatusOr<Compiled> test::compile(Generator generate,
                                 const target::Target &target) {
  mlir::MLIRContext &context = sharedContext();
  auto module = mlir::OwningOpRef<mlir::ModuleOp>(
      mlir::ModuleOp::create(mlir::UnknownLoc::get(&context)));
  mlir::OpBuilder builder(module->getBodyRegion());
  auto kernels =
      mlir::gpu::GPUModuleOp::create(builder, module->getLoc(), "kernels");
  auto built = generate(kernels);
  if (!built)
    return built.status();
  Compiled result{(*built).getName().str(), {}, 0};
  Status broken(StatusCode::Internal, result.symbol + " does not compile");
  if (mlir::failed(mlir::verify(*module)))
    return broken;
  auto code =
      codegen::generatePtx(kernels, target, codegen::CodeCache::ofUser());
  if (mlir::failed(code))
    return broken;
  result.ptx = code->text;
  result.ptxVersion = code->ptxVersion;
  return result;
}

// Machine code ----------------------------------------------------------------

std::string test::Compiled::body() const {
  return llvm::StringRef(ptx).split(".address_size 64\n").second.str();
}

using Waiting = std::map<std::string, Compiled>; // by symbol

static std::map<const target::Target *, Waiting> waiting;
static bool isRunning = false; // a KernelTest

/// Of all that wait for one architecture.
static Status assembleWaiting(const target::Target &target, Waiting &kernels) {
  // Asking for its version is a process, too.
  static const StatusOr<codegen::Ptxas> ptxas = codegen::Ptxas::find();
  std::vector<std::string> bodies;
  codegen::PtxTarget written{&target, 0};
  for (const auto &[symbol, kernel] : kernels) {
    bodies.push_back(kernel.body());
    written.version = std::max(written.version, kernel.ptxVersion);
  }
  kernels.clear();
  if (!ptxas || bodies.empty())
    return Status();
  auto code =
      ptxas->assemble({{codegen::joinKernelPtx(bodies, written), &target}},
                      codegen::CodeCache::ofUser(), 1);
  if (!code)
    return code.status();
  const std::vector<codegen::KernelResources> &made = code->front().kernels;
  if (made.size() != bodies.size())
    return Status(StatusCode::Internal, std::to_string(bodies.size()) +
                                            " kernels give code of " +
                                            std::to_string(made.size()));
  return codegen::requireClean(made, [](llvm::StringRef) { return true; });
}

void test::assemble(const Compiled &kernel, const target::Target &target) {
  ASSERT_TRUE(isRunning) << "kernels are assembled in a TEST_F of KernelTest";
  Waiting &others = waiting[&target];
  auto [known, isNew] = others.try_emplace(kernel.symbol, kernel);
  if (isNew || known->second.ptx == kernel.ptx)
    return;
  // Two kernels of one symbol are not for one text.
  Status status = assembleWaiting(target, others);
  EXPECT_TRUE(status.ok()) << status.message();
  others.emplace(kernel.symbol, kernel);
}

void KernelTest::SetUp() { isRunning = true; }

void KernelTest::TearDown() {
  isRunning = false;
  for (auto &[target, kernels] : waiting) {
    Status status = assembleWaiting(*target, kernels);
    EXPECT_TRUE(status.ok()) << status.message();
  }
}

/// Of "st.global.v2.b32".
static int64_t storedBytes(const std::string &opcode) {
  size_t vector = opcode.find(".v");
  int64_t elements = vector == std::string::npos ? 1 : opcode[vector + 2] - '0';
  size_t digits = opcode.find_last_not_of("0123456789") + 1;
  return elements * std::stoll(opcode.substr(digits)) / 8;
}

std::vector<Compiled> test::storesMoved(const Compiled &kernel) {
  std::vector<Compiled> moved;
  const std::string &ptx = kernel.ptx;
  for (size_t at = ptx.find("st.global"); at != std::string::npos;
       at = ptx.find("st.global", at + 1)) {
    size_t opcodeEnd = ptx.find_first_of(" \t", at), end = ptx.find(']', at);
    size_t plus = ptx.rfind('+', end);
    int64_t offset = storedBytes(ptx.substr(at, opcodeEnd - at));
    if (plus != std::string::npos && plus > at)
      offset += std::stoll(ptx.substr(plus + 1, end - plus - 1));
    else
      plus = end;
    moved.push_back(kernel);
    moved.back().ptx.replace(plus, end - plus, "+" + std::to_string(offset));
  }
  return moved;
}

// Launches --------------------------------------------------------------------

Launch &Launch::add(void *data, size_t bytes, bool read, bool written) {
  Item item;
  item.data = data;
  item.bytes = bytes;
  item.read = read;
  item.written = written;
  items.push_back(item);
  return *this;
}

Launch &Launch::same(size_t index) {
  Item item;
  item.same = int(index);
  items.push_back(item);
  return *this;
}

Launch &Launch::integer(int32_t value) {
  Item item;
  item.value = value;
  items.push_back(item);
  return *this;
}

Status Launch::run(const Compiled &kernel, const LaunchShape &shape,
                   int64_t rows, uint64_t seed,
                   emulator::Statistics *statistics) {
  emulator::Memory memory;
  auto module = emulator::Module::parse(kernel.ptx, memory);
  if (!module)
    return module.status();
  auto code = (*module)->kernel(kernel.symbol);
  if (!code)
    return code.status();
  std::vector<uint8_t> arguments(code->argumentBytes());
  std::vector<uint64_t> addresses;
  for (size_t i = 0; i < items.size(); ++i) {
    const Item &item = items[i];
    uint64_t address = 0;
    if (item.same >= 0) {
      address = addresses[size_t(item.same)];
    } else if (item.data) {
      auto allocated = memory.allocate(item.bytes);
      if (!allocated)
        return allocated.status();
      address = *allocated;
      if (item.read)
        QOPT_RETURN_IF_ERROR(memory.write(address, item.data, item.bytes));
    }
    addresses.push_back(address);
    const void *source = &address;
    if (item.same < 0 && !item.data)
      source = &item.value;
    if (i >= code->parameters())
      return Status(StatusCode::InvalidArgument, "too many arguments");
    std::memcpy(arguments.data() + code->parameterOffset(i), source,
                code->parameterBytes(i));
  }
  if (items.size() != code->parameters())
    return Status(StatusCode::InvalidArgument, "too few arguments");
  emulator::LaunchOptions options;
  options.seed = seed;
  options.threads = 2;
  options.countMemory = statistics != nullptr;
  auto ran =
      emulator::launch(*code, {uint32_t(shape.grid(rows)), 1, 1},
                       {uint32_t(shape.threads), 1, 1},
                       size_t(shape.sharedBytes), arguments, memory, options);
  if (!ran)
    return ran.status();
  if (statistics)
    *statistics = *ran;
  for (size_t i = 0; i < items.size(); ++i)
    if (items[i].written)
      QOPT_RETURN_IF_ERROR(
          memory.read(items[i].data, addresses[i], items[i].bytes));
  return Status();
}

// Values ----------------------------------------------------------------------

std::vector<uint16_t> test::encode(ElementType type,
                                   const std::vector<float> &values) {
  std::vector<uint16_t> halves(values.size());
  quant::elementOf(type).encode(values.data(), int64_t(values.size()),
                                reinterpret_cast<uint8_t *>(halves.data()));
  return halves;
}

std::vector<float> test::decode(ElementType type,
                                const std::vector<uint16_t> &halves) {
  std::vector<float> values(halves.size());
  quant::elementOf(type).decode(
      reinterpret_cast<const uint8_t *>(halves.data()), int64_t(halves.size()),
      values.data());
  return values;
}

std::vector<float> test::rounded(ElementType type, std::vector<float> values) {
  return type == ElementType::F32 ? values : decode(type, encode(type, values));
}

std::vector<float> test::normals(size_t count, unsigned seed, float deviation) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float &value : values)
    value = normal(random);
  return values;
}

double test::ulp(ElementType type, double value) {
  int digits = type == ElementType::BF16  ? 7
               : type == ElementType::F16 ? 10
                                          : 23;
  int least = type == ElementType::F16 ? -14 : -126;
  int exponent = value == 0 ? least : std::max(std::ilogb(value), least);
  return std::ldexp(1.0, exponent - digits);
}
