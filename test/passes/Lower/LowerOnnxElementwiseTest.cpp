// Elementwise onnx ops compute what the reference evaluator says, with dynamic
// sizes, at once and in pieces.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "test/passes/Lower/LowerOnnxTest.h"

using namespace qopt;

#define X3 "%x: tensor<?x?x6xf32> {onnx.dims = [\"b\", \"s\", 6]}"

TEST_F(LowerOnnx, UnaryFloats) {
  for (const char *op : {"Abs",
                         "Ceil",
                         "Cos",
                         "Erf",
                         "Exp",
                         "Floor",
                         "Neg",
                         "Reciprocal",
                         "Relu",
                         "Round",
                         "Sigmoid",
                         "Sign",
                         "Sin",
                         "Softplus",
                         "Tanh",
                         "Gelu",
                         "Gelu {approximate = \"tanh\"}",
                         "Swish",
                         "Swish {alpha = 1.7 : f32}",
                         "Log",
                         "Sqrt"}) {
    auto [name, attributes] = llvm::StringRef(op).split(' ');
    for (const char *element : {"f32", "f16", "bf16", "f64"}) {
      std::string type = std::string("tensor<?x?x") + element + ">";
      std::string text =
          "func.func @f(%x: " + type + " {onnx.dims = [\"b\", \"s\"]}) -> " +
          type + " { %y = onnx." + name.str() + " %x " + attributes.str() +
          " : (" + type + ") -> " + type + " return %y : " + type + " }";
      double tolerance = element == std::string("bf16")  ? 8e-3
                         : element == std::string("f16") ? 1e-3
                                                         : 1e-6;
      check(text, tolerance);
    }
  }
}

TEST_F(LowerOnnx, BinaryWithBroadcasting) {
  for (const char *op : {"Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Pow",
                         "Mod {fmod = true}"}) {
    auto [name, attributes] = llvm::StringRef(op).split(' ');
    least = name == "Pow" ? 0.1 : -3;
    for (const char *other :
         {"tensor<6xf32>", "tensor<1x1xf32>", "tensor<f32>"})
      check("func.func @f(" X3 ", %y: " + std::string(other) +
            ") -> tensor<?x?x6xf32> { %z = onnx." + name.str() + " %x, %y " +
            attributes.str() + " : (tensor<?x?x6xf32>, " + other +
            ") -> tensor<?x?x6xf32> return %z : tensor<?x?x6xf32> }");
  }
}

TEST_F(LowerOnnx, Comparisons) {
  for (const char *op :
       {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"})
    for (const char *element : {"f32", "i64", "ui8"}) {
      std::string type = std::string("tensor<?x6x") + element + ">";
      std::string row = std::string("tensor<6x") + element + ">";
      check("func.func @f(%x: " + type + " {onnx.dims = [\"s\", 6]}, %y: " +
            row + ") -> tensor<?x6xi1> { %z = onnx." + op + " %x, %y : (" +
            type + ", " + row +
            ") -> tensor<?x6xi1> return %z : "
            "tensor<?x6xi1> }");
    }
}

TEST_F(LowerOnnx, BooleansAndBits) {
  for (const char *op : {"And", "Or", "Xor"})
    check(std::string("func.func @f(%x: tensor<7x6xi1>, %y: tensor<6xi1>) -> "
                      "tensor<7x6xi1> { %z = onnx.") +
          op +
          " %x, %y : (tensor<7x6xi1>, tensor<6xi1>) -> tensor<7x6xi1> "
          "return %z : tensor<7x6xi1> }");
  check("func.func @f(%x: tensor<7xi1>) -> tensor<7xi1> { %z = onnx.Not %x : "
        "(tensor<7xi1>) -> tensor<7xi1> return %z : tensor<7xi1> }");
  low = 0, high = 200;
  for (const char *op : {"BitwiseAnd", "BitwiseOr", "BitwiseXor"})
    check(std::string("func.func @f(%x: tensor<9xui8>, %y: tensor<9xui8>) -> "
                      "tensor<9xui8> { %z = onnx.") +
          op +
          " %x, %y : (tensor<9xui8>, tensor<9xui8>) -> tensor<9xui8> "
          "return %z : tensor<9xui8> }");
  high = 9;
  check("func.func @f(%x: tensor<9xui8>, %y: tensor<9xui8>) -> tensor<9xui8> "
        "{ %z = onnx.BitShift %x, %y {direction = \"LEFT\"} : (tensor<9xui8>, "
        "tensor<9xui8>) -> tensor<9xui8> return %z : tensor<9xui8> }");
}

TEST_F(LowerOnnx, IntegerDivisionAndRemainder) {
  low = -9, high = 9;
  for (const char *op : {"Div", "Mod", "Mod {fmod = true}"}) {
    auto [name, attributes] = llvm::StringRef(op).split(' ');
    check("func.func @f(%x: tensor<40xi64>) -> tensor<40xi64> { %y = "
          "onnx.Constant dense<-4> : tensor<i64> %z = onnx." +
          name.str() + " %x, %y " + attributes.str() +
          " : (tensor<40xi64>, tensor<i64>) -> tensor<40xi64> return %z : "
          "tensor<40xi64> }");
  }
}

TEST_F(LowerOnnx, Casts) {
  high = 100;
  least = 0, largest = 100;
  for (const char *from :
       {"f32", "f16", "bf16", "f64", "i64", "i32", "ui8", "i1"})
    for (const char *to :
         {"f32", "f16", "bf16", "f64", "i64", "i32", "ui8", "i8", "i1"}) {
      std::string a = std::string("tensor<5x7x") + from + ">";
      std::string b = std::string("tensor<5x7x") + to + ">";
      check("func.func @f(%x: " + a + ") -> " + b + " { %y = onnx.Cast %x : (" +
                a + ") -> " + b + " return %y : " + b + " }",
            0);
    }
}

TEST_F(LowerOnnx, ClipAndWhere) {
  check("func.func @f(" X3 ", %m: tensor<?x1xi1> {onnx.dims = [\"s\", 1]}) -> "
        "(tensor<?x?x6xf32>, tensor<?x?x6xf32>) {"
        "%none = onnx.None "
        "%low = onnx.Constant dense<-0.5> : tensor<f32> "
        "%c = onnx.Clip %x, %low, %none : (tensor<?x?x6xf32>, tensor<f32>, "
        "none) -> tensor<?x?x6xf32> "
        "%w = onnx.Where %m, %x, %low : (tensor<?x1xi1>, tensor<?x?x6xf32>, "
        "tensor<f32>) -> tensor<?x?x6xf32> "
        "return %c, %w : tensor<?x?x6xf32>, tensor<?x?x6xf32> }");
}

TEST_F(LowerOnnx, NotANumber) {
  check(R"(func.func @f(%x: tensor<9xf32>) -> (tensor<9xi1>, tensor<9xi1>) {
    %l = onnx.Log %x : (tensor<9xf32>) -> tensor<9xf32>
    %n = onnx.IsNaN %l : (tensor<9xf32>) -> tensor<9xi1>
    %zero = onnx.Constant dense<0.0> : tensor<f32>
    %d = onnx.Div %x, %zero : (tensor<9xf32>, tensor<f32>) -> tensor<9xf32>
    %i = onnx.IsInf %d {detect_negative = false} : (tensor<9xf32>) -> tensor<9xi1>
    return %n, %i : tensor<9xi1>, tensor<9xi1>
  })");
}

TEST_F(LowerOnnx, SwiGLUIsSwishTimesTheOther) {
  checkZero(
      R"(func.func @f(%x: tensor<?x6xf32> {onnx.dims = ["s", 6]}, %y: tensor<?x6xf32> {onnx.dims = ["s", 6]}) -> tensor<?x6xf32> {
    %g = onnx.SwiGLU %x, %y {alpha = 1.5 : f32} : (tensor<?x6xf32>, tensor<?x6xf32>) -> tensor<?x6xf32>
    %s = onnx.Swish %x {alpha = 1.5 : f32} : (tensor<?x6xf32>) -> tensor<?x6xf32>
    %p = onnx.Mul %s, %y : (tensor<?x6xf32>, tensor<?x6xf32>) -> tensor<?x6xf32>
    %d = onnx.Sub %g, %p : (tensor<?x6xf32>, tensor<?x6xf32>) -> tensor<?x6xf32>
    return %d : tensor<?x6xf32>
  })");
}
