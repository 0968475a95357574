// Each kernel of a module is generated for itself and kept: the text does not
// depend on what was kept, and a kernel is made again only where its own IR,
// the target or the entry has changed.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/CudaCodegen.h"
#include "lib/Codegen/Cuda/Ptxas.h"
#include "lib/Codegen/Host/SharedObject.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Parser/Parser.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"
#include <filesystem>
#include <gtest/gtest.h>
#include <map>

using namespace qopt;
using namespace qopt::codegen;

/// Two kernels that share a table and call two functions, one their own and one
/// that code generation brings along.
static constexpr const char *twoKernels = R"(
gpu.module @kernels {
  llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 128 : i64} : !llvm.array<0 x i8>
  llvm.mlir.global internal constant @table(dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>) {addr_space = 4 : i32} : !llvm.array<4 x f32>
  llvm.func @load(%i: i32) -> f32 attributes {passthrough = ["noinline"]} {
    %t = llvm.mlir.addressof @table : !llvm.ptr<4>
    %p = llvm.getelementptr %t[%i] : (!llvm.ptr<4>, i32) -> !llvm.ptr<4>, f32
    %v = llvm.load %p : !llvm.ptr<4> -> f32
    llvm.return %v : f32
  }
  gpu.func @first(%x: !llvm.ptr<1>, %i: i32) kernel
      attributes {known_block_size = array<i32: 32, 1, 1>, nvvm.minctasm = 1 : i32} {
    %s = llvm.mlir.addressof @shared : !llvm.ptr<3>
    %a = llvm.load volatile %s : !llvm.ptr<3> -> f32
    %b = llvm.call @load(%i) : (i32) -> f32
    %r = arith.remf %a, %b : f32
    llvm.store %r, %x : f32, !llvm.ptr<1>
    gpu.return
  }
  gpu.func @second(%x: !llvm.ptr<1>, %i: i32) kernel
      attributes {known_block_size = array<i32: 32, 1, 1>, nvvm.minctasm = 1 : i32} {
    %s = llvm.mlir.addressof @shared : !llvm.ptr<3>
    %a = llvm.load volatile %s : !llvm.ptr<3> -> f32
    %b = llvm.call @load(%i) : (i32) -> f32
    %r = arith.remf %b, %a : f32
    llvm.store %r, %x : f32, !llvm.ptr<1>
    gpu.return
  }
})";

static std::string replaced(std::string text, const std::string &old,
                            const std::string &by) {
  size_t at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return text.replace(at, old.size(), by);
}

namespace {
struct KernelPtxTest : testing::Test {
  KernelPtxTest() {
    mlir::DialectRegistry registry;
    registerCudaCodegen(registry);
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }

  std::string generate(const std::string &kernels, const CodeCache &cache,
                       const target::Target &target = target::sm90a()) {
    auto module =
        mlir::parseSourceString<mlir::ModuleOp>(kernels, {&context, false});
    EXPECT_TRUE(module);
    auto code = generatePtx(*module->getOps<mlir::gpu::GPUModuleOp>().begin(),
                            target, cache);
    EXPECT_TRUE(succeeded(code));
    return failed(code) ? "" : code->text;
  }

  /// The bytes of the entries by their files.
  std::map<std::string, std::string> entries() const {
    std::map<std::string, std::string> found;
    for (auto &file : std::filesystem::directory_iterator(path))
      if (file.path().filename() != "llvmcache.timestamp")
        found[file.path()] = *readFile(file.path());
    return found;
  }

  mlir::MLIRContext context;
  TemporaryFolder folder{"qopt-kernel-ptx-test"};
  std::string path = folder.file("cache");
  CodeCache cache{path};
};
} // namespace

TEST_F(KernelPtxTest, theTextDoesNotDependOnTheCache) {
  std::string expected = generate(twoKernels, CodeCache(""));
  EXPECT_EQ(generate(twoKernels, cache), expected);
  EXPECT_EQ(entries().size(), 2u);
  EXPECT_EQ(generate(twoKernels, cache), expected);
  EXPECT_EQ(entries().size(), 2u);
}

TEST_F(KernelPtxTest, whatIsThereIsNotMadeAgain) {
  generate(twoKernels, cache);
  for (auto &[file, bytes] : entries()) {
    std::string name = std::filesystem::path(file).filename();
    cache.store(name.substr(name.find('-') + 1), {"// another text\n"});
  }
  std::string text = generate(twoKernels, cache);
  EXPECT_EQ(text.find(".entry"), std::string::npos);
  EXPECT_NE(text.find("another text\n\n// another text"), std::string::npos)
      << text;
}

TEST_F(KernelPtxTest, damagedEntriesAreMadeAgain) {
  std::string expected = generate(twoKernels, cache);
  auto whole = entries();
  for (auto &[file, bytes] : whole)
    ASSERT_TRUE(writeFile(file, bytes.substr(0, bytes.size() / 2)).ok());
  EXPECT_EQ(generate(twoKernels, cache), expected);
  EXPECT_EQ(entries(), whole);
}

TEST_F(KernelPtxTest, aChangeMakesAnotherKernel) {
  generate(twoKernels, cache);
  // Of one kernel: the other one is there already.
  generate(replaced(twoKernels, "arith.remf %b, %a", "arith.mulf %b, %a"),
           cache);
  EXPECT_EQ(entries().size(), 3u);
  // Of what both of them use, and of the target.
  std::string other = replaced(twoKernels, "[1.0, 2.0", "[1.0, 2.5");
  EXPECT_NE(generate(other, cache), generate(twoKernels, cache));
  EXPECT_EQ(entries().size(), 5u);
  generate(twoKernels, cache, target::sm80());
  EXPECT_EQ(entries().size(), 7u);
}

TEST_F(KernelPtxTest, aNameIsNoChange) {
  std::string equal =
      replaced(twoKernels, "arith.remf %b, %a", "arith.remf %a, %b");
  std::string made = generate(equal, cache);
  EXPECT_EQ(entries().size(), 1u);
  EXPECT_EQ(generate(equal, CodeCache("")), made);
  EXPECT_EQ(generate(equal, cache), made);
  // Each has its names, and they are no others than it has alone.
  generate(replaced(twoKernels, "@second", "@third"), cache);
  EXPECT_EQ(entries().size(), 2u) << "the first is there, the third is not";
  std::string second = made.substr(made.find(".entry second("));
  EXPECT_EQ(second.find("first"), std::string::npos) << second;
  EXPECT_NE(second.find("second_param_0"), std::string::npos) << second;
}

TEST_F(KernelPtxTest, placesInAFileAreNoChange) {
  std::string expected = generate(twoKernels, cache);
  EXPECT_EQ(generate(std::string("\n\n") + twoKernels, cache), expected);
  EXPECT_EQ(entries().size(), 2u);
}

TEST_F(KernelPtxTest, noNameIsDefinedTwice) {
  std::string text = generate(twoKernels, CodeCache(""));
  for (const char *name : {"first", "second"})
    for (const char *own : {"_load(", "_table[", "_qopt_fmod_f32("})
      EXPECT_NE(text.find(std::string(name) + own), std::string::npos)
          << name << own << "\n"
          << text;
  size_t declared = text.find(".extern .shared");
  ASSERT_NE(declared, std::string::npos);
  EXPECT_EQ(text.find(".extern .shared", declared + 1), std::string::npos);
  StatusOr<Ptxas> ptxas = Ptxas::find();
  if (!ptxas)
    GTEST_SKIP() << ptxas.status().message();
  auto code = ptxas->assemble({{text, &target::sm90a()}}, CodeCache(""), 1);
  ASSERT_TRUE(code.ok()) << code.status().message();
  EXPECT_EQ((*code)[0].kernels.size(), 2u);
}

TEST_F(KernelPtxTest, aLinkForTheHostIsNoChange) {
  std::string expected = generate(twoKernels, CodeCache(""));
  // lld gives LLVM's options their default values.
  auto machine = createTargetMachine(*parseHostTarget("x86-64-v2"));
  ASSERT_TRUE(machine.ok());
  llvm::LLVMContext ofHost;
  llvm::Module empty("empty", ofHost);
  empty.setDataLayout((*machine)->createDataLayout());
  empty.setTargetTriple((*machine)->getTargetTriple());
  ASSERT_TRUE(linkSharedObject(empty, **machine).ok());
  EXPECT_EQ(generate(twoKernels, CodeCache("")), expected);
}

TEST_F(KernelPtxTest, dataOutsideTheIrIsNotKept) {
  std::string text = replaced(twoKernels, "dense<[1.0, 2.0, 3.0, 4.0]>",
                              "dense_resource<numbers>");
  text += R"({-# dialect_resources: {builtin: {numbers:
      "0x040000000000803f000000400000404000008040"}} #-})";
  std::string expected = generate(text, CodeCache(""));
  EXPECT_EQ(generate(text, cache), expected);
  EXPECT_FALSE(std::filesystem::exists(path));
}
