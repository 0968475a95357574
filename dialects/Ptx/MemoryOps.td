// Loads, stores and asynchronous copies with what LLVM has no words for: cache hints and policies.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef PTX_MEMORYOPS_TD
#define PTX_MEMORYOPS_TD

include "dialects/Ptx/PtxDialect.td"

def Ptx_FirstLevel : Ptx_Enum<"FirstLevel", "what the first-level cache does with a line", [
    I32EnumAttrCase<"evict_normal", 0>, I32EnumAttrCase<"no_allocate", 1>, I32EnumAttrCase<"evict_first", 2>,
    I32EnumAttrCase<"evict_last", 3>, I32EnumAttrCase<"evict_unchanged", 4>]>;
def Ptx_FirstLevelAttr : Ptx_EnumAttr<Ptx_FirstLevel, "l1">;

def Ptx_SecondLevel : Ptx_Enum<"SecondLevel", "what the second-level cache does with a line", [
    I32EnumAttrCase<"evict_first", 0>, I32EnumAttrCase<"evict_last", 1>, I32EnumAttrCase<"evict_normal", 2>,
    I32EnumAttrCase<"evict_unchanged", 3>]>;
def Ptx_SecondLevelAttr : Ptx_EnumAttr<Ptx_SecondLevel, "l2">;

def Ptx_CreatePolicyOp : Ptx_Op<"create_policy", 80, 74, [Pure]> {
  let summary = "policy of the second-level cache, for other ops";
  let description = [{
    ```
    policy = the given priority for `fraction` of the addresses, the default for the others
    ```

    A kernel makes one for its weights (evict_first) and one for its activations (evict_last), before its loops.

    `priority` is what happens to a line; `fraction` is the part of the addresses, chosen by the hardware.

    Constraints:

    - (C1) The fraction is more than 0 and at most 1.

    Example:

    ```mlir
    %once = ptx.create_policy evict_first
    ```
  }];
  let arguments = (ins Ptx_SecondLevelAttr:$priority, DefaultValuedAttr<F32Attr, "1.0f">:$fraction);
  let results = (outs I64:$policy);
  let assemblyFormat = "$priority (`fraction` `(` $fraction^ `)`)? attr-dict";
  let hasVerifier = 1;
}

def Ptx_LdGlobalOp : Ptx_Op<"ld_global", 80, 74> {
  let summary = "registers from global memory, with cache hints";
  let description = [{
    ```
    words[i] = memory[address + i · size]      i = 0 … number of words − 1
    ```

    Generators make it where a plain load would lose its hint. With `nc` the load goes through the read-only path: nothing
    may write there while the kernel runs, the kernel before it included where the two overlap. It stays in its place
    among other memory instructions.

    `address` is aligned to the size of all words; `l1` is what the first-level cache does; `policy` comes from
    create_policy; `nc` promises that the memory is not written.

    Constraints:

    - (C1) There are 1, 2 or 4 words, of one type, and at most 16 bytes.

    Example:

    ```mlir
    %w:4 = ptx.ld_global nc l1 no_allocate %weights policy(%once) : i32, i32, i32, i32
    ```
  }];
  let arguments = (ins Arg<Ptx_Global, "", [MemRead]>:$address, Optional<I64>:$policy,
                       DefaultValuedAttr<Ptx_FirstLevelAttr, "FirstLevel::evict_normal">:$l1, UnitAttr:$nc);
  let results = (outs Variadic<Ptx_Register>:$words);
  let assemblyFormat = [{
    (`nc` $nc^)? (`l1` $l1^)? $address (`policy` `(` $policy^ `)`)? attr-dict `:` type($words)
  }];
  let hasVerifier = 1;
}

def Ptx_StGlobalOp : Ptx_Op<"st_global", 80, 74, [AttrSizedOperandSegments]> {
  let summary = "registers to global memory, with cache hints";
  let description = [{
    ```
    memory[address + i · size] = words[i]      i = 0 … number of words − 1
    ```

    Generators make it for what is read again soon, or never again. It stays in its place among other memory instructions.

    `words` are of one type; `address` is aligned to the size of all of them; `l1` is what the first-level cache does;
    `policy` comes from create_policy.

    Constraints:

    - (C1) There are 1, 2 or 4 words, of one type, and at most 16 bytes.
    - (C2) The first-level cache has no no_allocate for stores.

    Example:

    ```mlir
    ptx.st_global l1 evict_first %out policy(%once) words(%w0, %w1) : f32, f32
    ```
  }];
  let arguments = (ins Arg<Ptx_Global, "", [MemWrite]>:$address, Optional<I64>:$policy, Variadic<Ptx_Register>:$words,
                       DefaultValuedAttr<Ptx_FirstLevelAttr, "FirstLevel::evict_normal">:$l1);
  let assemblyFormat = [{
    (`l1` $l1^)? $address (`policy` `(` $policy^ `)`)? `words` `(` $words `)` attr-dict `:` type($words)
  }];
  let hasVerifier = 1;
}

def Ptx_CpAsyncOp : Ptx_Op<"cp_async", 80, 74, [AttrSizedOperandSegments]> {
  let summary = "up to 16 bytes copied to shared memory in time";
  let description = [{
    ```
    shared[destination + i] = i < present ? memory[source + i] : 0      i = 0 … bytes − 1
    ```

    The copy is done when a later wait says so: nvvm.cp.async.commit.group and nvvm.cp.async.wait.group. NVVM's own form
    of this copy takes no policy.

    `destination` and `source` are aligned to `bytes`; `present` (all of them where it is left out) makes a predicated
    edge: what lies beyond it is zero and not read; `policy` comes from create_policy.

    Constraints:

    - (C1) The bytes are 4, 8 or 16.

    Example:

    ```mlir
    ptx.cp_async 16 %destination, %source present(%n) policy(%once)
    ```
  }];
  let arguments = (ins Arg<Ptx_Shared, "", [MemWrite]>:$destination, Arg<Ptx_Global, "", [MemRead]>:$source,
                       Optional<I32>:$present, Optional<I64>:$policy, I32Attr:$bytes);
  let assemblyFormat = [{
    $bytes $destination `,` $source (`present` `(` $present^ `)`)? (`policy` `(` $policy^ `)`)? attr-dict
  }];
  let hasVerifier = 1;
}

def Ptx_CpAsyncBulkOp : Ptx_Op<"cp_async_bulk", 90, 80> {
  let summary = "a run of bytes copied to shared memory in time";
  let description = [{
    ```
    shared[destination + i] = memory[source + i]      i = 0 … bytes − 1;   then barrier's pending bytes −= bytes
    ```

    One thread starts it; who needs the data waits on the barrier, which was told to expect the bytes
    (nvvm.mbarrier.arrive.expect_tx). It serves within one block: its shared memory is the block's own.

    `destination` and `source` are aligned to 16 and `bytes` is a multiple of 16; `barrier` lies in shared memory;
    `policy` comes from create_policy.

    Example:

    ```mlir
    ptx.cp_async_bulk %destination, %source, %bytes, %barrier policy(%once)
    ```
  }];
  let arguments = (ins Arg<Ptx_Shared, "", [MemWrite]>:$destination, Arg<Ptx_Global, "", [MemRead]>:$source, I32:$bytes,
                       Arg<Ptx_Shared, "", [MemRead, MemWrite]>:$barrier, Optional<I64>:$policy);
  let assemblyFormat = [{
    $destination `,` $source `,` $bytes `,` $barrier (`policy` `(` $policy^ `)`)? attr-dict
  }];
}

#endif // PTX_MEMORYOPS_TD
