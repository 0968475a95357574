// Kernels of every loop shape compute the right numbers, whole and in pieces,
// and the object has the promised form.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/lib/Codegen/Host/CompiledKernels.h"

#include "mlir/IR/Diagnostics.h"

#include <cmath>
#include <numeric>

using namespace qopt;

static std::vector<float> ramp(size_t size, float scale = 0.25f) {
  std::vector<float> values(size);
  for (size_t i = 0; i < size; ++i)
    values[i] = scale * float(int(i * 7 % 23) - 11);
  return values;
}

static const char *scaleRows = R"(
func.func @scale_rows(%x: memref<f32>, %s: memref<f32>, %y: memref<f32>, %n: index, %begin: index, %end: index) {
  %0 = memref.reinterpret_cast %x to offset: [0], sizes: [%n, 5, 8], strides: [40, 8, 1] : memref<f32> to memref<?x5x8xf32>
  %1 = memref.reinterpret_cast %s to offset: [0], sizes: [8], strides: [1] : memref<f32> to memref<8xf32>
  %2 = memref.reinterpret_cast %y to offset: [0], sizes: [%n, 5, 8], strides: [40, 8, 1] : memref<f32> to memref<?x5x8xf32>
  linalg.generic {
      indexing_maps = [affine_map<(a, b, c) -> (a, b, c)>, affine_map<(a, b, c) -> (c)>, affine_map<(a, b, c) -> (a, b, c)>],
      iterator_types = ["parallel", "parallel", "parallel"]}
      ins(%0, %1 : memref<?x5x8xf32>, memref<8xf32>) outs(%2 : memref<?x5x8xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %p = arith.mulf %a, %b : f32
      linalg.yield %p : f32
  }
  return
})";

TEST(HostCodegen, PointwiseWithBroadcastInPieces) {
  CompiledKernels kernels(scaleRows);
  std::vector<float> x = ramp(3 * 40), s = ramp(8, 0.5f);
  for (int64_t pieces : {1, 2, 7, 50}) {
    std::vector<float> y(x.size(), -1);
    kernels.run({x.data(), s.data(), y.data()}, {3}, pieces);
    for (size_t i = 0; i < y.size(); ++i)
      ASSERT_EQ(y[i], x[i] * s[i % 8]) << i;
  }
  EXPECT_EQ(CompiledKernels::extentOf(kernels.code.kernels[0], {3}), 120);
}

TEST(HostCodegen, AnEmptyTensorHasNoIterations) {
  CompiledKernels kernels(scaleRows);
  EXPECT_EQ(CompiledKernels::extentOf(kernels.code.kernels[0], {0}), 0);
}

TEST(HostCodegen, SumAlongTheRows) {
  CompiledKernels kernels(R"(
func.func @row_sums(%x: memref<f32>, %y: memref<f32>, %m: index, %n: index, %begin: index, %end: index) {
  %zero = arith.constant 0.0 : f32
  %0 = memref.reinterpret_cast %x to offset: [0], sizes: [%m, %n], strides: [%n, 1] : memref<f32> to memref<?x?xf32>
  %1 = memref.reinterpret_cast %y to offset: [0], sizes: [%m], strides: [1] : memref<f32> to memref<?xf32>
  linalg.fill ins(%zero : f32) outs(%1 : memref<?xf32>)
  linalg.generic {indexing_maps = [affine_map<(a, b) -> (a, b)>, affine_map<(a, b) -> (a)>],
                  iterator_types = ["parallel", "reduction"]}
      ins(%0 : memref<?x?xf32>) outs(%1 : memref<?xf32>) {
    ^bb0(%a: f32, %b: f32):
      %s = arith.addf %a, %b : f32
      linalg.yield %s : f32
  }
  return
})");
  std::vector<float> x = ramp(5 * 101), y(5, 9);
  kernels.run({x.data(), y.data()}, {5, 101}, 3);
  for (int row = 0; row < 5; ++row)
    EXPECT_NEAR(y[row],
                std::accumulate(&x[row * 101], &x[row * 101] + 101, 0.0), 1e-4);
}

TEST(HostCodegen, MatrixProductAccumulatesAcrossTheRows) {
  CompiledKernels kernels(R"(
func.func @matmul(%x: memref<f32>, %w: memref<f32>, %y: memref<f32>, %m: index, %k: index, %begin: index, %end: index) {
  %zero = arith.constant 0.0 : f32
  %0 = memref.reinterpret_cast %x to offset: [0], sizes: [%m, %k], strides: [%k, 1] : memref<f32> to memref<?x?xf32>
  %1 = memref.reinterpret_cast %w to offset: [0], sizes: [%k, 19], strides: [19, 1] : memref<f32> to memref<?x19xf32>
  %2 = memref.reinterpret_cast %y to offset: [0], sizes: [%m, 19], strides: [19, 1] : memref<f32> to memref<?x19xf32>
  linalg.fill ins(%zero : f32) outs(%2 : memref<?x19xf32>)
  linalg.generic {indexing_maps = [affine_map<(m, n, k) -> (m, k)>, affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>],
                  iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%0, %1 : memref<?x?xf32>, memref<?x19xf32>) outs(%2 : memref<?x19xf32>) {
    ^bb0(%a: f32, %b: f32, %c: f32):
      %p = arith.mulf %a, %b : f32
      %s = arith.addf %c, %p : f32
      linalg.yield %s : f32
  }
  return
})");
  int m = 4, k = 11, n = 19;
  std::vector<float> x = ramp(m * k), w = ramp(k * n), y(m * n, 9);
  kernels.run({x.data(), w.data(), y.data()}, {m, k}, 5);
  for (int i = 0; i < m; ++i)
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (int l = 0; l < k; ++l)
        sum += double(x[i * k + l]) * w[l * n + j];
      EXPECT_NEAR(y[i * n + j], sum, 1e-4);
    }
}

static std::string halfKernel(const std::string &type) {
  return "func.func @widen(%x: memref<" + type + ">, %y: memref<" + type +
         ">, %n: index, %begin: index, %end: index) {\n"
         "%0 = memref.reinterpret_cast %x to offset: [0], sizes: [%n], "
         "strides: [1] : memref<" +
         type + "> to memref<?x" + type +
         ">\n"
         "%1 = memref.reinterpret_cast %y to offset: [0], sizes: [%n], "
         "strides: [1] : memref<" +
         type + "> to memref<?x" + type +
         ">\n"
         "linalg.generic {indexing_maps = [affine_map<(a) -> (a)>, "
         "affine_map<(a) -> (a)>], iterator_types = [\"parallel\"]}\n"
         "ins(%0 : memref<?x" +
         type + ">) outs(%1 : memref<?x" + type + ">) {\n^bb0(%a: " + type +
         ", %b: " + type + "):\n%s = arith.addf %a, %a : " + type +
         "\n%e = math.exp %s : " + type + "\nlinalg.yield %e : " + type +
         "\n}\nreturn\n}";
}

TEST(HostCodegen, HalfPrecisionNeedsNoInstruction) {
  for (const char *target : {"x86-64-v2", "x86-64-v3"}) {
    CompiledKernels kernels(halfKernel("f16"),
                            *codegen::parseHostTarget(target));
    std::vector<_Float16> x, y(64);
    for (int i = 0; i < 64; ++i)
      x.push_back(_Float16(float(i - 40) * 0.13f));
    kernels.run({x.data(), y.data()}, {64});
    for (int i = 0; i < 64; ++i)
      EXPECT_EQ(float(y[i]), float(_Float16(std::exp(2 * float(x[i])))))
          << target << " " << i;
  }
}

TEST(HostCodegen, BrainFloatRoundsToEven) {
  CompiledKernels kernels(halfKernel("bf16"));
  std::vector<uint16_t> x, y(32);
  for (int i = 0; i < 32; ++i)
    x.push_back(__builtin_bit_cast(uint32_t, 0.25f * i - 3.0f) >> 16);
  kernels.run({x.data(), y.data()}, {32});
  for (int i = 0; i < 32; ++i) {
    uint32_t exact =
        __builtin_bit_cast(uint32_t, std::exp(2 * (0.25f * i - 3.0f)));
    EXPECT_EQ(y[i], (exact + 0x7fff + ((exact >> 16) & 1)) >> 16) << i;
  }
}

TEST(HostCodegen, BytesDependOnTheModuleAlone) {
  CompiledKernels first(scaleRows), second(scaleRows);
  EXPECT_EQ(first.code.object, second.code.object);
  EXPECT_EQ(first.code.object.find("/tmp"), std::string::npos);
}

TEST(HostCodegen, AnotherArchitectureIsCompiledAndRefused) {
  mlir::DialectRegistry registry;
  codegen::registerHostCodegen(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  auto module = mlir::parseSourceString<mlir::ModuleOp>(scaleRows, &context);
#if defined(__x86_64__)
  auto target = *codegen::parseHostTarget("aarch64");
#else
  auto target = *codegen::parseHostTarget("x86-64-v3");
#endif
  auto code = codegen::generateHostCode(*module, target);
  ASSERT_TRUE(mlir::succeeded(code));
  auto loaded =
      runtime::CodeObject::load(code->object.data(), code->object.size());
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.status().code(), StatusCode::Unsupported);
  EXPECT_NE(loaded.status().message().find("compile the model for this"),
            std::string::npos);
}

TEST(HostCodegen, WrongInputHasAnError) {
  auto target = codegen::parseHostTarget("pentium");
  EXPECT_EQ(target.status().message(),
            "unknown host target \"pentium\"; expected one of x86-64-v2, "
            "x86-64-v3, x86-64-v4, aarch64");
  auto loaded = runtime::CodeObject::load("no object", 9);
  EXPECT_EQ(loaded.status().code(), StatusCode::BadArtifact);
  CompiledKernels kernels(scaleRows);
  ASSERT_TRUE(kernels.object);
  EXPECT_EQ(kernels.object->kernel("absent").status().message(),
            "the generated code has no kernel \"absent\"");
}
