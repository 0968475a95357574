// memfd + dlopen, with the two checks that dlopen leaves to a crash: the
// architecture in the ELF header gets a message of ours, and the processor
// level that the object names is compared with the processor before any of its
// code runs. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "runtime/host/CodeObject.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace qopt;
using namespace qopt::runtime;

#if defined(__x86_64__)
static constexpr uint16_t hostMachine = EM_X86_64;
static constexpr const char *hostName = "x86-64";
#elif defined(__aarch64__)
static constexpr uint16_t hostMachine = EM_AARCH64;
static constexpr const char *hostName = "aarch64";
#else
#error "generated code runs on x86-64 and aarch64 only"
#endif

static std::string machineName(uint16_t machine) {
  if (machine == EM_X86_64)
    return "x86-64";
  if (machine == EM_AARCH64)
    return "aarch64";
  return "ELF machine " + std::to_string(machine);
}

static Status checkHeader(const void *bytes, size_t size) {
  Elf64_Ehdr header;
  if (size < sizeof(header) || std::memcmp(bytes, ELFMAG, SELFMAG) != 0)
    return Status(StatusCode::BadArtifact,
                  "the code segment holds no ELF shared object");
  std::memcpy(&header, bytes, sizeof(header));
  if (header.e_machine != hostMachine)
    return Status(StatusCode::Unsupported,
                  "the artifact holds code for " +
                      machineName(header.e_machine) + "; this machine is " +
                      hostName + "; compile the model for this machine");
  return {};
}

/// The best of the levels that objects are made for, by what the processor
/// says.
static bool processorRuns(const std::string &target) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (target == "x86-64-v4")
    return __builtin_cpu_supports("x86-64-v4");
  if (target == "x86-64-v3")
    return __builtin_cpu_supports("x86-64-v3");
  return target == "x86-64-v2" && __builtin_cpu_supports("x86-64-v2");
#else
  return target == "aarch64";
#endif
}

static StatusOr<int> memoryFile(const void *bytes, size_t size) {
  int file = memfd_create("qopt-kernels", MFD_CLOEXEC);
  if (file < 0)
    return Status(
        StatusCode::OutOfResources,
        std::string("cannot make a memory file for generated code: ") +
            std::strerror(errno));
  const char *from = static_cast<const char *>(bytes);
  while (size > 0) {
    ssize_t written = write(file, from, size);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0) {
      std::string reason = std::strerror(errno);
      close(file);
      return Status(StatusCode::OutOfResources,
                    "cannot write generated code to memory: " + reason);
    }
    from += written;
    size -= written;
  }
  return file;
}

StatusOr<std::shared_ptr<CodeObject>> CodeObject::load(const void *bytes,
                                                       size_t size) {
  QOPT_RETURN_IF_ERROR(checkHeader(bytes, size));
  StatusOr<int> file = memoryFile(bytes, size);
  if (!file)
    return file.status();
  std::string path = "/proc/self/fd/" + std::to_string(*file);
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    std::string reason = dlerror();
    close(*file);
    return Status(StatusCode::BadArtifact,
                  "cannot load the generated code: " + reason);
  }
  auto *name = static_cast<const char *>(dlsym(handle, "qopt_target"));
  std::shared_ptr<CodeObject> object(
      new CodeObject(handle, *file, name ? name : "(unnamed)"));
  if (!processorRuns(object->targetName))
    return Status(StatusCode::Unsupported,
                  "the artifact's code is made for \"" + object->targetName +
                      "\", which this processor cannot run; compile the model "
                      "for a lower level (x86-64-v2 runs everywhere)");
  return object;
}

// The loader knows an object by its path, and this path is the number of an
// open file: closed any earlier, the next object would get the same one and the
// loader would hand out this one again.
CodeObject::~CodeObject() {
  dlclose(handle);
  close(file);
}

StatusOr<GeneratedKernel> CodeObject::kernel(const std::string &name) const {
  void *address = dlsym(handle, name.c_str());
  if (!address)
    return Status(StatusCode::NotFound,
                  "the generated code has no kernel \"" + name + "\"");
  return reinterpret_cast<GeneratedKernel>(address);
}
