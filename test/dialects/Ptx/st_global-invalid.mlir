// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of ptx.st_global is checked and has a message.

// (C1)
func.func @count(%p: !llvm.ptr<1>, %w: i32) {
  // expected-error @+1 {{has 3 words; expected 1, 2 or 4}}
  ptx.st_global %p words(%w, %w, %w) : i32, i32, i32
  return
}

// -----

// (C2)
func.func @level(%p: !llvm.ptr<1>, %w: i32) {
  // expected-error @+1 {{a store knows no no_allocate; expected evict_first or another priority}}
  ptx.st_global l1 no_allocate %p words(%w) : i32
  return
}
