// Accesses that order others, and the wait on a barrier in shared memory.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_SYNCHRONISATIONOPS_TD
#define PTX_SYNCHRONISATIONOPS_TD

include "dialects/Ptx/PtxDialect.td"
include "mlir/Interfaces/InferTypeOpInterface.td"

def Ptx_Scope : Ptx_Enum<"Scope", "which threads see an access in order", [
    I32EnumAttrCase<"cta", 0>, I32EnumAttrCase<"cluster", 1>, I32EnumAttrCase<"gpu", 2>, I32EnumAttrCase<"sys", 3>]>;
def Ptx_ScopeAttr : Ptx_EnumAttr<Ptx_Scope, "scope">;

def Ptx_Order : Ptx_Enum<"Order", "which other accesses an access orders", [
    I32EnumAttrCase<"relaxed", 0>, I32EnumAttrCase<"acquire", 1>, I32EnumAttrCase<"release", 2>,
    I32EnumAttrCase<"acq_rel", 3>]>;
def Ptx_OrderAttr : Ptx_EnumAttr<Ptx_Order, "order">;

def Ptx_Update : Ptx_Enum<"Update", "how an atomic access changes memory", [
    I32EnumAttrCase<"add", 0>, I32EnumAttrCase<"min_s", 1>, I32EnumAttrCase<"max_s", 2>, I32EnumAttrCase<"min_u", 3>,
    I32EnumAttrCase<"max_u", 4>, I32EnumAttrCase<"And", 5, "and">, I32EnumAttrCase<"Or", 6, "or">, I32EnumAttrCase<"Xor", 7, "xor">,
    I32EnumAttrCase<"inc", 8>, I32EnumAttrCase<"exch", 9>]>;
def Ptx_UpdateAttr : Ptx_EnumAttr<Ptx_Update, "update">;

def Ptx_Address : AnyTypeOf<[Ptx_Global, Ptx_Shared], "a pointer to global or shared memory">;
def Ptx_Number : AnyTypeOf<[I32, I64, F32, Ptx_Half2, Ptx_BFloat2], "what an atomic access changes">;

def Ptx_LdAcquireOp : Ptx_Op<"ld_acquire", 70, 60> {
  let summary = "load that later accesses come after";
  let description = [{
    ```
    value = memory[address], and what this thread does next sees what was written before the value was released
    ```

    Who waits for another block polls with it.

    `address` is aligned to the value's size; `scope` says whose writes are ordered.

    Example:

    ```mlir
    %arrived = ptx.ld_acquire gpu %counter : !llvm.ptr<1> -> i32
    ```
  }];
  // It writes as far as order goes: no access may pass it.
  let arguments = (ins Ptx_ScopeAttr:$scope, Arg<Ptx_Address, "", [MemRead, MemWrite]>:$address);
  let results = (outs AnyTypeOf<[I32, I64]>:$value);
  let assemblyFormat = "$scope $address attr-dict `:` type($address) `->` type($value)";
}

def Ptx_StReleaseOp : Ptx_Op<"st_release", 70, 60> {
  let summary = "store that comes after earlier accesses";
  let description = [{
    ```
    memory[address] = value, and who acquires the value sees what this thread did before
    ```

    Publishes a result to other blocks.

    `address` is aligned to the size of `value`; `scope` says who sees the order.

    Example:

    ```mlir
    ptx.st_release gpu %flag, %one : !llvm.ptr<1>, i32
    ```
  }];
  let arguments = (ins Ptx_ScopeAttr:$scope, Arg<Ptx_Address, "", [MemRead, MemWrite]>:$address,
                       AnyTypeOf<[I32, I64]>:$value);
  let assemblyFormat = "$scope $address `,` $value attr-dict `:` type($address) `,` type($value)";
}

def Ptx_RedOp : Ptx_Op<"red", 70, 60> {
  let summary = "atomic update whose old value nobody asks for";
  let description = [{
    ```
    memory[address] = update(memory[address], value), as one access
    ```

    Counters and sums across blocks. LLVM drops the ordering of an atomic update; this keeps it. `inc` counts up to
    `value` and starts again at 0: memory = memory ≥ value ? 0 : memory + 1.

    `update` is the function, `order` and `scope` say which accesses are ordered for whom; `address` is aligned to the
    size of `value`.

    Constraints:

    - (C1) The order is relaxed or release: nothing is read that could be acquired.
    - (C2) Floating-point numbers are added only; `inc` counts i32; nothing is exchanged.

    Example:

    ```mlir
    ptx.red add release gpu %counter, %one : !llvm.ptr<1>, i32
    ```
  }];
  let arguments = (ins Ptx_UpdateAttr:$update, Ptx_OrderAttr:$order, Ptx_ScopeAttr:$scope,
                       Arg<Ptx_Address, "", [MemRead, MemWrite]>:$address, Ptx_Number:$value);
  let assemblyFormat = "$update $order $scope $address `,` $value attr-dict `:` type($address) `,` type($value)";
  let hasVerifier = 1;
}

def Ptx_AtomOp : Ptx_Op<"atom", 70, 60, [AllTypesMatch<["value", "old"]>]> {
  let summary = "atomic update that returns the old value";
  let description = [{
    ```
    old = memory[address];   memory[address] = update(old, value), as one access
    ```

    The last of several blocks finds out by it that it is the last. LLVM drops the ordering of an atomic update; this
    keeps it. `inc` counts up to `value` and starts again at 0, so that a counter of arrivals resets itself.

    `update` is the function, `order` and `scope` say which accesses are ordered for whom; `address` is aligned to the
    size of `value`.

    Constraints:

    - (C1) Floating-point numbers are added only; `inc` counts i32.

    Example:

    ```mlir
    %before = ptx.atom inc acq_rel gpu %counter, %last : !llvm.ptr<1>, i32
    ```
  }];
  let arguments = (ins Ptx_UpdateAttr:$update, Ptx_OrderAttr:$order, Ptx_ScopeAttr:$scope,
                       Arg<Ptx_Address, "", [MemRead, MemWrite]>:$address, Ptx_Number:$value);
  let results = (outs Ptx_Number:$old);
  let assemblyFormat = "$update $order $scope $address `,` $value attr-dict `:` type($address) `,` type($value)";
  let hasVerifier = 1;
}

def Ptx_MbarrierWaitOp : Ptx_Op<"mbarrier_wait", 90, 78> {
  let summary = "wait until a barrier's phase is complete";
  let description = [{
    ```
    until barrier's phase of this parity is complete: sleep
    ```

    A loop around `mbarrier.try_wait.parity`, the one operation that is more than an instruction: as a loop of the IR, the
    optimiser would take it apart. What one would get wrong: the parity is that of the phase that is waited for, so a wait
    for the phase before the first (parity 1 on a new barrier) returns at once. NVVM's own loop promises that the lanes of
    a warp leave it together, which they need not.

    `barrier` lies in shared memory; `parity` is 0 or 1.

    Example:

    ```mlir
    ptx.mbarrier_wait %barrier, %parity
    ```
  }];
  let arguments = (ins Arg<Ptx_Shared, "", [MemRead, MemWrite]>:$barrier, I32:$parity);
  let assemblyFormat = "$barrier `,` $parity attr-dict";
}

#endif // PTX_SYNCHRONISATIONOPS_TD
