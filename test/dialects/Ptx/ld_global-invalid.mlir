// RUN: qopt-opt %s -split-input-file -verify-diagnostics
// Each constraint of ptx.ld_global is checked and has a message.

// (C1)
func.func @count(%p: !llvm.ptr<1>) {
  // expected-error @+1 {{has 3 words; expected 1, 2 or 4}}
  %w:3 = ptx.ld_global %p : i32, i32, i32
  return
}

// -----

// (C1)
func.func @types(%p: !llvm.ptr<1>) {
  // expected-error @+1 {{has words of different types}}
  %w:2 = ptx.ld_global %p : i32, f32
  return
}

// -----

// (C1)
func.func @bytes(%p: !llvm.ptr<1>) {
  // expected-error @+1 {{has 32 bytes; expected at most 16}}
  %w:4 = ptx.ld_global %p : i64, i64, i64, i64
  return
}
