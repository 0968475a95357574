// The way to a model's external data on kernels without openat2 refuses the
// same paths. (With openat2: test_bad_input.py.)
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/ExternalData.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <unistd.h>

using namespace qopt::import;

namespace {

class StepwiseOpen : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("qopt-external", root));
    std::string path = root.str().str();
    ASSERT_FALSE(llvm::sys::fs::create_directory(path + "/sub"));
    std::ofstream(path + "/sub/w.bin") << "data";
    ASSERT_EQ(symlink("sub", (path + "/link").c_str()), 0);
    ASSERT_EQ(symlink("w.bin", (path + "/sub/last").c_str()), 0);
    folder = open(path.c_str(), O_PATH | O_DIRECTORY);
  }
  void TearDown() override {
    close(folder);
    (void)llvm::sys::fs::remove_directories(root);
  }

  /// 0 or the error number.
  int tryOpen(llvm::ArrayRef<std::string> components) {
    int descriptor = openStepwise(folder, components);
    if (descriptor < 0)
      return errno;
    close(descriptor);
    return 0;
  }

  llvm::SmallString<128> root;
  int folder = -1;
};

TEST_F(StepwiseOpen, FindsAPlainFile) {
  EXPECT_EQ(tryOpen({"sub", "w.bin"}), 0);
}

TEST_F(StepwiseOpen, FollowsNoLink) {
  EXPECT_EQ(tryOpen({"sub", "last"}), ELOOP);
  EXPECT_EQ(tryOpen({"link", "w.bin"}), ENOTDIR);
}

TEST_F(StepwiseOpen, NamesWhatIsMissing) {
  EXPECT_EQ(tryOpen({"sub", "none"}), ENOENT);
  EXPECT_EQ(tryOpen({"sub", "w.bin", "x"}), ENOTDIR);
}

} // namespace
