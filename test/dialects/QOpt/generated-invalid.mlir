// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.generated is checked and has a message.

// (C1)
module {
  module @kernels {
    func.func @k(%x: memref<f32>, %y: memref<f32>, %n: index, %begin: index, %end: index) { return }
  }
  func.func @count(%x: tensor<?x4xf32>, %n: index) {
    // expected-error @+1 {{has 0 result sizes; expected 1, one for each dynamic dimension of the results}}
    %y = qopt.generated @kernels::@k(%x) sizes(%n) result_sizes [] : (tensor<?x4xf32>) -> tensor<?x4xf32>
    return
  }
}

// -----

// (C2)
module {
  module @kernels {
    func.func @k(%x: memref<f32>, %y: memref<f32>, %n: index, %begin: index, %end: index) { return }
  }
  func.func @place(%x: tensor<?x4xf32>, %n: index) {
    // expected-error @+1 {{takes a result size from place 1; expected a place among its 1 sizes}}
    %y = qopt.generated @kernels::@k(%x) sizes(%n) result_sizes [1] : (tensor<?x4xf32>) -> tensor<?x4xf32>
    return
  }
}

// -----

// (C3)
module {
  module @kernels {
    // expected-note @+1 {{the kernel is here}}
    func.func @k(%x: memref<f32>, %n: index, %begin: index, %end: index) { return }
  }
  func.func @arguments(%x: tensor<?x4xf32>, %n: index) {
    // expected-error @+1 {{passes 2 buffers and 1 sizes to a kernel of 4 arguments; expected 5}}
    %y = qopt.generated @kernels::@k(%x) sizes(%n) result_sizes [0] : (tensor<?x4xf32>) -> tensor<?x4xf32>
    return
  }
}

// -----

// (C3)
func.func @absent(%x: tensor<?x4xf32>, %n: index) {
  // expected-error @+1 {{names no kernel: @kernels::@k}}
  %y = qopt.generated @kernels::@k(%x) sizes(%n) result_sizes [0] : (tensor<?x4xf32>) -> tensor<?x4xf32>
  return
}
