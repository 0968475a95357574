// Operators that change nothing go.
// RUN: qopt-opt %s -pass-pipeline='builtin.module(func.func(qopt-simplify-onnx))' | FileCheck %s

// CHECK-LABEL: func @identities
// CHECK-NEXT: return %arg0
func.func @identities(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %none = onnx.None
  %a = onnx.Identity %x : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %b, %m = onnx.Dropout %a, %none, %none : (tensor<?x4xf32>, none, none) -> (tensor<?x4xf32>, none)
  %c = onnx.Cast %b : (tensor<?x4xf32>) -> tensor<?x4xf32>
  %d = onnx.Concat %c {axis = 0 : i64} : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return %d : tensor<?x4xf32>
}

// CHECK-LABEL: func @neutral
// CHECK-NEXT: return %arg0
func.func @neutral(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %zero = onnx.Constant dense<0.0> : tensor<f32>
  %one = onnx.Constant dense<1.0> : tensor<1xf32>
  %a = onnx.Add %zero, %x : (tensor<f32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %b = onnx.Mul %a, %one : (tensor<?x4xf32>, tensor<1xf32>) -> tensor<?x4xf32>
  return %b : tensor<?x4xf32>
}

// A constant that makes the result larger is not neutral.
// CHECK-LABEL: func @broadcasting_zero
// CHECK: onnx.Add
func.func @broadcasting_zero(%x: tensor<?x4xf32>) -> tensor<3x4xf32> {
  %zero = onnx.Constant dense<0.0> : tensor<3x4xf32>
  %a = onnx.Add %x, %zero : (tensor<?x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
  return %a : tensor<3x4xf32>
}

// CHECK-LABEL: func @transposes
// CHECK-NEXT: return %arg0
func.func @transposes(%x: tensor<2x?x4xf32>) -> tensor<2x?x4xf32> {
  %a = onnx.Transpose %x {perm = array<i64: 1, 2, 0>} : (tensor<2x?x4xf32>) -> tensor<?x4x2xf32>
  %b = onnx.Transpose %a {perm = array<i64: 2, 0, 1>} : (tensor<?x4x2xf32>) -> tensor<2x?x4xf32>
  return %b : tensor<2x?x4xf32>
}

// CHECK-LABEL: func @reshapes
// CHECK-NEXT: return %arg0
func.func @reshapes(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %s = onnx.Constant dense<[-1, 2, 4]> : tensor<3xi64>
  %t = onnx.Constant dense<[-1, 8]> : tensor<2xi64>
  %a = onnx.Reshape %x, %s : (tensor<?x8xf32>, tensor<3xi64>) -> tensor<?x2x4xf32>
  %b = onnx.Reshape %a, %t : (tensor<?x2x4xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  return %b : tensor<?x8xf32>
}

// A 0 in the shape copies a size of the tensor between.
// CHECK-LABEL: func @copied_size
// CHECK-COUNT-2: onnx.Reshape
func.func @copied_size(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %s = onnx.Constant dense<[-1, 4]> : tensor<2xi64>
  %t = onnx.Constant dense<[0, -1]> : tensor<2xi64>
  %a = onnx.Reshape %x, %s : (tensor<?x8xf32>, tensor<2xi64>) -> tensor<?x4xf32>
  %b = onnx.Reshape %a, %t : (tensor<?x4xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  %c = onnx.Reshape %b, %t : (tensor<?x?xf32>, tensor<2xi64>) -> tensor<?x8xf32>
  return %c : tensor<?x8xf32>
}

// CHECK-LABEL: func @casts
// CHECK-NEXT: onnx.Cast %arg0 : (tensor<?xi1>) -> tensor<?xf32>
func.func @casts(%x: tensor<?xi1>) -> tensor<?xf32> {
  %a = onnx.Cast %x : (tensor<?xi1>) -> tensor<?xi64>
  %b = onnx.Cast %a : (tensor<?xi64>) -> tensor<?xf32>
  return %b : tensor<?xf32>
}

// CHECK-LABEL: func @rounding_cast
// CHECK-COUNT-2: onnx.Cast
func.func @rounding_cast(%x: tensor<?xf32>) -> tensor<?xf32> {
  %a = onnx.Cast %x : (tensor<?xf32>) -> tensor<?xf16>
  %b = onnx.Cast %a : (tensor<?xf16>) -> tensor<?xf32>
  return %b : tensor<?xf32>
}

// What saturates to f8E5M2FNUZ is infinite in f8E5M2, and no half.
// CHECK-LABEL: func @minifloat_cast
// CHECK-COUNT-2: onnx.Cast
func.func @minifloat_cast(%x: tensor<?xf8E5M2>) -> tensor<?xf16> {
  %a = onnx.Cast %x : (tensor<?xf8E5M2>) -> tensor<?xf8E5M2FNUZ>
  %b = onnx.Cast %a : (tensor<?xf8E5M2FNUZ>) -> tensor<?xf16>
  return %b : tensor<?xf16>
}

// CHECK-LABEL: func @full_slice
// CHECK-NEXT: return %arg0
func.func @full_slice(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %end = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  %none = onnx.None
  %a = onnx.Slice %x, %zero, %end, %zero, %none : (tensor<?x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<?x4xf32>
  return %a : tensor<?x4xf32>
}

// CHECK-LABEL: func @known_branch
// CHECK-NEXT: %[[N:.*]] = onnx.Neg %arg0
// CHECK-NEXT: return %[[N]]
func.func @known_branch(%x: tensor<4xf32>) -> tensor<4xf32> {
  %no = onnx.Constant dense<false> : tensor<i1>
  %c = onnx.If %no : (tensor<i1>) -> tensor<4xf32> {
    onnx.Yield %x : tensor<4xf32>
  } else {
    %d = onnx.Neg %x : (tensor<4xf32>) -> tensor<4xf32>
    onnx.Yield %d : tensor<4xf32>
  }
  return %c : tensor<4xf32>
}

// The scale of GPT-2: the head size read from a shape at run time.
// CHECK-LABEL: func @scale_from_shape
// CHECK-NEXT: %[[S:.*]] = onnx.Constant dense<4.{{0*e\+00}}> : tensor<1xf32>
// CHECK-NEXT: onnx.Div %arg0, %[[S]]
func.func @scale_from_shape(%q: tensor<?x4x?x16xf32>) -> tensor<?x4x?x16xf32> {
  %shape = onnx.Shape %q : (tensor<?x4x?x16xf32>) -> tensor<4xi64>
  %last = onnx.Constant dense<-1> : tensor<1xi64>
  %end = onnx.Constant dense<9223372036854775807> : tensor<1xi64>
  %none = onnx.None
  %size = onnx.Slice %shape, %last, %end, %none, %none : (tensor<4xi64>, tensor<1xi64>, tensor<1xi64>, none, none) -> tensor<1xi64>
  %float = onnx.Cast %size : (tensor<1xi64>) -> tensor<1xf32>
  %root = onnx.Sqrt %float : (tensor<1xf32>) -> tensor<1xf32>
  %scaled = onnx.Div %q, %root : (tensor<?x4x?x16xf32>, tensor<1xf32>) -> tensor<?x4x?x16xf32>
  return %scaled : tensor<?x4x?x16xf32>
}

// TorchScript's guard of Expand: sizes are never -1, the constant -1 means 1.
// CHECK-LABEL: func @expand_guard
// CHECK: %[[S:.*]] = onnx.Concat %{{.*}}, %[[ONE:.*]] {axis = 0 : i64}
// CHECK-NEXT: return %[[S]]
func.func @expand_guard(%x: tensor<?x4xf32>) -> tensor<2xi64> {
  %size = onnx.Shape %x {end = 1 : i64} : (tensor<?x4xf32>) -> tensor<1xi64>
  %minus = onnx.Constant dense<-1> : tensor<1xi64>
  %shape = onnx.Concat %size, %minus {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %rank = onnx.Shape %shape : (tensor<2xi64>) -> tensor<1xi64>
  %ones = onnx.ConstantOfShape %rank {value = dense<1> : tensor<1xi64>} : (tensor<1xi64>) -> tensor<2xi64>
  %all = onnx.Mul %ones, %minus : (tensor<2xi64>, tensor<1xi64>) -> tensor<2xi64>
  %open = onnx.Equal %shape, %all : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi1>
  %guarded = onnx.Where %open, %ones, %shape : (tensor<2xi1>, tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  return %guarded : tensor<2xi64>
}

// A size taken out of a shape and put back is the shape's own part.
// CHECK-LABEL: func @element_and_back
// CHECK: %[[S:.*]] = onnx.Shape %arg0 {end = 2 : i64, start = 1 : i64}
// CHECK-NEXT: return %[[S]]
func.func @element_and_back(%x: tensor<?x?x4xf32>) -> tensor<1xi64> {
  %shape = onnx.Shape %x : (tensor<?x?x4xf32>) -> tensor<3xi64>
  %one = onnx.Constant dense<1> : tensor<i64>
  %axis = onnx.Constant dense<0> : tensor<1xi64>
  %size = onnx.Gather %shape, %one : (tensor<3xi64>, tensor<i64>) -> tensor<i64>
  %back = onnx.Unsqueeze %size, %axis : (tensor<i64>, tensor<1xi64>) -> tensor<1xi64>
  return %back : tensor<1xi64>
}

// CHECK-LABEL: func @chosen_elements
// CHECK: %[[TWO:.*]] = onnx.Constant dense<2>
// CHECK: onnx.Concat %arg0, %[[TWO]] {axis = 0 : i64}
func.func @chosen_elements(%a: tensor<1xi64>, %b: tensor<1xi64>) -> tensor<2xi64> {
  %choice = onnx.Constant dense<[false, true]> : tensor<2xi1>
  %two = onnx.Constant dense<2> : tensor<2xi64>
  %sizes = onnx.Concat %a, %b {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %y = onnx.Where %choice, %two, %sizes : (tensor<2xi1>, tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  return %y : tensor<2xi64>
}

// The names of dimensions say that nothing is expanded or cut.
// CHECK-LABEL: func @same_sizes
// CHECK-NEXT: return %arg0
func.func @same_sizes(%x: tensor<?x?xf32> {onnx.dims = ["batch", "sequence"]},
                      %y: tensor<?x?xi64> {onnx.dims = ["batch", "sequence"]}) -> tensor<?x?xf32> {
  %zero = onnx.Constant dense<0> : tensor<1xi64>
  %one = onnx.Constant dense<1> : tensor<1xi64>
  %none = onnx.None
  %shape = onnx.Shape %y : (tensor<?x?xi64>) -> tensor<2xi64>
  %size = onnx.Shape %y {start = 1 : i64} : (tensor<?x?xi64>) -> tensor<1xi64>
  %a = onnx.Expand %x, %shape : (tensor<?x?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  %b = onnx.Slice %a, %zero, %size, %one, %none : (tensor<?x?xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<?x?xf32>
  return %b : tensor<?x?xf32>
}

// Types say what the sizes show, those of the function's results too.
// CHECK-LABEL: func @known_sizes
// CHECK-SAME: -> tensor<2x4xf32>
// CHECK: onnx.Abs {{.*}} -> tensor<2x4xf32>
func.func @known_sizes(%x: tensor<2x4xf32>) -> tensor<?x4xf32> {
  %y = onnx.Abs %x : (tensor<2x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
