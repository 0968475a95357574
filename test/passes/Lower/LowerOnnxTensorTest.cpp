// Onnx ops that move, gather, reduce, normalise and multiply compute what the
// reference evaluator says, with dynamic sizes, at once and in pieces.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/passes/Lower/LowerOnnxTest.h"

using namespace qopt;

TEST_F(LowerOnnx, Views) {
  check(
      R"(func.func @f(%x: tensor<?x?x6xf32> {onnx.dims = ["b", "s", 6]}) -> (tensor<?x?x2x3xf32>, tensor<?x?xf32>, tensor<?x1x?x6xf32>, tensor<?xf32>) {
    %shape = onnx.Constant dense<[0, 0, 2, 3]> : tensor<4xi64>
    %r = onnx.Reshape %x, %shape : (tensor<?x?x6xf32>, tensor<4xi64>) -> tensor<?x?x2x3xf32>
    %f = onnx.Flatten %x {axis = 1 : i64} : (tensor<?x?x6xf32>) -> tensor<?x?xf32>
    %one = onnx.Constant dense<1> : tensor<1xi64>
    %u = onnx.Unsqueeze %x, %one : (tensor<?x?x6xf32>, tensor<1xi64>) -> tensor<?x1x?x6xf32>
    %all = onnx.Constant dense<-1> : tensor<1xi64>
    %flat = onnx.Reshape %u, %all : (tensor<?x1x?x6xf32>, tensor<1xi64>) -> tensor<?xf32>
    %z = onnx.Neg %flat : (tensor<?xf32>) -> tensor<?xf32>
    return %r, %f, %u, %z : tensor<?x?x2x3xf32>, tensor<?x?xf32>, tensor<?x1x?x6xf32>, tensor<?xf32>
  })");
}

TEST_F(LowerOnnx, ShapeArithmeticIsFreeOfKernels) {
  check(
      R"(func.func @f(%x: tensor<?x?x6xf32> {onnx.dims = ["b", "s", 6]}) -> (tensor<?x3x?x2xf32>, tensor<2xi64>) {
    %s = onnx.Shape %x : (tensor<?x?x6xf32>) -> tensor<3xi64>
    %zero = onnx.Constant dense<0> : tensor<i64>
    %one = onnx.Constant dense<1> : tensor<i64>
    %axis = onnx.Constant dense<0> : tensor<1xi64>
    %b = onnx.Gather %s, %zero : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
    %n = onnx.Gather %s, %one : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
    %b1 = onnx.Unsqueeze %b, %axis : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
    %n1 = onnx.Unsqueeze %n, %axis : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
    %heads = onnx.Constant dense<[3, 2]> : tensor<2xi64>
    %shape = onnx.Concat %b1, %n1, %heads {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<2xi64>) -> tensor<4xi64>
    %r = onnx.Reshape %x, %shape : (tensor<?x?x6xf32>, tensor<4xi64>) -> tensor<?x?x3x2xf32>
    %t = onnx.Transpose %r {perm = array<i64: 0, 2, 1, 3>} : (tensor<?x?x3x2xf32>) -> tensor<?x3x?x2xf32>
    %two = onnx.Concat %n1, %b1 {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
    return %t, %two : tensor<?x3x?x2xf32>, tensor<2xi64>
  })");
}

TEST_F(LowerOnnx, TransposeOfEveryOrder) {
  for (auto [perm, result] :
       {std::pair("2, 0, 1", "6x?x?"), std::pair("1, 2, 0", "?x6x?"),
        std::pair("2, 1, 0", "6x?x?"), std::pair("0, 2, 1", "?x6x?")})
    check(std::string("func.func @f(%x: tensor<?x?x6xi64> {onnx.dims = "
                      "[\"b\", \"s\", 6]}) -> tensor<") +
          result + "xi64> { %y = onnx.Transpose %x {perm = array<i64: " + perm +
          ">} : (tensor<?x?x6xi64>) -> tensor<" + result +
          "xi64> return %y : tensor<" + result + "xi64> }");
}

TEST_F(LowerOnnx, Slices) {
  check(
      R"(func.func @f(%x: tensor<?x?x6xf32> {onnx.dims = ["b", "s", 6]}) -> (tensor<?x1x6xf32>, tensor<?x?x3xf32>, tensor<?x?x6xf32>) {
    %none = onnx.None
    %one = onnx.Constant dense<1> : tensor<1xi64>
    %two = onnx.Constant dense<2> : tensor<1xi64>
    %last = onnx.Constant dense<-1> : tensor<1xi64>
    %far = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
    %near = onnx.Constant dense<-9223372036854775807> : tensor<1xi64>
    %a = onnx.Slice %x, %last, %far, %one, %none : (tensor<?x?x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<?x1x6xf32>
    %b = onnx.Slice %x, %one, %far, %two, %two : (tensor<?x?x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x3xf32>
    %c = onnx.Slice %x, %last, %near, %two, %last : (tensor<?x?x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?x6xf32>
    return %a, %b, %c : tensor<?x1x6xf32>, tensor<?x?x3xf32>, tensor<?x?x6xf32>
  })");
}

TEST_F(LowerOnnx, ConcatAndSplit) {
  check(
      R"(func.func @f(%x: tensor<?x?x6xf32> {onnx.dims = ["b", "p", 6]}, %y: tensor<?x?x6xf32> {onnx.dims = ["b", "s", 6]}) -> (tensor<?x?x6xf32>, tensor<?x?x2xf32>, tensor<?x?x4xf32>) {
    %c = onnx.Concat %x, %y {axis = 1 : i64} : (tensor<?x?x6xf32>, tensor<?x?x6xf32>) -> tensor<?x?x6xf32>
    %sizes = onnx.Constant dense<[2, 4]> : tensor<2xi64>
    %a, %b = onnx.Split %c, %sizes {axis = 2 : i64} : (tensor<?x?x6xf32>, tensor<2xi64>) -> (tensor<?x?x2xf32>, tensor<?x?x4xf32>)
    return %c, %a, %b : tensor<?x?x6xf32>, tensor<?x?x2xf32>, tensor<?x?x4xf32>
  })");
}

TEST_F(LowerOnnx, ExpandTilePadTrilu) {
  check(
      R"(func.func @f(%x: tensor<?x1x4xf32> {onnx.dims = ["b", 1, 4]}, %m: tensor<?x?xf32> {onnx.dims = ["s", "n"]}) -> (tensor<?x3x4xf32>, tensor<?x2x4xf32>, tensor<?x4x4xf32>, tensor<?x?xf32>, tensor<?x?xf32>) {
    %none = onnx.None
    %shape = onnx.Constant dense<[1, 3, 1]> : tensor<3xi64>
    %e = onnx.Expand %x, %shape : (tensor<?x1x4xf32>, tensor<3xi64>) -> tensor<?x3x4xf32>
    %repeats = onnx.Constant dense<[1, 2, 1]> : tensor<3xi64>
    %t = onnx.Tile %x, %repeats : (tensor<?x1x4xf32>, tensor<3xi64>) -> tensor<?x2x4xf32>
    %pads = onnx.Constant dense<[0, 1, 0, 0, 2, 0]> : tensor<6xi64>
    %value = onnx.Constant dense<7.5> : tensor<f32>
    %p = onnx.Pad %x, %pads, %value, %none : (tensor<?x1x4xf32>, tensor<6xi64>, tensor<f32>, none) -> tensor<?x4x4xf32>
    %one = onnx.Constant dense<1> : tensor<i64>
    %u = onnx.Trilu %m, %one : (tensor<?x?xf32>, tensor<i64>) -> tensor<?x?xf32>
    %l = onnx.Trilu %m, %none {upper = false} : (tensor<?x?xf32>, none) -> tensor<?x?xf32>
    return %e, %t, %p, %u, %l : tensor<?x3x4xf32>, tensor<?x2x4xf32>, tensor<?x4x4xf32>, tensor<?x?xf32>, tensor<?x?xf32>
  })");
}

TEST_F(LowerOnnx, PadModes) {
  for (const char *mode : {"reflect", "edge", "wrap"})
    check(std::string("func.func @f(%x: tensor<4x5xf32>) -> tensor<7x9xf32> { "
                      "%none = onnx.None %pads = onnx.Constant dense<[1, 3, "
                      "2, 1]> : tensor<4xi64> %p = onnx.Pad %x, %pads, %none, "
                      "%none {mode = \"") +
          mode +
          "\"} : (tensor<4x5xf32>, tensor<4xi64>, none, none) -> "
          "tensor<7x9xf32> return %p : tensor<7x9xf32> }");
}

TEST_F(LowerOnnx, RangesAndFills) {
  check(
      R"(func.func @f(%x: tensor<?x?xf32> {onnx.dims = ["b", "s"]}) -> (tensor<?xi64>, tensor<?x?xf32>) {
    %zero = onnx.Constant dense<0> : tensor<i64>
    %one = onnx.Constant dense<1> : tensor<i64>
    %s = onnx.Shape %x : (tensor<?x?xf32>) -> tensor<2xi64>
    %n = onnx.Gather %s, %one : (tensor<2xi64>, tensor<i64>) -> tensor<i64>
    %r = onnx.Range %zero, %n, %one : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
    %c = onnx.ConstantOfShape %s {value = dense<2.5> : tensor<1xf32>} : (tensor<2xi64>) -> tensor<?x?xf32>
    return %r, %c : tensor<?xi64>, tensor<?x?xf32>
  })");
}

TEST_F(LowerOnnx, Gathers) {
  low = -5, high = 4;
  check(
      R"(func.func @f(%x: tensor<5x4xf32>, %i: tensor<?x?xi64> {onnx.dims = ["b", "s"]}, %e: tensor<3x4xi32>, %d: tensor<?x1xi64> {onnx.dims = ["n", 1]}) -> (tensor<?x?x4xf32>, tensor<3x4xf32>, tensor<?x4xf32>) {
    %g = onnx.Gather %x, %i : (tensor<5x4xf32>, tensor<?x?xi64>) -> tensor<?x?x4xf32>
    %h = onnx.GatherElements %x, %e {axis = 0 : i64} : (tensor<5x4xf32>, tensor<3x4xi32>) -> tensor<3x4xf32>
    %k = onnx.GatherND %x, %d : (tensor<5x4xf32>, tensor<?x1xi64>) -> tensor<?x4xf32>
    return %g, %h, %k : tensor<?x?x4xf32>, tensor<3x4xf32>, tensor<?x4xf32>
  })");
}

TEST_F(LowerOnnx, Scatters) {
  low = -5, high = 4;
  for (const char *reduction : {"none", "add", "mul", "max", "min"})
    check(std::string("func.func @f(%x: tensor<?x5xf32> {onnx.dims = [\"s\", "
                      "5]}, %i: tensor<3x5xi64>, %u: tensor<3x5xf32>, %j: "
                      "tensor<4x1xi64>, %v: tensor<4x5xf32>) -> "
                      "(tensor<?x5xf32>, tensor<?x5xf32>) { %e = "
                      "onnx.ScatterElements %x, %i, %u {reduction = \"") +
          reduction +
          "\"} : (tensor<?x5xf32>, tensor<3x5xi64>, tensor<3x5xf32>) -> "
          "tensor<?x5xf32> %n = onnx.ScatterND %e, %j, %v {reduction = \"" +
          reduction +
          "\"} : (tensor<?x5xf32>, tensor<4x1xi64>, tensor<4x5xf32>) -> "
          "tensor<?x5xf32> return %e, %n : tensor<?x5xf32>, "
          "tensor<?x5xf32> }");
}

TEST_F(LowerOnnx, ScattersOfOneElement) {
  low = -2, high = 1;
  for (const char *reduction : {"none", "add", "mul", "max", "min"})
    check(std::string("func.func @f(%x: tensor<2x?xf32> {onnx.dims = [2, "
                      "\"s\"]}, %i: tensor<1x1xi64>, %u: tensor<1x1xf32>, "
                      "%y: tensor<2x1xf32>, %j: tensor<1x2xi64>, %v: "
                      "tensor<1xf32>) -> (tensor<2x?xf32>, tensor<2x1xf32>) { "
                      "%zero = onnx.Constant dense<0> : tensor<2xi64> %e = "
                      "onnx.ScatterElements %x, %i, %u {axis = 0 : i64, "
                      "reduction = \"") +
          reduction +
          "\"} : (tensor<2x?xf32>, tensor<1x1xi64>, tensor<1x1xf32>) -> "
          "tensor<2x?xf32> %k = onnx.Mul %j, %zero : (tensor<1x2xi64>, "
          "tensor<2xi64>) -> tensor<1x2xi64> %n = onnx.ScatterND %y, %k, %v "
          "{reduction = \"" +
          reduction +
          "\"} : (tensor<2x1xf32>, tensor<1x2xi64>, tensor<1xf32>) -> "
          "tensor<2x1xf32> return %e, %n : tensor<2x?xf32>, tensor<2x1xf32> "
          "}");
}

TEST_F(LowerOnnx, OneHot) {
  low = -3, high = 4;
  check(
      R"(func.func @f(%i: tensor<?x?xi64> {onnx.dims = ["b", "s"]}) -> tensor<?x?x4xf32> {
    %depth = onnx.Constant dense<4> : tensor<i64>
    %values = onnx.Constant dense<[0.0, 1.0]> : tensor<2xf32>
    %o = onnx.OneHot %i, %depth, %values : (tensor<?x?xi64>, tensor<i64>, tensor<2xf32>) -> tensor<?x?x4xf32>
    return %o : tensor<?x?x4xf32>
  })");
}

TEST_F(LowerOnnx, Reductions) {
  for (const char *op :
       {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd",
        "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"})
    for (const char *axes : {"[-1]", "[1]", "[0, 2]"})
      for (bool keep : {true, false}) {
        if (!keep && axes[1] == '0')
          continue;
        std::string result = axes == std::string("[-1]")  ? "?x?x1"
                             : axes == std::string("[1]") ? "?x1x6"
                                                          : "1x?x1";
        if (!keep)
          result = axes == std::string("[-1]") ? "?x?" : "?x6";
        std::string count = axes == std::string("[0, 2]") ? "2" : "1";
        check(std::string("func.func @f(%x: tensor<?x?x6xf32> {onnx.dims = "
                          "[\"b\", \"s\", 6]}) -> tensor<") +
                  result + "xf32> { %a = onnx.Constant dense<" + axes +
                  "> : tensor<" + count + "xi64> %y = onnx." + op +
                  " %x, %a {keepdims = " + (keep ? "true" : "false") +
                  "} : (tensor<?x?x6xf32>, tensor<" + count +
                  "xi64>) -> tensor<" + result + "xf32> return %y : tensor<" +
                  result + "xf32> }",
              1e-5);
      }
}

TEST_F(LowerOnnx, ReductionsOfIntegersAndHalves) {
  check(
      R"(func.func @f(%x: tensor<?x7xi64> {onnx.dims = ["s", 7]}, %h: tensor<?x7xf16> {onnx.dims = ["s", 7]}) -> (tensor<?x1xi64>, tensor<?x1xi64>, tensor<1x1xf16>) {
    %none = onnx.None
    %a = onnx.Constant dense<1> : tensor<1xi64>
    %s = onnx.ReduceSum %x, %a : (tensor<?x7xi64>, tensor<1xi64>) -> tensor<?x1xi64>
    %m = onnx.ReduceMax %x, %a : (tensor<?x7xi64>, tensor<1xi64>) -> tensor<?x1xi64>
    %n = onnx.ReduceMean %h, %none : (tensor<?x7xf16>, none) -> tensor<1x1xf16>
    return %s, %m, %n : tensor<?x1xi64>, tensor<?x1xi64>, tensor<1x1xf16>
  })",
      1e-3);
}

TEST_F(LowerOnnx, ArgAndTop) {
  check(
      R"(func.func @f(%x: tensor<?x9xf32> {onnx.dims = ["s", 9]}, %i: tensor<?x9xi64> {onnx.dims = ["s", 9]}) -> (tensor<?xi64>, tensor<?x1xi64>, tensor<?x3xf32>, tensor<?x3xi64>) {
    %a = onnx.ArgMax %x {axis = 1 : i64, keepdims = false} : (tensor<?x9xf32>) -> tensor<?xi64>
    %b = onnx.ArgMin %i {axis = 1 : i64, select_last_index = true} : (tensor<?x9xi64>) -> tensor<?x1xi64>
    %k = onnx.Constant dense<3> : tensor<1xi64>
    %v, %p = onnx.TopK %x, %k : (tensor<?x9xf32>, tensor<1xi64>) -> (tensor<?x3xf32>, tensor<?x3xi64>)
    return %a, %b, %v, %p : tensor<?xi64>, tensor<?x1xi64>, tensor<?x3xf32>, tensor<?x3xi64>
  })");
}

TEST_F(LowerOnnx, CumSum) {
  for (const char *flags : {"", "{exclusive = true}", "{reverse = true}",
                            "{exclusive = true, reverse = true}"})
    check(std::string("func.func @f(%x: tensor<?x?xi64> {onnx.dims = [\"b\", "
                      "\"n\"]}) -> tensor<?x?xi64> { %a = onnx.Constant "
                      "dense<1> : tensor<i64> %y = onnx.CumSum %x, %a ") +
          flags +
          " : (tensor<?x?xi64>, tensor<i64>) -> tensor<?x?xi64> "
          "return %y : tensor<?x?xi64> }");
}

TEST_F(LowerOnnx, SoftmaxAndNorms) {
  check(
      R"(func.func @f(%x: tensor<?x?x6xf32> {onnx.dims = ["b", "s", 6]}, %g: tensor<6xf32>, %c: tensor<6xf32>) -> (tensor<?x?x6xf32>, tensor<?x?x6xf32>, tensor<?x?x6xf32>, tensor<?x?x6xf32>, tensor<?x?x6xf32>, tensor<?x?x6xf32>) {
    %none = onnx.None
    %s = onnx.Softmax %x : (tensor<?x?x6xf32>) -> tensor<?x?x6xf32>
    %t = onnx.Softmax %x {axis = 1 : i64} : (tensor<?x?x6xf32>) -> tensor<?x?x6xf32>
    %l = onnx.LogSoftmax %x : (tensor<?x?x6xf32>) -> tensor<?x?x6xf32>
    %n, %mean, %inv = onnx.LayerNormalization %x, %g, %c : (tensor<?x?x6xf32>, tensor<6xf32>, tensor<6xf32>) -> (tensor<?x?x6xf32>, none, none)
    %r = onnx.RMSNormalization %x, %g : (tensor<?x?x6xf32>, tensor<6xf32>) -> tensor<?x?x6xf32>
    %p = onnx.LpNormalization %x : (tensor<?x?x6xf32>) -> tensor<?x?x6xf32>
    return %s, %t, %l, %n, %r, %p : tensor<?x?x6xf32>, tensor<?x?x6xf32>, tensor<?x?x6xf32>, tensor<?x?x6xf32>, tensor<?x?x6xf32>, tensor<?x?x6xf32>
  })",
      1e-5);
}

TEST_F(LowerOnnx, MatrixProducts) {
  check(
      R"(func.func @f(%x: tensor<?x3x?x4xf32> {onnx.dims = ["b", 3, "s", 4]}, %y: tensor<?x3x4x?xf32> {onnx.dims = ["b", 3, 4, "n"]}, %w: tensor<4x5xf32>, %v: tensor<4xf32>) -> (tensor<?x3x?x?xf32>, tensor<?x3x?x5xf32>, tensor<?x3x?xf32>, tensor<5xf32>) {
    %a = onnx.MatMul %x, %y : (tensor<?x3x?x4xf32>, tensor<?x3x4x?xf32>) -> tensor<?x3x?x?xf32>
    %b = onnx.MatMul %x, %w : (tensor<?x3x?x4xf32>, tensor<4x5xf32>) -> tensor<?x3x?x5xf32>
    %c = onnx.MatMul %x, %v : (tensor<?x3x?x4xf32>, tensor<4xf32>) -> tensor<?x3x?xf32>
    %d = onnx.MatMul %v, %w : (tensor<4xf32>, tensor<4x5xf32>) -> tensor<5xf32>
    return %a, %b, %c, %d : tensor<?x3x?x?xf32>, tensor<?x3x?x5xf32>, tensor<?x3x?xf32>, tensor<5xf32>
  })",
      1e-5);
}

TEST_F(LowerOnnx, GemmAndEinsum) {
  check(
      R"(func.func @f(%x: tensor<?x9xf32> {onnx.dims = ["s", 9]}, %w: tensor<5x9xf32>, %c: tensor<5xf32>, %k: tensor<?x7x9xf32> {onnx.dims = ["b", 7, 9]}) -> (tensor<?x5xf32>, tensor<?x?x7xf32>) {
    %g = onnx.Gemm %x, %w, %c {transB = true, alpha = 0.5 : f32, beta = 2.0 : f32} : (tensor<?x9xf32>, tensor<5x9xf32>, tensor<5xf32>) -> tensor<?x5xf32>
    %e = onnx.Einsum %x, %k {equation = "sk,bnk->bsn"} : (tensor<?x9xf32>, tensor<?x7x9xf32>) -> tensor<?x?x7xf32>
    return %g, %e : tensor<?x5xf32>, tensor<?x?x7xf32>
  })",
      1e-5);
}

// The evaluator has no convolution; a padded input, cut for each tap and group,
// multiplied and summed, has.
TEST_F(LowerOnnx, Convolution) {
  checkZero(
      R"(func.func @f(%x: tensor<?x4x8xf32> {onnx.dims = ["b", 4, 8]}, %w: tensor<6x2x3xf32>, %c: tensor<6xf32>) -> tensor<?x6x4xf32> {
    %none = onnx.None
    %y = onnx.Conv %x, %w, %c {dilations = array<i64: 1>, group = 2 : i64, kernel_shape = array<i64: 3>, pads = array<i64: 1, 1>, strides = array<i64: 2>} : (tensor<?x4x8xf32>, tensor<6x2x3xf32>, tensor<6xf32>) -> tensor<?x6x4xf32>
    %pads = onnx.Constant dense<[0, 0, 1, 0, 0, 1]> : tensor<6xi64>
    %p = onnx.Pad %x, %pads, %none, %none : (tensor<?x4x8xf32>, tensor<6xi64>, none, none) -> tensor<?x4x10xf32>
    %two = onnx.Constant dense<2> : tensor<1xi64>
    %s0 = onnx.Constant dense<0> : tensor<1xi64>
    %s1 = onnx.Constant dense<1> : tensor<1xi64>
    %e0 = onnx.Constant dense<8> : tensor<1xi64>
    %e1 = onnx.Constant dense<9> : tensor<1xi64>
    %e2 = onnx.Constant dense<10> : tensor<1xi64>
    %t0 = onnx.Slice %p, %s0, %e0, %two, %two : (tensor<?x4x10xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x4xf32>
    %t1 = onnx.Slice %p, %s1, %e1, %two, %two : (tensor<?x4x10xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x4xf32>
    %t2 = onnx.Slice %p, %two, %e2, %two, %two : (tensor<?x4x10xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x4x4xf32>
    %to5 = onnx.Constant dense<[0, 2, 2, 4, 1]> : tensor<5xi64>
    %u0 = onnx.Reshape %t0, %to5 : (tensor<?x4x4xf32>, tensor<5xi64>) -> tensor<?x2x2x4x1xf32>
    %u1 = onnx.Reshape %t1, %to5 : (tensor<?x4x4xf32>, tensor<5xi64>) -> tensor<?x2x2x4x1xf32>
    %u2 = onnx.Reshape %t2, %to5 : (tensor<?x4x4xf32>, tensor<5xi64>) -> tensor<?x2x2x4x1xf32>
    %u = onnx.Concat %u0, %u1, %u2 {axis = 4 : i64} : (tensor<?x2x2x4x1xf32>, tensor<?x2x2x4x1xf32>, tensor<?x2x2x4x1xf32>) -> tensor<?x2x2x4x3xf32>
    %shape = onnx.Constant dense<[2, 3, 2, 3]> : tensor<4xi64>
    %w4 = onnx.Reshape %w, %shape : (tensor<6x2x3xf32>, tensor<4xi64>) -> tensor<2x3x2x3xf32>
    %m = onnx.Einsum %u, %w4 {equation = "bgclt,gmct->bgml"} : (tensor<?x2x2x4x3xf32>, tensor<2x3x2x3xf32>) -> tensor<?x2x3x4xf32>
    %flat = onnx.Constant dense<[0, 6, 4]> : tensor<3xi64>
    %r = onnx.Reshape %m, %flat : (tensor<?x2x3x4xf32>, tensor<3xi64>) -> tensor<?x6x4xf32>
    %column = onnx.Constant dense<[6, 1]> : tensor<2xi64>
    %bias = onnx.Reshape %c, %column : (tensor<6xf32>, tensor<2xi64>) -> tensor<6x1xf32>
    %z = onnx.Add %r, %bias : (tensor<?x6x4xf32>, tensor<6x1xf32>) -> tensor<?x6x4xf32>
    %d = onnx.Sub %y, %z : (tensor<?x6x4xf32>, tensor<?x6x4xf32>) -> tensor<?x6x4xf32>
    return %d : tensor<?x6x4xf32>
  })",
      1e-5);
}

TEST_F(LowerOnnx, QuantizedActivations) {
  check(
      R"(func.func @f(%x: tensor<?x6xf32> {onnx.dims = ["s", 6]}) -> (tensor<?x6xui8>, tensor<?x6xf32>) {
    %scale = onnx.Constant dense<0.02> : tensor<f32>
    %zero = onnx.Constant dense<128> : tensor<ui8>
    %q = onnx.QuantizeLinear %x, %scale, %zero : (tensor<?x6xf32>, tensor<f32>, tensor<ui8>) -> tensor<?x6xui8>
    %d = onnx.DequantizeLinear %q, %scale, %zero : (tensor<?x6xui8>, tensor<f32>, tensor<ui8>) -> tensor<?x6xf32>
    return %q, %d : tensor<?x6xui8>, tensor<?x6xf32>
  })");
}
