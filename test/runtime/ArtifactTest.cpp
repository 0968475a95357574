// An artifact reads back as it was written; a damaged one is refused wherever
// the damage lies.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/ArtifactFile.h"
#include "runtime/ArtifactFormat.h"
#include "runtime/ArtifactWriter.h"

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <random>
#include <sys/resource.h>
#include <unistd.h>

using namespace qopt;
using namespace qopt::runtime;
namespace fs = std::filesystem;

namespace {

class ArtifactTest : public ::testing::Test {
protected:
  void SetUp() override {
    folder = fs::temp_directory_path() /
             ("qopt-artifact-" + std::to_string(::getpid()));
    fs::create_directories(folder);
    path = (folder / "model.qopt").string();
  }
  void TearDown() override { fs::remove_all(folder); }

  static std::vector<uint8_t> someBytes(size_t size) {
    std::mt19937 random(unsigned(size) + 1);
    std::vector<uint8_t> bytes(size);
    for (uint8_t &byte : bytes)
      byte = uint8_t(random());
    return bytes;
  }

  Status writeExample() {
    auto writer = ArtifactWriter::create(path);
    if (!writer.ok())
      return writer.status();
    for (size_t size : {5000, 4096, 17, 0})
      if (auto index = (*writer)->addSegment(plan::SegmentKind::Weight,
                                             "w" + std::to_string(size),
                                             someBytes(size));
          !index.ok())
        return index.status();
    plan::PlanT plan;
    plan.manifest = std::make_unique<plan::ManifestT>();
    plan.manifest->compiler_version = "test";
    return (*writer)->finish(plan);
  }

  std::string readAll() const {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void writeAll(const std::string &bytes) const {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

  fs::path folder;
  std::string path;
};

TEST_F(ArtifactTest, ReadsBackWhatWasWritten) {
  Status status = writeExample();
  ASSERT_TRUE(status.ok()) << status.message();
  auto artifact = ArtifactFile::open(path);
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  uint32_t index = 0;
  for (size_t size : {5000, 4096, 17, 0}) {
    auto bytes = (*artifact)->segment(index++);
    EXPECT_EQ(std::vector<uint8_t>(bytes.begin(), bytes.end()),
              someBytes(size));
    EXPECT_EQ(uintptr_t(bytes.data()) % segmentAlignment, 0u);
  }
  EXPECT_EQ((*artifact)->plan().manifest()->compiler_version()->str(), "test");
  EXPECT_TRUE(ArtifactFile::open(path, Integrity::Trust).ok());
}

TEST_F(ArtifactTest, IsTheSameFileEveryTime) {
  ASSERT_TRUE(writeExample().ok());
  std::string first = readAll();
  ASSERT_TRUE(writeExample().ok());
  EXPECT_EQ(first, readAll());
}

TEST_F(ArtifactTest, AnUnfinishedArtifactLeavesNothingBehind) {
  ASSERT_TRUE(writeExample().ok());
  std::string before = readAll();
  {
    auto writer = ArtifactWriter::create(path);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE(
        (*writer)->addSegment(plan::SegmentKind::Code, "c", someBytes(9)).ok());
  }
  EXPECT_EQ(before, readAll());
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 1);
}

TEST_F(ArtifactTest, APlanThatNoRuntimeOpensIsNotWritten) {
  {
    auto writer = ArtifactWriter::create(path);
    ASSERT_TRUE(writer.ok());
    plan::PlanT plan;
    plan.manifest = std::make_unique<plan::ManifestT>();
    plan.manifest->tokenizer_segment = 7;
    Status status = (*writer)->finish(plan);
    EXPECT_EQ(status.code(), StatusCode::Internal);
    EXPECT_NE(status.message().find("tokenizer"), std::string::npos);
  }
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST_F(ArtifactTest, AFolderThatDoesNotExistIsAnError) {
  auto writer = ArtifactWriter::create((folder / "no/such/x.qopt").string());
  ASSERT_FALSE(writer.ok());
  EXPECT_EQ(writer.status().code(), StatusCode::Unwritable);
  EXPECT_NE(writer.status().message().find("x.qopt"), std::string::npos);
}

TEST_F(ArtifactTest, AFullDiskIsAnErrorAndLeavesNothingBehind) {
  struct rlimit before;
  ::getrlimit(RLIMIT_FSIZE, &before);
  struct rlimit small = {8192, before.rlim_max};
  ::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &small);
  Status status = writeExample();
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(status.code(), StatusCode::OutOfResources);
  EXPECT_NE(status.message().find("cannot write"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(folder));
}

TEST_F(ArtifactTest, RefusesAFileCutShort) {
  ASSERT_TRUE(writeExample().ok());
  std::string whole = readAll();
  for (size_t length = 0; length < whole.size();
       length += length < 256 || length + 256 > whole.size() ? 1 : 97) {
    writeAll(whole.substr(0, length));
    auto artifact = ArtifactFile::open(path, Integrity::Trust);
    ASSERT_FALSE(artifact.ok()) << length;
    ASSERT_EQ(artifact.status().code(), StatusCode::BadArtifact);
  }
  writeAll(whole + '\0');
  EXPECT_FALSE(ArtifactFile::open(path).ok());
}

TEST_F(ArtifactTest, RefusesEveryFlippedBit) {
  ASSERT_TRUE(writeExample().ok());
  std::string whole = readAll();
  std::mt19937_64 random(3);
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  auto put = [&](size_t at, char byte) {
    file.seekp(std::streamoff(at));
    file.put(byte);
    file.flush();
  };
  for (int trial = 0; trial < 10'000; ++trial) {
    size_t bit = random() % (whole.size() * 8);
    put(bit / 8, char(whole[bit / 8] ^ (1 << bit % 8)));
    auto artifact = ArtifactFile::open(path);
    ASSERT_FALSE(artifact.ok()) << "bit " << bit;
    ASSERT_EQ(artifact.status().code(), StatusCode::BadArtifact);
    put(bit / 8, whole[bit / 8]);
  }
  EXPECT_TRUE(ArtifactFile::open(path).ok());
}

TEST_F(ArtifactTest, NamesAnotherFormatVersion) {
  ASSERT_TRUE(writeExample().ok());
  std::string whole = readAll();
  ArtifactHeader header;
  std::memcpy(&header, whole.data(), sizeof(header));
  header.version = 7;
  Digest digest = Sha256::of(&header, offsetof(ArtifactHeader, headerDigest));
  std::copy(digest.begin(), digest.end(), header.headerDigest);
  std::memcpy(whole.data(), &header, sizeof(header));
  writeAll(whole);
  auto artifact = ArtifactFile::open(path);
  ASSERT_FALSE(artifact.ok());
  EXPECT_NE(artifact.status().message().find("format version 7"),
            std::string::npos);
}

TEST_F(ArtifactTest, RefusesWhatIsNoArtifact) {
  writeAll(std::string(10'000, 'x'));
  auto artifact = ArtifactFile::open(path);
  ASSERT_FALSE(artifact.ok());
  EXPECT_NE(artifact.status().message().find("not an artifact"),
            std::string::npos);
  EXPECT_EQ(ArtifactFile::open(folder.string()).status().code(),
            StatusCode::NotFound);
}

} // namespace
