// Input: a GraphProto whose initializers have external_data; the bytes that a
// tensor expects are its first dimension. They are read from a folder with
// files, links and a pipe. Whatever is read must be bytes of the files inside:
// they have zeros, the file outside has ones.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Import/Onnx/ExternalData.h"
#include "Require.h"
#include "onnx-file.pb.h"
#include "llvm/Support/FileSystem.h"
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

using namespace qopt;

namespace {

/// What the harness reads from, removed at exit.
class Folder {
public:
  Folder() {
    llvm::SmallString<128> made;
    fuzz::require(!llvm::sys::fs::createUniqueDirectory("qopt-fuzz", made),
                  "there is a folder for temporary files");
    root = made.str().str();
    for (const char *name : {"/inside", "/inside/sub"})
      (void)llvm::sys::fs::create_directory(root + name);
    write("/secret", '\1');
    write("/inside/w.bin", '\0');
    write("/inside/sub/v.bin", '\0');
    bool linked = symlink("../secret", (root + "/inside/link").c_str()) == 0 &&
                  symlink("..", (root + "/inside/up").c_str()) == 0 &&
                  link((root + "/secret").c_str(),
                       (root + "/inside/hard").c_str()) == 0 &&
                  mkfifo((root + "/inside/pipe").c_str(), 0600) == 0;
    fuzz::require(linked, "links and pipes can be made");
  }
  ~Folder() { (void)llvm::sys::fs::remove_directories(root); }

  std::string inside() const { return root + "/inside"; }

private:
  void write(const char *name, char byte) {
    std::ofstream(root + name, std::ios::binary) << std::string(4096, byte);
  }

  std::string root;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static Folder folder;
  onnx_file::GraphProto graph;
  if (!graph.ParseFromArray(data, int(size)))
    return -1;
  import::ExternalData reader(folder.inside());
  for (const auto &tensor : graph.initializer()) {
    uint64_t expected = tensor.dims_size() ? uint64_t(tensor.dims(0)) : 0;
    auto place = import::ExternalData::placeOf(tensor, expected);
    if (!place)
      fuzz::requireMessage(place.status());
    auto read = reader.read(tensor, expected);
    if (!read) {
      fuzz::requireMessage(read.status());
      continue;
    }
    fuzz::require(place.ok() && read->bytes.size() == expected,
                  "exactly the expected bytes are read");
    for (char byte : read->bytes)
      fuzz::require(byte == 0, "no file outside of the folder is read");
  }
  return 0;
}
