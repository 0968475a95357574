// RUN: qopt-translate --qopt-to-ptx %S/Inputs/generic-kernels.mlir | FileCheck %s
// How a generic kernel's work is divided: by elements, by warps that exchange registers, by blocks that meet in shared
// memory, or not at all.

// CHECK: // pointwise: 3 buffers, 2 sizes; extent s0 * s1, 256 threads and 256 elements a block
// CHECK: // column_sum: 2 buffers, 2 sizes; extent s1, 256 threads and 256 elements a block
// CHECK: // row_sum_warp: 2 buffers, 2 sizes; extent s0, 256 threads and 8 elements a block
// CHECK: // row_max_block: 4 buffers, 2 sizes; extent s0, 256 threads and 1 elements a block
// CHECK: // scatter: 3 buffers, 2 sizes; extent 1, 32 threads and 1 elements a block

// CHECK-LABEL: .entry pointwise(
// CHECK-NOT: shfl
// CHECK: ld.global.nc

// CHECK-LABEL: .entry column_sum(
// CHECK-NOT: shfl

// CHECK-LABEL: .entry row_sum_warp(
// CHECK-COUNT-5: shfl.sync.bfly.b32
// CHECK-NOT: shfl.sync
// CHECK-NOT: bar.sync
// The start value joins last, by one lane.
// CHECK: ld.global
// CHECK: st.global

// CHECK-LABEL: .entry row_max_block(
// CHECK: .maxntid 256
// Five exchanges of one word and of two, a barrier, three more of each.
// CHECK-COUNT-15: shfl.sync.bfly.b32
// CHECK: bar.sync
// CHECK-COUNT-9: shfl.sync.bfly.b32
// CHECK-NOT: shfl.sync

// CHECK-LABEL: .entry scatter(
// CHECK: .maxntid 32
