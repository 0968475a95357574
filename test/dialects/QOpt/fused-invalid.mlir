// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.fused is checked and has a message.

// (C1)
func.func @arguments(%x: tensor<4xf32>) {
  // expected-error @+1 {{the arguments of the body do not have the types of the inputs}}
  %r = "qopt.fused"(%x) ({
  ^bb0(%a: tensor<8xf32>):
    qopt.yield %a : tensor<8xf32>
  }) : (tensor<4xf32>) -> tensor<8xf32>
  return
}

// -----

// (C2)
func.func @results(%x: tensor<4xf32>) {
  // expected-error @+1 {{the body does not yield the types of the results}}
  %r = qopt.fused (%a = %x) : (tensor<4xf32>) -> tensor<8xf32> {
    // expected-note @+1 {{yielded here}}
    qopt.yield %a : tensor<4xf32>
  }
  return
}

// -----

// (C3)
func.func @foreign(%x: tensor<4xf32>) {
  // expected-error @+1 {{the body has operations of qopt, tensor and arith only, without regions}}
  %r = qopt.fused (%a = %x) : (tensor<4xf32>) -> tensor<4xf32> {
    // expected-note @+1 {{found "math.exp"}}
    %e = math.exp %a : tensor<4xf32>
    qopt.yield %e : tensor<4xf32>
  }
  return
}

// -----

// (C4)
func.func @kernel(%x: tensor<4xf32>) {
  // expected-error @+1 {{the body is not what kernel "rotary_append" does; expected rotary of queries (or none), rotary of keys, kv_append}}
  %r = qopt.fused kernel rotary_append (%a = %x) : (tensor<4xf32>) -> tensor<4xf32> {
    qopt.yield %a : tensor<4xf32>
  }
  return
}
