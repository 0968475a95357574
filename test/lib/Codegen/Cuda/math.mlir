// RUN: qopt-translate --qopt-to-ptx --arch=sm_80 %s | FileCheck %s
// Elementary functions are computed in the kernel itself; nothing is called but fmod, whose body is there too. Halves
// compute in f32, packed halves in one instruction.

// CHECK-NOT: __nv
// CHECK-NOT: .extern
// CHECK-LABEL: .entry functions(
gpu.module @kernels {
  gpu.func @functions(%x: !llvm.ptr<1>, %h: !llvm.ptr<1>) kernel
      attributes {known_block_size = array<i32: 64, 1, 1>, nvvm.minctasm = 1 : i32} {
    %v = llvm.load %x : !llvm.ptr<1> -> f32
    // CHECK: fma.rn.f32
    %e = math.exp %v : f32
    // CHECK: fma.rn.f64
    %t = math.tanh %e : f32
    // CHECK: sqrt.rn.f32
    %s = math.rsqrt %t : f32
    // CHECK: call.uni{{.*}}qopt_fmod
    %r = arith.remf %s, %v : f32
    llvm.store %r, %x : f32, !llvm.ptr<1>
    // CHECK: fma.rn.f16x2
    %p = llvm.load %h : !llvm.ptr<1> -> vector<2xf16>
    %q = math.fma %p, %p, %p : vector<2xf16>
    llvm.store %q, %h : vector<2xf16>, !llvm.ptr<1>
    gpu.return
  }
}
