// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of qopt.select_rows is checked and has a message.

// (C1)
func.func @columns(%x: tensor<?x64xf32>, %batch: !qopt.batch) {
  // expected-error @+1 {{x has type 'tensor<?x64xf32>' and the result 'tensor<?x32xf32>'; expected two dimensions that differ in the number of rows alone}}
  %y = qopt.select_rows %x, %batch : tensor<?x64xf32> -> tensor<?x32xf32>
  return
}
