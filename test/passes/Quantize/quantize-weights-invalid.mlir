// RUN: qopt-opt %s -split-input-file -verify-diagnostics -qopt-quantize-weights='weights=int4_g32 overrides=re:.*k_proj=int8'
// RUN: not qopt-opt %s -qopt-quantize-weights='weights=int7' 2>&1 | FileCheck %s --check-prefix=FORMAT
// RUN: not qopt-opt %s -qopt-quantize-weights='overrides=re:(=int8' 2>&1 | FileCheck %s --check-prefix=PATTERN
// RUN: not qopt-opt %s -qopt-quantize-weights='overrides=lm_head' 2>&1 | FileCheck %s --check-prefix=EQUALS
// RUN: not qopt-opt %s -qopt-quantize-weights='lm-head=int8 embedding=f16' 2>&1 | FileCheck %s --check-prefix=ROLE
// RUN: echo 'func.func @none() { return }' | not qopt-opt -qopt-quantize-weights='weights=int8' 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: echo 'func.func @none() { return }' | not qopt-opt -qopt-quantize-weights='device=gpu' 2>&1 | FileCheck %s --check-prefix=DEVICE
// What was asked for but cannot be done is an error that names the weight or the option.

// FORMAT: error: option "weights": format "int7": unknown element type "int7"; expected one of f32, f16, bf16, int8, int4
// PATTERN: error: --format "re:(=int8": the pattern is not valid: parentheses not balanced
// ROLE: error: option "lm-head" is "int8", but the model has no such weight; leave it out
// ROLE: error: option "embedding" is "f16", but the model has no such weight; leave it out
// NONE: error: option "weights" is "int8", but the model has no such weight; leave it out
// DEVICE: error: option "device" is "gpu"; expected host or cuda
// EQUALS: error: --format "lm_head": expected name=format or re:pattern=format

func.func @groups(%x: tensor<?x48xf32>) -> tensor<?x16xf32> {
  %w = qopt.weight "q_proj" codes(dense<0.5> : tensor<16x48xf32>) : !qopt.weight<16x48, f32>
  // expected-error @+1 {{the group size 32 of "int4_g32" does not divide the 48 columns of "o_proj", "q_proj"; choose another format there, for example with --format 'o_proj=int8'}}
  %o = qopt.weight "o_proj" codes(dense<0.5> : tensor<48x48xf32>) : !qopt.weight<48x48, f32>
  %k = qopt.weight "k_proj" codes(dense<0.5> : tensor<48x48xf32>) : !qopt.weight<48x48, f32>
  %z = qopt.linear %x, %k : tensor<?x48xf32>, !qopt.weight<48x48, f32> -> tensor<?x48xf32>
  %v = qopt.linear %z, %o : tensor<?x48xf32>, !qopt.weight<48x48, f32> -> tensor<?x48xf32>
  %y = qopt.linear %v, %w : tensor<?x48xf32>, !qopt.weight<16x48, f32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// expected-error @+1 {{--format "re:.*k_proj=int8" matches no weight of a linear or embedding}}
func.func @unmatched(%x: tensor<?x64xf32>) -> tensor<?x16xf32> {
  %w = qopt.weight "q_proj" codes(dense<0.5> : tensor<16x64xf32>) : !qopt.weight<16x64, f32>
  %y = qopt.linear %x, %w : tensor<?x64xf32>, !qopt.weight<16x64, f32> -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// The file has quantized both; an override means this very weight, `weights` all of them. Two uses are one error.

// expected-warning @+1 {{--weights int4_g32 leaves weights as the file has quantized them: "q_proj"}}
func.func @quantized(%x: tensor<?x64xf32>) -> tensor<?x16xf32> {
  %q = qopt.weight "q_proj" codes(dense<5> : tensor<64x64xi8>) scales(dense<0.5> : tensor<64x1xf32>) : !qopt.weight<64x64, int8>
  // expected-error @+1 {{--format 'k_proj=int8': the file has quantized the weight "k_proj" already, as int4; leave the option out, or compile the model as it was before that}}
  %k = qopt.weight "k_proj" codes(dense<5> : tensor<16x32xi8>) scales(dense<0.5> : tensor<16x1xf32>) : !qopt.weight<16x64, int4>
  %z = qopt.linear %x, %q : tensor<?x64xf32>, !qopt.weight<64x64, int8> -> tensor<?x64xf32>
  %u = qopt.linear %x, %k : tensor<?x64xf32>, !qopt.weight<16x64, int4> -> tensor<?x16xf32>
  %v = qopt.linear %z, %k : tensor<?x64xf32>, !qopt.weight<16x64, int4> -> tensor<?x16xf32>
  %y = arith.addf %u, %v : tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
