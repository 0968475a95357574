// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tools/qopt-kernel/PagedBatch.h"

namespace qopt::kernel_tool {

PagedBatch PagedBatch::of(Words &words) {
  PagedBatch batch;
  cuda::KvPageLayout &cache = batch.cache;
  batch.heads = words.count("heads", 32);
  cache.keyHeads = words.count("key_heads", 8);
  cache.keySize = cache.valueSize = words.count("head_size", 128);
  cache.page = words.count("page", 64);
  cache.key = words.format("key", "f16");
  cache.value = words.format("value", "f16");
  batch.activation = words.element("activation", "f16");
  batch.sequences = words.count("sequences", 1);
  batch.tokens = words.count("tokens", 1);
  batch.context = words.count("context", 4096);
  if (batch.tokens > batch.context)
    words.refuse("tokens", "they are part of the context, which is smaller");
  if (Status wrong = cache.check(); !wrong.ok())
    words.refuse("cache", wrong.message());
  return batch;
}

int64_t PagedBatch::tableStride() const { return cache.tableStride(context); }

int64_t PagedBatch::slotPages() const {
  if (!cache.keyGroup())
    return 0;
  int64_t bytes = sequences * cache.slotBytes();
  return (bytes + cache.pageBytes() - 1) / cache.pageBytes();
}

Argument PagedBatch::pages(Use use) const {
  int64_t own = tableStride() - (cache.keyGroup() ? 1 : 0);
  return {
      "pages", use, "u8", {slotPages() + sequences * own, cache.pageBytes()}};
}

Argument PagedBatch::pageTable() const {
  return {"page_table", Use::Read, "i32", {sequences, tableStride()}};
}

Argument PagedBatch::tokenStarts() const {
  return {"token_starts", Use::Read, "i32", {sequences + 1}};
}

Argument PagedBatch::contextStarts() const {
  return {"context_starts", Use::Read, "i32", {sequences}};
}

llvm::json::Object PagedBatch::layout() const {
  auto nameOfElement = [](const quant::Format &format) {
    return nameOf(format.element);
  };
  return llvm::json::Object{{"page", cache.page},
                            {"key_row", cache.keyRow()},
                            {"value_row", cache.valueRow()},
                            {"page_bytes", cache.pageBytes()},
                            {"head_bytes", cache.keyOffset(1)},
                            {"value_at", cache.valueOffset(0)},
                            {"key_element", nameOfElement(cache.key)},
                            {"value_element", nameOfElement(cache.value)},
                            {"key_code_bytes", cache.keyCodeBytes()},
                            {"value_code_bytes", cache.valueCodeBytes()},
                            {"key_scale_bytes", cache.keyScaleBytes()},
                            {"value_scale_bytes", cache.valueScaleBytes()},
                            {"key_group", cache.keyGroup()},
                            {"key_offsets", cache.keyOffsets()},
                            {"value_group", cache.valueGroup()},
                            {"value_offsets", cache.valueOffsets()},
                            {"slot_bytes", cache.slotBytes()},
                            {"slot_pages", slotPages()},
                            {"merged_columns", mergedColumns()}};
}

} // namespace qopt::kernel_tool
