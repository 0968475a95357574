// RUN: split-file %s %t
// RUN: not qopt-translate --qopt-to-ptx %t/block.mlir 2>&1 | FileCheck %s --check-prefix=BLOCK
// RUN: not qopt-translate --qopt-to-ptx %t/blocks.mlir 2>&1 | FileCheck %s --check-prefix=BLOCKS
// RUN: not qopt-translate --qopt-to-ptx %t/name.mlir 2>&1 | FileCheck %s --check-prefix=NAME
// RUN: not qopt-translate --qopt-to-ptx %t/update.mlir 2>&1 | FileCheck %s --check-prefix=UPDATE
// RUN: not qopt-translate --qopt-to-ptx --arch=sm_80 %t/target.mlir 2>&1 | FileCheck %s --check-prefix=TARGET
// RUN: not qopt-translate --qopt-to-ptx --arch=sm_80 %t/nvvm.mlir 2>&1 | FileCheck %s --check-prefix=NVVM
// RUN: not qopt-translate --qopt-to-ptx %t/call.mlir 2>&1 | FileCheck %s --check-prefix=CALL
// RUN: not qopt-translate --qopt-to-ptx %t/none.mlir 2>&1 | FileCheck %s --check-prefix=NONE
// RUN: not qopt-translate --qopt-to-ptx --arch=sm_70 %t/none.mlir 2>&1 | FileCheck %s --check-prefix=ARCH
// What PTX could not say, or ptxas would misunderstand, is an error that names the kernel.

// BLOCK: block.mlir:2:3: error: 'gpu.func' op "k" has no block size; expected known_block_size = array<i32: x, y, z>, or nvvm.maxntid in its place
//--- block.mlir
gpu.module @kernels {
  gpu.func @k() kernel attributes {nvvm.minctasm = 1 : i32} { gpu.return }
}

// BLOCKS: error: 'gpu.func' op "k" does not say how many blocks an SM holds; expected nvvm.minctasm = 1 : i32 or more
//--- blocks.mlir
gpu.module @kernels {
  gpu.func @k() kernel attributes {known_block_size = array<i32: 32, 1, 1>} { gpu.return }
}

// NAME: error: 'gpu.func' op "my_Cutlass_kernel" contains "cutlass", which changes what ptxas does; expected a neutral name
//--- name.mlir
gpu.module @kernels {
  gpu.func @my_Cutlass_kernel() kernel attributes {known_block_size = array<i32: 32, 1, 1>, nvvm.minctasm = 1 : i32} { gpu.return }
}

// UPDATE: error: kernel "k" has an atomic update that orders other accesses, which PTX from LLVM would lose; expected ptx.red or ptx.atom
//--- update.mlir
gpu.module @kernels {
  gpu.func @k(%p: !llvm.ptr<1>, %v: i32) kernel attributes {known_block_size = array<i32: 32, 1, 1>, nvvm.minctasm = 1 : i32} {
    %old = llvm.atomicrmw add %p, %v syncscope("device") acq_rel : !llvm.ptr<1>, i32
    gpu.return
  }
}

// TARGET: target.mlir:3:5: error: 'ptx.mbarrier_wait' op needs sm_90; the target is sm_80
//--- target.mlir
gpu.module @kernels {
  gpu.func @k(%p: !llvm.ptr<3>, %v: i32) kernel attributes {known_block_size = array<i32: 32, 1, 1>, nvvm.minctasm = 1 : i32} {
    ptx.mbarrier_wait %p, %v
    gpu.return
  }
}

// NVVM: nvvm.mlir:3:10: error: 'nvvm.convert.f8x2.to.f16x2' op needs sm_89; the target is sm_80
//--- nvvm.mlir
gpu.module @kernels {
  gpu.func @k(%p: !llvm.ptr<1>, %v: vector<2xi8>) kernel attributes {known_block_size = array<i32: 32, 1, 1>, nvvm.minctasm = 1 : i32} {
    %0 = nvvm.convert.f8x2.to.f16x2 %v : vector<2xi8> (f8E4M3FN) -> vector<2xf16>
    llvm.store %0, %p : vector<2xf16>, !llvm.ptr<1>
    gpu.return
  }
}

// CALL: error: the kernels call "elsewhere", which no GPU has; expected ops that code generation knows
//--- call.mlir
gpu.module @kernels {
  llvm.func @elsewhere()
  gpu.func @k() kernel attributes {known_block_size = array<i32: 32, 1, 1>, nvvm.minctasm = 1 : i32} {
    llvm.call @elsewhere() : () -> ()
    gpu.return
  }
}

// NONE: error: '{{.*}}none.mlir' has no gpu.module and no kernels
// ARCH: error: unknown architecture "sm_70"; expected one or more of sm_80, sm_90a, separated by commas
//--- none.mlir
module {}
