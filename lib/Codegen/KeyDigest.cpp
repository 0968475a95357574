// The compiler is known by the build ids that its linker has left in memory:
// digests of what was linked, which cost nothing to read.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/KeyDigest.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <elf.h>
#include <link.h>

using namespace qopt;
using namespace qopt::codegen;

void KeyDigest::add(llvm::StringRef part) {
  uint64_t size = part.size();
  digest.update(&size, sizeof size);
  digest.update(part.data(), part.size());
}

void KeyDigest::addFile(const std::string &path) {
  if (auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                              /*RequiresNullTerminator=*/false))
    add((*file)->getBuffer());
}

static llvm::ArrayRef<ElfW(Phdr)> segmentsOf(const dl_phdr_info &object) {
  return {object.dlpi_phdr, object.dlpi_phnum};
}

static llvm::StringRef bytesOf(const dl_phdr_info &object,
                               const ElfW(Phdr) & segment) {
  return {reinterpret_cast<const char *>(object.dlpi_addr + segment.p_vaddr),
          segment.p_memsz};
}

/// The note NT_GNU_BUILD_ID; empty where the linker has made none.
static llvm::StringRef buildIdOf(const dl_phdr_info &object) {
  for (const ElfW(Phdr) &segment : segmentsOf(object)) {
    llvm::StringRef notes =
        segment.p_type == PT_NOTE ? bytesOf(object, segment) : "";
    while (notes.size() >= sizeof(ElfW(Nhdr))) {
      const auto *note = reinterpret_cast<const ElfW(Nhdr) *>(notes.data());
      llvm::StringRef name = notes.drop_front(sizeof *note);
      llvm::StringRef text = name.drop_front(
          std::min(name.size(), size_t(llvm::alignTo(note->n_namesz, 4))));
      if (note->n_type == NT_GNU_BUILD_ID &&
          name.starts_with(llvm::StringRef(ELF_NOTE_GNU, 4)))
        return text.take_front(note->n_descsz);
      notes = text.drop_front(
          std::min(text.size(), size_t(llvm::alignTo(note->n_descsz, 4))));
    }
  }
  return "";
}

/// Whether this code, or LLVM's or MLIR's, is in it.
static bool isOfCompiler(const dl_phdr_info &object) {
  static const char own = 0;
  llvm::StringRef file = llvm::sys::path::filename(object.dlpi_name);
  return file.contains("LLVM") || file.contains("MLIR") ||
         llvm::any_of(segmentsOf(object), [&](const ElfW(Phdr) & segment) {
           llvm::StringRef bytes = bytesOf(object, segment);
           return segment.p_type == PT_LOAD && &own >= bytes.begin() &&
                  &own < bytes.end();
         });
}

static int addObject(dl_phdr_info *object, size_t, void *result) {
  if (!isOfCompiler(*object))
    return 0;
  KeyDigest &key = *static_cast<KeyDigest *>(result);
  llvm::StringRef id = buildIdOf(*object);
  if (id.empty()) // the program itself has no name
    key.addFile(*object->dlpi_name ? object->dlpi_name : "/proc/self/exe");
  else
    key.add(id);
  return 0;
}

void KeyDigest::addCompiler() {
  static const std::string compiler = [] {
    KeyDigest key;
    dl_iterate_phdr(addObject, &key);
    return key.finish();
  }();
  add(compiler);
}
