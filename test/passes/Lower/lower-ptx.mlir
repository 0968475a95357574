// RUN: qopt-opt %s --qopt-lower-ptx --cse | FileCheck %s
// An instruction on registers alone has no side effects, so that equal ones merge; every access to memory keeps its place.

// CHECK-LABEL: func.func @registers
func.func @registers(%a: i32, %b: i32, %c: i32) -> (i32, i32) {
  // CHECK-NOT: has_side_effects
  // CHECK: %[[R:.*]] = llvm.inline_asm "lop3.b32 $0, $1, $2, $3, 234;", "=r,r,r,r" %{{.*}} : (i32, i32, i32) -> i32
  // CHECK-NEXT: llvm.inline_asm "cvt.pack.sat.s8.s32.b32 $0, $1, $2, $3;", "=r,r,r,r" %[[R]], %[[R]]
  %0 = ptx.lop3 %a, %b, %c table 0xEA
  %1 = ptx.lop3 %a, %b, %c table 0xEA
  %2 = ptx.cvt_pack_s8 %0, %1, %c
  return %0, %2 : i32, i32
}

// The table of an operation's registers: pointers to global memory have 64 bits, to shared memory 32.
// CHECK-LABEL: func.func @vector
func.func @vector(%p: !llvm.ptr<1>, %s: !llvm.ptr<3>, %policy: i64) -> f32 {
  // CHECK: %[[V:.*]] = llvm.inline_asm has_side_effects "ld.global.nc.L1::no_allocate.L2::cache_hint.v2.b32 {$0, $1}, [$2], $3;", "=f,=f,l,l"
  // CHECK: llvm.extractvalue %[[V]][0]
  // CHECK: llvm.extractvalue %[[V]][1]
  %w:2 = ptx.ld_global nc l1 no_allocate %p policy(%policy) : f32, f32
  // CHECK: has_side_effects "cp.async.cg.shared.global [$0], [$1], 16;", "r,l,~{memory}"
  ptx.cp_async 16 %s, %p
  %sum = arith.addf %w#0, %w#1 : f32
  return %sum : f32
}

// CHECK-LABEL: func.func @loads
func.func @loads(%p: !llvm.ptr<1>) -> (i32, i32) {
  // Equal loads are two loads.
  // CHECK-COUNT-2: has_side_effects "ld.global.b32 $0, [$1];", "=r,l"
  %a = ptx.ld_global %p : i32
  %b = ptx.ld_global %p : i32
  return %a, %b : i32, i32
}

// CHECK-LABEL: func.func @halves
func.func @halves(%x: vector<2xf16>, %y: vector<2xbf16>, %z: f32) {
  // CHECK: "ex2.approx.f16x2 $0, $1;", "=r,r"
  %0 = ptx.ex2 %x : vector<2xf16>
  // CHECK: "ex2.approx.ftz.bf16x2 $0, $1;", "=r,r"
  %1 = ptx.ex2 %y : vector<2xbf16>
  // CHECK: "ex2.approx.ftz.f32 $0, $1;", "=f,f"
  %2 = ptx.ex2 %z : f32
  call @use(%0, %1, %2) : (vector<2xf16>, vector<2xbf16>, f32) -> ()
  return
}
func.func private @use(vector<2xf16>, vector<2xbf16>, f32)
