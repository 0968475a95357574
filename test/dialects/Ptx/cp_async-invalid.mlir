// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of ptx.cp_async is checked and has a message.

// (C1)
func.func @bytes(%to: !llvm.ptr<3>, %from: !llvm.ptr<1>) {
  // expected-error @+1 {{copies 12 bytes; expected 4, 8 or 16}}
  ptx.cp_async 12 %to, %from
  return
}
