// RUN: qopt-opt %s -qopt-correct-biases -split-input-file -verify-diagnostics | FileCheck %s
// What a linear's rounding errors do to the mean of its result goes into its bias.

// CHECK-LABEL: @bias
func.func @bias(%x: tensor<?x2xf32>) -> (tensor<?x3xf32>, tensor<?x3xf32>) {
  %w = qopt.weight "w" codes(dense<0.5> : tensor<3x2xf16>) : !qopt.weight<3x2, f16>
  %b = arith.constant dense<[1.0, 2.0, 4.0]> : tensor<3xf16>
  // CHECK-DAG: %[[BEFORE:.*]] = arith.constant dense<[1.000000e+00, 2.000000e+00, 4.000000e+00]> : tensor<3xf16>
  // CHECK-DAG: %[[AFTER:.*]] = arith.constant dense<[1.500000e+00, 1.000000e+00, 4.250000e+00]> : tensor<3xf32>
  // CHECK: qopt.linear %arg0, %{{.*}} bias(%[[AFTER]] : tensor<3xf32>) : tensor<?x2xf32>
  %y = qopt.linear %x, %w bias(%b : tensor<3xf16>) {qopt.bias_correction = dense<[0.5, -1.0, 0.25]> : tensor<3xf32>} : tensor<?x2xf32>, !qopt.weight<3x2, f16> -> tensor<?x3xf32>
  // Another reader of the constant keeps it.
  // CHECK: qopt.linear %arg0, %{{.*}} bias(%[[BEFORE]] : tensor<3xf16>) : tensor<?x2xf32>
  %z = qopt.linear %x, %w bias(%b : tensor<3xf16>) : tensor<?x2xf32>, !qopt.weight<3x2, f16> -> tensor<?x3xf32>
  return %y, %z : tensor<?x3xf32>, tensor<?x3xf32>
}

// -----

func.func @no_bias(%x: tensor<?x2xf32>) -> tensor<?x3xf32> {
  %w = qopt.weight "w" codes(dense<0.5> : tensor<3x2xf16>) : !qopt.weight<3x2, f16>
  // expected-error @below {{its bias is to be corrected, and it has none that is a constant}}
  %y = qopt.linear %x, %w {qopt.bias_correction = dense<1.0> : tensor<3xf32>} : tensor<?x2xf32>, !qopt.weight<3x2, f16> -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

func.func @computed(%x: tensor<?x2xf32>, %b: tensor<3xf32>) -> tensor<?x3xf32> {
  %w = qopt.weight "w" codes(dense<0.5> : tensor<3x2xf16>) : !qopt.weight<3x2, f16>
  // expected-error @below {{it has none that is a constant}}
  %y = qopt.linear %x, %w bias(%b : tensor<3xf32>) {qopt.bias_correction = dense<1.0> : tensor<3xf32>} : tensor<?x2xf32>, !qopt.weight<3x2, f16> -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}

// -----

func.func @other_rows(%x: tensor<?x2xf32>) -> tensor<?x3xf32> {
  %w = qopt.weight "w" codes(dense<0.5> : tensor<3x2xf16>) : !qopt.weight<3x2, f16>
  %b = arith.constant dense<1.0> : tensor<3xf32>
  // expected-error @below {{expected f32 numbers for 3 rows}}
  %y = qopt.linear %x, %w bias(%b : tensor<3xf32>) {qopt.bias_correction = dense<1.0> : tensor<2xf32>} : tensor<?x2xf32>, !qopt.weight<3x2, f16> -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
