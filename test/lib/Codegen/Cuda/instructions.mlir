// RUN: qopt-translate --qopt-to-ptx %s | FileCheck %s
// RUN: qopt-translate --qopt-to-ptx %s -o %t.1 && qopt-translate --qopt-to-ptx %s -o %t.2 && cmp %t.1 %t.2
// What LLVM alone would lose reaches the PTX: lop3, cache hints, launch bounds, 32-bit shared addresses; two runs give
// the same bytes.

// CHECK: .version 8.0
// CHECK: .target sm_90a
// CHECK: .extern .shared .align 128 .b8 shared[];
// CHECK-LABEL: .entry unpack(
// CHECK: .ptr .global .align 16
// CHECK: .maxntid 128, 1, 1
// CHECK: .minnctapersm 2
gpu.module @kernels {
  llvm.mlir.global external @shared() {addr_space = 3 : i32, alignment = 128 : i64} : !llvm.array<0 x i8>
  gpu.func @unpack(%codes: !llvm.ptr<1> {llvm.noalias, llvm.align = 16 : i64}, %out: !llvm.ptr<1> {llvm.noalias}, %bytes: i32)
      kernel attributes {known_block_size = array<i32: 128, 1, 1>, nvvm.minctasm = 2 : i32} {
    %mask = arith.constant 0x000f000f : i32
    %magic = arith.constant 0x64006400 : i32
    %one = arith.constant 1 : i32
    // CHECK: createpolicy.fractional.L2::evict_first.b64 [[POLICY:%rd[0-9]+]], 0f3F800000;
    %policy = ptx.create_policy evict_first
    // CHECK: ld.global.nc.L1::no_allocate.L2::cache_hint.v4.b32 {{{.*}}}, [%rd{{.*}}], [[POLICY]];
    %w:4 = ptx.ld_global nc l1 no_allocate %codes policy(%policy) : i32, i32, i32, i32
    // CHECK: mov.b32 [[SHARED:%r[0-9]+]], shared;
    %shared = llvm.mlir.addressof @shared : !llvm.ptr<3>
    // CHECK: cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint [%r{{.*}}], [%rd{{.*}}], %r{{.*}}, [[[SHARED]]], [[POLICY]];
    %ring = llvm.getelementptr %shared[16] : (!llvm.ptr<3>) -> !llvm.ptr<3>, i8
    ptx.cp_async_bulk %ring, %codes, %bytes, %shared policy(%policy)
    // CHECK: mbarrier.try_wait.parity.shared::cta.b64 complete, [[[SHARED]]],
    ptx.mbarrier_wait %shared, %one
    // CHECK: lop3.b32 %r{{.*}}, 234;
    %unpacked = ptx.lop3 %w#0, %mask, %magic table 0xEA
    // CHECK: st.global.L1::evict_first.L2::cache_hint.v2.b32
    ptx.st_global l1 evict_first %out policy(%policy) words(%unpacked, %w#1) : i32, i32
    gpu.return
  }
}
