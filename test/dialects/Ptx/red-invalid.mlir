// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of ptx.red is checked and has a message.

// (C1)
func.func @order(%p: !llvm.ptr<1>, %v: i32) {
  // expected-error @+1 {{is ordered acq_rel; expected relaxed or release, or ptx.atom}}
  ptx.red add acq_rel gpu %p, %v : !llvm.ptr<1>, i32
  return
}

// -----

// (C2)
func.func @float(%p: !llvm.ptr<1>, %v: f32) {
  // expected-error @+1 {{knows no max_s of 'f32'; expected add}}
  ptx.red max_s relaxed gpu %p, %v : !llvm.ptr<1>, f32
  return
}

// -----

// (C2)
func.func @exchange(%p: !llvm.ptr<1>, %v: i32) {
  // expected-error @+1 {{exchanges nothing; expected ptx.atom or a store}}
  ptx.red exch relaxed gpu %p, %v : !llvm.ptr<1>, i32
  return
}
