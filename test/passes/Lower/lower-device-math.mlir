// RUN: qopt-opt %s --qopt-lower-device-math | FileCheck %s
// Elementary functions become calls of functions that the module declares, those of halves in f32; what is one
// instruction becomes an intrinsic, and fma stays.

gpu.module @kernels {
  // CHECK-LABEL: gpu.func @functions
  gpu.func @functions(%x: f32, %h: f16, %out: !llvm.ptr<1>) kernel {
    // CHECK: func.call @[[EXP:qopt_exp_f32]](%{{.*}}) : (f32) -> f32
    %e = math.exp %x : f32
    // CHECK: %[[WIDE:.*]] = arith.extf %{{.*}} : f16 to f32
    // CHECK: %[[TANH:.*]] = func.call @qopt_tanh_f32(%[[WIDE]])
    // CHECK: arith.truncf %[[TANH]] : f32 to f16
    %t = math.tanh %h : f16
    // CHECK: llvm.call_intrinsic "llvm.sqrt"
    %s = math.sqrt %e : f32
    // CHECK: math.fma
    %f = math.fma %s, %e, %x : f32
    llvm.store %f, %out : f32, !llvm.ptr<1>
    llvm.store %t, %out : f16, !llvm.ptr<1>
    gpu.return
  }
  // CHECK: func.func private @[[EXP]](f32) -> f32
}
