// Entries come back as they were stored; what is damaged counts as absent; what
// nobody reads goes; and a key tells its parts, the compiler among them.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/CodeCache.h"
#include "lib/Codegen/KeyDigest.h"
#include "lib/Codegen/TemporaryFolder.h"
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <thread>

using namespace qopt::codegen;

using Entry = std::vector<std::string>;

static std::string keyOf(std::initializer_list<llvm::StringRef> parts) {
  KeyDigest key;
  for (llvm::StringRef part : parts)
    key.add(part);
  return key.finish();
}

static size_t filesIn(const std::string &folder) {
  return size_t(std::distance(std::filesystem::directory_iterator(folder), {}));
}

/// The file of a cache that has one entry.
static std::string fileOf(const std::string &folder, const std::string &key) {
  return folder + "/llvmcache-" + key;
}

TEST(CodeCache, entriesComeBack) {
  TemporaryFolder folder("qopt-cache-test");
  CodeCache cache(folder.file("cache"));
  std::string key = keyOf({"a", "b"});
  EXPECT_FALSE(cache.load(key, 2));
  std::string binary("\0\x7f\xff", 3);
  cache.store(key, {"report", binary, ""});
  EXPECT_EQ(cache.load(key, 3), (Entry{"report", binary, ""}));
  EXPECT_FALSE(cache.load(key, 2)) << "of another kind";
}

TEST(CodeCache, aDamagedEntryIsAbsent) {
  TemporaryFolder folder("qopt-cache-test");
  CodeCache cache(folder.file("cache"));
  std::string key = keyOf({"x"});
  cache.store(key, {"report", "code"});
  std::string path = fileOf(folder.file("cache"), key);
  std::string bytes = *readFile(path);
  for (size_t cut : {size_t(0), size_t(10), size_t(32), bytes.size() - 1}) {
    ASSERT_TRUE(writeFile(path, bytes.substr(0, cut)).ok());
    EXPECT_FALSE(cache.load(key, 2)) << cut;
  }
  std::string changed = bytes;
  changed.back() ^= 1;
  ASSERT_TRUE(writeFile(path, changed).ok());
  EXPECT_FALSE(cache.load(key, 2));
  cache.store(key, {"report", "code"});
  EXPECT_EQ(*readFile(path), bytes);
}

TEST(CodeCache, whoWritesAtOnceLeavesWholeEntries) {
  TemporaryFolder folder("qopt-cache-test");
  CodeCache cache(folder.file("cache"));
  std::string key = keyOf({"x"}), first(100000, 'a'), second(300000, 'b');
  std::vector<std::thread> writers;
  for (const std::string *text : {&first, &second})
    writers.emplace_back([&, text] {
      for (int i = 0; i < 50; ++i) {
        cache.store(key, {*text});
        auto entry = cache.load(key, 1);
        ASSERT_TRUE(entry);
        EXPECT_TRUE(entry->front() == first || entry->front() == second);
      }
    });
  for (std::thread &writer : writers)
    writer.join();
  EXPECT_EQ(filesIn(folder.file("cache")), 2u) << "the entry and a time stamp";
}

TEST(CodeCache, whatNobodyReadsForAMonthGoes) {
  namespace fs = std::filesystem;
  TemporaryFolder folder("qopt-cache-test");
  std::string path = folder.file("cache"), old = keyOf({"old"});
  CodeCache cache(path);
  cache.store(old, {"code"});
  EXPECT_TRUE(cache.load(old, 1));
  auto past = fs::last_write_time(fileOf(path, old)) - std::chrono::days(31);
  timespec times[2];
  times[0].tv_sec = times[1].tv_sec =
      time(nullptr) - std::chrono::seconds(std::chrono::days(31)).count();
  times[0].tv_nsec = times[1].tv_nsec = 0;
  ASSERT_EQ(utimensat(AT_FDCWD, fileOf(path, old).c_str(), times, 0), 0);
  fs::last_write_time(path + "/llvmcache.timestamp", past);
  cache.store(keyOf({"new"}), {"code"});
  EXPECT_FALSE(cache.load(old, 1));
  EXPECT_TRUE(cache.load(keyOf({"new"}), 1));
}

TEST(CodeCache, noFolderHoldsNothing) {
  CodeCache none("");
  none.store("key", {"code"});
  EXPECT_FALSE(none.load("key", 1));
  // A path below a file cannot be made a folder: the entry is lost, no more.
  TemporaryFolder folder("qopt-cache-test");
  ASSERT_TRUE(writeFile(folder.file("file"), "x").ok());
  CodeCache blocked(folder.file("file"));
  blocked.store(keyOf({"y"}), {"code"});
  EXPECT_FALSE(blocked.load(keyOf({"y"}), 1));
}

TEST(KeyDigest, partsAreKeptApart) {
  EXPECT_NE(keyOf({"a", "bc"}), keyOf({"ab", "c"}));
  EXPECT_EQ(keyOf({"a"}), keyOf({"a"}));
}

TEST(KeyDigest, theCompilerIsAPart) {
  KeyDigest once, twice, none, with;
  once.addCompiler();
  twice.addCompiler();
  EXPECT_EQ(once.finish(), twice.finish());
  with.addCompiler();
  EXPECT_NE(none.finish(), with.finish());
}
