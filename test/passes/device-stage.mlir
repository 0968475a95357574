// RUN: qopt-opt %s --qopt-device-stage -o %t.mlir
// RUN: FileCheck %s --implicit-check-not='{{gpu.func|scf\.|arith\.|math\.|ptx\.cvt|memref}}' < %t.mlir
// RUN: qopt-translate --qopt-to-ptx %s -o %t.ptx
// RUN: qopt-translate --qopt-to-ptx %t.mlir | cmp - %t.ptx
// The stage takes a kernel to the LLVM dialect as code generation does: what it leaves becomes the same PTX.

// CHECK: llvm.func @scale(%{{.*}}: !llvm.ptr, %{{.*}}: !llvm.ptr, %{{.*}}: i32)
// CHECK-SAME: gpu.kernel
// CHECK-SAME: nvvm.kernel
// CHECK-SAME: nvvm.maxntid = array<i32: 64, 1, 1>
gpu.module @kernels {
  gpu.func @scale(%x: memref<64xf32>, %y: memref<64xf32>, %count: i32) kernel
      attributes {known_block_size = array<i32: 64, 1, 1>, nvvm.minctasm = 2 : i32} {
    // CHECK: nvvm.read.ptx.sreg.tid.x
    %thread = nvvm.read.ptx.sreg.tid.x : i32
    %inside = arith.cmpi slt, %thread, %count : i32
    // CHECK: llvm.cond_br
    scf.if %inside {
      %i = arith.index_cast %thread : i32 to index
      %c0 = arith.constant 0 : index
      %one = memref.subview %x[%i] [1] [1] : memref<64xf32> to memref<1xf32, strided<[1], offset: ?>>
      %value = memref.load %one[%c0] : memref<1xf32, strided<[1], offset: ?>>
      // CHECK: llvm.call @qopt_exp_f32
      %exp = math.exp %value : f32
      // CHECK: llvm.inline_asm "cvt.rni.s32.f32 $0, $1;"
      %code = ptx.cvt_rni_s32 %exp
      %rounded = arith.sitofp %code : i32 to f32
      memref.store %rounded, %y[%i] : memref<64xf32>
    }
    gpu.return
  }
}
