// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of ptx.lop3 is checked and has a message.

// (C1)
func.func @table(%a: i32) {
  // expected-error @+1 {{the table is 256; expected 0 to 255}}
  %r = ptx.lop3 %a, %a, %a table 256
  return
}

// -----

// (C1)
func.func @negative(%a: i32) {
  // expected-error @+1 {{the table is -1; expected 0 to 255}}
  %r = ptx.lop3 %a, %a, %a table -1
  return
}
