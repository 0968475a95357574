// RUN: qopt-translate --qopt-to-ptx --arch=sm_90a %s | FileCheck %s
// RUN: qopt-translate --qopt-to-ptx --arch=sm_80 %s | FileCheck %s
// The order of atomic accesses is in the PTX, and no access moves across them.

// CHECK-LABEL: .entry handover
gpu.module @kernels {
  gpu.func @handover(%data: !llvm.ptr<1>, %counter: !llvm.ptr<1>, %last: i32) kernel
      attributes {known_block_size = array<i32: 32, 1, 1>, nvvm.minctasm = 1 : i32} {
    %one = arith.constant 1 : i32
    // CHECK: st.global.b32
    llvm.store %last, %data : i32, !llvm.ptr<1>
    // CHECK: red.release.gpu.global.add.u32
    ptx.red add release gpu %counter, %one : !llvm.ptr<1>, i32
    // CHECK: atom.acq_rel.gpu.global.inc.u32
    %before = ptx.atom inc acq_rel gpu %counter, %last : !llvm.ptr<1>, i32
    // CHECK: ld.acquire.gpu.global.b32
    %seen = ptx.ld_acquire gpu %counter : !llvm.ptr<1> -> i32
    // CHECK: ld.global.b32
    %value = llvm.load %data : !llvm.ptr<1> -> i32
    %sum = arith.addi %value, %seen : i32
    %all = arith.addi %sum, %before : i32
    // CHECK: st.global.b32
    llvm.store %all, %data : i32, !llvm.ptr<1>
    // CHECK: st.release.sys.global.b32
    ptx.st_release sys %counter, %one : !llvm.ptr<1>, i32
    gpu.return
  }
}
