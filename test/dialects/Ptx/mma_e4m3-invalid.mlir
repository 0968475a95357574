// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of ptx.mma_e4m3 is checked and has a message.

// (C1)
func.func @fragments(%a: i32, %c: f32) {
  // expected-error @+1 {{has 2 words of a, 2 of b and 4 numbers of c; expected 4, 2 and 4}}
  %d:4 = ptx.mma_e4m3 a(%a, %a) b(%a, %a) c(%c, %c, %c, %c)
  return
}
