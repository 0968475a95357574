// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.dequantize is checked and has a message.

// (C1)
func.func @shape(%q: !qopt.quantized<?x64, int8>) {
  // expected-error @+1 {{the result has shape ?x32; expected ?x64}}
  %y = qopt.dequantize %q : !qopt.quantized<?x64, int8> -> tensor<?x32xf32>
  return
}
