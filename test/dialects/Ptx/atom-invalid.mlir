// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of ptx.atom is checked and has a message.

// (C1)
func.func @float(%p: !llvm.ptr<1>, %v: f32) {
  // expected-error @+1 {{knows no or of 'f32'; expected add}}
  %old = ptx.atom or relaxed gpu %p, %v : !llvm.ptr<1>, f32
  return
}

// -----

// (C1)
func.func @counter(%p: !llvm.ptr<1>, %v: i64) {
  // expected-error @+1 {{counts i32, not 'i64'}}
  %old = ptx.atom inc relaxed gpu %p, %v : !llvm.ptr<1>, i64
  return
}
