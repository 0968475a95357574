// Entries come back as they were stored; what is damaged counts as absent.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/CubinCache.h"
#include "lib/Codegen/TemporaryFolder.h"
#include <gtest/gtest.h>

using namespace qopt::codegen;

TEST(CubinCache, entriesComeBack) {
  TemporaryFolder folder("qopt-cache-test");
  CubinCache cache(folder.file("cache"));
  std::string key = CubinCache::key({"a", "b"});
  EXPECT_FALSE(cache.load(key));
  std::string binary("\0\x7f\xff", 3);
  cache.store(key, {"report", binary});
  std::optional<CubinEntry> entry = cache.load(key);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->report, "report");
  EXPECT_EQ(entry->cubin, binary);
}

TEST(CubinCache, partsOfAKeyAreKeptApart) {
  EXPECT_NE(CubinCache::key({"a", "bc"}), CubinCache::key({"ab", "c"}));
  EXPECT_EQ(CubinCache::key({"a"}), CubinCache::key({"a"}));
}

TEST(CubinCache, aDamagedEntryIsAbsent) {
  TemporaryFolder folder("qopt-cache-test");
  CubinCache cache(folder.file("cache"));
  std::string key = CubinCache::key({"x"});
  cache.store(key, {"report", "code"});
  std::string path = folder.file("cache") + "/" + key.substr(0, 2) + "/" + key;
  std::string bytes = *readFile(path);
  for (size_t cut : {size_t(0), size_t(10), bytes.size() - 1}) {
    ASSERT_TRUE(writeFile(path, bytes.substr(0, cut)).ok());
    EXPECT_FALSE(cache.load(key)) << cut;
  }
  bytes.back() ^= 1;
  ASSERT_TRUE(writeFile(path, bytes).ok());
  EXPECT_FALSE(cache.load(key));
}

TEST(CubinCache, noFolderHoldsNothing) {
  CubinCache none("");
  none.store("key", {"report", "code"});
  EXPECT_FALSE(none.load("key"));
  // A path below a file cannot be made a folder: the entry is lost, no more.
  TemporaryFolder folder("qopt-cache-test");
  ASSERT_TRUE(writeFile(folder.file("file"), "x").ok());
  CubinCache blocked(folder.file("file"));
  blocked.store(CubinCache::key({"y"}), {"report", "code"});
  EXPECT_FALSE(blocked.load(CubinCache::key({"y"})));
}
