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
  // expected-error @+1 {{the body is not what kernel "rotary_append" does; expected rms_norm or layer_norm of queries and of keys (or none), rotary of queries (or none), rotary of keys, kv_append}}
  %r = qopt.fused kernel rotary_append (%a = %x) : (tensor<4xf32>) -> tensor<4xf32> {
    qopt.yield %a : tensor<4xf32>
  }
  return
}

// -----

// (C4)
func.func @linear(%x: tensor<?x64xf16>, %scale: tensor<64xf16>, %w: !qopt.weight<64x64, f16>) {
  // expected-error @+1 {{the body is not what kernel "linear" does; expected a norm and its sum with an input (or none), rms_norm, layer_norm or quantize (or none), linear, gated_activation of its halves, rotary and kv_append of its columns, or activations, sums and products with a number (or nothing)}}
  %r:2 = qopt.fused kernel linear (%a = %x, %s = %scale, %v = %w) : (tensor<?x64xf16>, tensor<64xf16>, !qopt.weight<64x64, f16>) -> (tensor<?x64xf16>, tensor<?x64xf16>) {
    %n = qopt.rms_norm %a, %s epsilon 1.0e-05 : tensor<?x64xf16>, tensor<64xf16> -> tensor<?x64xf16>
    %y = qopt.linear %n, %v : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
    qopt.yield %y, %n : tensor<?x64xf16>, tensor<?x64xf16>
  }
  return
}

// -----

// (C4): a sum is the last result.
func.func @sum(%x: tensor<?x64xf16>, %z: tensor<?x64xf16>, %scale: tensor<64xf16>, %w: !qopt.weight<64x64, f16>) {
  // expected-error @+1 {{the body is not what kernel "linear" does}}
  %r = qopt.fused kernel linear (%a = %x, %b = %z, %s = %scale, %v = %w) : (tensor<?x64xf16>, tensor<?x64xf16>, tensor<64xf16>, !qopt.weight<64x64, f16>) -> tensor<?x64xf16> {
    %n = qopt.rms_norm %a, %s epsilon 1.0e-05 : tensor<?x64xf16>, tensor<64xf16> -> tensor<?x64xf16>
    %t = arith.addf %b, %n : tensor<?x64xf16>
    %y = qopt.linear %t, %v : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
    qopt.yield %y : tensor<?x64xf16>
  }
  return
}

// -----

// (C4): blocks of the linear add no sum that one of them stores.
func.func @residual(%x: tensor<?x64xf16>, %z: tensor<?x64xf16>, %scale: tensor<64xf16>, %w: !qopt.weight<64x64, f16>) {
  // expected-error @+1 {{the body is not what kernel "linear" does}}
  %r:2 = qopt.fused kernel linear (%a = %x, %b = %z, %s = %scale, %v = %w) : (tensor<?x64xf16>, tensor<?x64xf16>, tensor<64xf16>, !qopt.weight<64x64, f16>) -> (tensor<?x64xf16>, tensor<?x64xf16>) {
    %n = qopt.rms_norm %a, %s epsilon 1.0e-05 : tensor<?x64xf16>, tensor<64xf16> -> tensor<?x64xf16>
    %t = arith.addf %b, %n : tensor<?x64xf16>
    %y = qopt.linear %t, %v residual(%t : tensor<?x64xf16>) : tensor<?x64xf16>, !qopt.weight<64x64, f16> -> tensor<?x64xf16>
    qopt.yield %y, %t : tensor<?x64xf16>, tensor<?x64xf16>
  }
  return
}

// -----

// (C4)
func.func @product(%x: tensor<4x64xf16>, %z: tensor<4x64xf16>, %w: !qopt.weight<64x64, f16>) {
  // expected-error @+1 {{the body is not what kernel "linear" does}}
  %r = qopt.fused kernel linear (%a = %x, %b = %z, %v = %w) : (tensor<4x64xf16>, tensor<4x64xf16>, !qopt.weight<64x64, f16>) -> tensor<4x64xf16> {
    %y = qopt.linear %a, %v : tensor<4x64xf16>, !qopt.weight<64x64, f16> -> tensor<4x64xf16>
    %p = arith.mulf %y, %b : tensor<4x64xf16>
    qopt.yield %p : tensor<4x64xf16>
  }
  return
}

// -----

// (C5)
func.func @tokens(%x: tensor<4xf32>) {
  // expected-error @+1 {{numbers of tokens are those of kernel "linear", rise and are not negative}}
  %r = qopt.fused (%a = %x) : (tensor<4xf32>) -> tensor<4xf32> {
    qopt.yield %a : tensor<4xf32>
  } {prologue_tokens = array<i64: 8>}
  return
}

// -----

// (C5)
func.func @sum_tokens(%x: tensor<4xf32>) {
  // expected-error @+1 {{numbers of tokens are those of kernel "linear", rise and are not negative}}
  %r = qopt.fused (%a = %x) : (tensor<4xf32>) -> tensor<4xf32> {
    qopt.yield %a : tensor<4xf32>
  } {sum_tokens = array<i64: 1>}
  return
}

// -----

// (C5)
func.func @falling_tokens(%x: tensor<4x64xf16>, %w: !qopt.weight<64x64, f16>) {
  // expected-error @+1 {{numbers of tokens are those of kernel "linear", rise and are not negative}}
  %r = qopt.fused kernel linear (%a = %x, %v = %w) : (tensor<4x64xf16>, !qopt.weight<64x64, f16>) -> tensor<4x64xf16> {
    %y = qopt.linear %a, %v : tensor<4x64xf16>, !qopt.weight<64x64, f16> -> tensor<4x64xf16>
    qopt.yield %y : tensor<4x64xf16>
  } {epilogue_tokens = array<i64: 8, 8>}
  return
}
