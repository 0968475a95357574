# The project's few CMake helpers:
#   qopt_precompile(NAME HEADER)                     one precompiled header for a layer
#   qopt_library(NAME [MLIR] SOURCES … LINKS …)      a static library; MLIR: uses LLVM's headers and the header above
#   qopt_dialect(NAME TD…) / qopt_passes(NAME TD)    TableGen output beside the binary tree's copy of the folder
#   qopt_tool(NAME [MLIR] SOURCES … LINKS …)         a program in bin/
#   qopt_test_program(NAME [MLIR] SOURCES … LINKS …) a program in test/bin/ that tests in Python run
#   qopt_gtest(NAME [MLIR] SOURCES … LINKS …)        a GoogleTest program in test/bin/, run by lit

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  add_link_options(-fuse-ld=lld)
endif()

set(qopt_warnings -Wall -Wextra -Werror -Wno-unused-parameter)
if(QOPT_ASSERTIONS)
  string(REPLACE "-DNDEBUG" "" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
endif()
if(QOPT_SANITIZE)
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
  # LLVM's type information is not always there to be checked.
  add_compile_options(-fno-sanitize=vptr,function)
endif()
if(QOPT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(QOPT_STATIC)
  add_compile_options(-ffunction-sections -fdata-sections)
  add_link_options(-Wl,--gc-sections,--as-needed,--icf=all -s)
  # Programs need the C library only. Libraries share the C++ library with the program that loads them.
  string(APPEND CMAKE_EXE_LINKER_FLAGS " -static-libstdc++ -static-libgcc")
endif()

# A compiler cache that works across checkout folders: relative paths only (see qopt_precompile).
find_program(QOPT_CCACHE ccache)
if(QOPT_CCACHE)
  set(qopt_ccache_env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env ${qopt_ccache_env} ${QOPT_CCACHE})
  set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
endif()

# Flags of every file that includes LLVM or MLIR headers: a precompiled header fits only where they are equal.
set(qopt_mlir_flags -fno-rtti -fno-exceptions)

# CMake's own precompiled headers carry absolute paths, which no compiler cache shares between folders; ninja runs in
# the build folder, so a relative path does.
#
# The header itself is never taken from the cache: it names its source by an absolute path, which must exist, and the one
# that another folder made names a file that may be gone.
function(qopt_precompile name header)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
    return()
  endif()
  set(output ${CMAKE_BINARY_DIR}/pch/${name}.pch)
  separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_RELEASE}")
  get_directory_property(options COMPILE_OPTIONS)
  file(RELATIVE_PATH source ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR}/${header})
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/pch
    COMMAND ${CMAKE_CXX_COMPILER} -x c++-header ${source} -o pch/${name}.pch
            ${flags} ${options} ${qopt_mlir_flags} -std=c++20 -fPIC -fvisibility=hidden -isystem ${LLVM_INCLUDE_DIRS}
            -fpch-instantiate-templates -Xclang -fno-pch-timestamp
    DEPENDS ${CMAKE_SOURCE_DIR}/${header} WORKING_DIRECTORY ${CMAKE_BINARY_DIR} VERBATIM
    COMMENT "Precompiling ${header}")
  add_custom_target(qopt_pch_${name} DEPENDS ${output})
endfunction()

# The part that libraries, tools and tests share.
function(qopt_target_options name mlir)
  target_compile_options(${name} PRIVATE ${qopt_warnings})
  if(mlir)
    target_include_directories(${name} SYSTEM PRIVATE ${LLVM_INCLUDE_DIRS})
    target_compile_options(${name} PRIVATE ${qopt_mlir_flags})
    if(TARGET qopt_pch_mlir)
      set(pch -Xclang -fno-pch-timestamp -include-pch pch/mlir.pch)
      get_target_property(type ${name} TYPE)
      if(type STREQUAL EXECUTABLE) # else CMake says -fPIE, which the header was not made with
        set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
        target_compile_options(${name} PRIVATE -fPIC)
      endif()
      target_compile_options(${name} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${pch}>")
      set_property(TARGET ${name} APPEND PROPERTY OBJECT_DEPENDS ${CMAKE_BINARY_DIR}/pch/mlir.pch)
      get_target_property(sources ${name} SOURCES)
      set_property(SOURCE ${sources} APPEND PROPERTY OBJECT_DEPENDS ${CMAKE_BINARY_DIR}/pch/mlir.pch)
      add_dependencies(${name} qopt_pch_mlir)
    endif()
  endif()
endfunction()

function(qopt_library name)
  cmake_parse_arguments(ARG "MLIR" "" "SOURCES;LINKS;MLIR_LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  qopt_target_options(${name} ${ARG_MLIR})
  target_link_libraries(${name} PUBLIC ${ARG_LINKS})
  if(ARG_MLIR)
    if(QOPT_STATIC)
      target_link_libraries(${name} PUBLIC ${ARG_MLIR_LINKS})
    else()
      target_link_libraries(${name} PUBLIC MLIR LLVM)
    endif()
  endif()
endfunction()

# qopt_dialect(QOpt QOpt.td): <Name>{Dialect,Ops,Types,Attrs,Enums}.{h,cpp}.inc in the binary folder, target <Name>IncGen.
function(qopt_dialect name td)
  include_directories(SYSTEM ${MLIR_INCLUDE_DIRS})
  set(LLVM_TARGET_DEFINITIONS ${td})
  string(TOLOWER ${name} dialect)
  mlir_tablegen(${name}Dialect.h.inc -gen-dialect-decls -dialect=${dialect})
  mlir_tablegen(${name}Dialect.cpp.inc -gen-dialect-defs -dialect=${dialect})
  mlir_tablegen(${name}Ops.h.inc -gen-op-decls -dialect=${dialect})
  mlir_tablegen(${name}Ops.cpp.inc -gen-op-defs -dialect=${dialect})
  mlir_tablegen(${name}Types.h.inc -gen-typedef-decls -typedefs-dialect=${dialect})
  mlir_tablegen(${name}Types.cpp.inc -gen-typedef-defs -typedefs-dialect=${dialect})
  mlir_tablegen(${name}Attrs.h.inc -gen-attrdef-decls -attrdefs-dialect=${dialect})
  mlir_tablegen(${name}Attrs.cpp.inc -gen-attrdef-defs -attrdefs-dialect=${dialect})
  mlir_tablegen(${name}Enums.h.inc -gen-enum-decls)
  mlir_tablegen(${name}Enums.cpp.inc -gen-enum-defs)
  add_public_tablegen_target(${name}IncGen)
  qopt_reference(${name}Dialect ${td} -gen-dialect-doc -dialect=${dialect})
endfunction()

# qopt_passes(Raise Passes.td): Passes.h.inc with the declarations and constructors of one stage, target <Stage>PassesIncGen.
function(qopt_passes stage td)
  include_directories(SYSTEM ${MLIR_INCLUDE_DIRS})
  set(LLVM_TARGET_DEFINITIONS ${td})
  mlir_tablegen(Passes.h.inc -gen-pass-decls -name ${stage})
  add_public_tablegen_target(${stage}PassesIncGen)
  qopt_reference(${stage}Passes ${td} -gen-pass-doc)
endfunction()

# One page of the reference that `./x docs` writes below docs/ of the build folder, by TableGen from the records.
function(qopt_reference page td)
  set(output ${CMAKE_BINARY_DIR}/docs/${page}.md)
  add_custom_command(OUTPUT ${output}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/docs
    COMMAND ${MLIR_TABLEGEN_EXE} ${ARGN} -I ${CMAKE_SOURCE_DIR} -I ${MLIR_INCLUDE_DIRS} ${CMAKE_CURRENT_SOURCE_DIR}/${td}
            -o ${output}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${td} VERBATIM)
  add_custom_target(qopt-docs-${page} DEPENDS ${output})
  set_property(GLOBAL APPEND PROPERTY qopt_references qopt-docs-${page})
endfunction()

# Every program brings its sanitizers' options.
if(QOPT_SANITIZE)
  add_library(qopt_sanitizer_options OBJECT ${CMAKE_SOURCE_DIR}/cmake/SanitizerOptions.cpp)
  set(qopt_program_sources $<TARGET_OBJECTS:qopt_sanitizer_options>)
endif()

function(qopt_tool name)
  cmake_parse_arguments(ARG "MLIR" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES} ${qopt_program_sources})
  qopt_target_options(${name} ${ARG_MLIR})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS})
endfunction()

# Built by the target qopt-tests only. A program whose name ends in Tests is run by itself, see qopt_gtest.
function(qopt_test_program name)
  cmake_parse_arguments(ARG "MLIR" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} EXCLUDE_FROM_ALL ${ARG_SOURCES} ${qopt_program_sources})
  qopt_target_options(${name} ${ARG_MLIR})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test/bin)
  set_property(GLOBAL APPEND PROPERTY qopt_test_programs ${name})
endfunction()

# A folder of tests calls this once for each program; lit finds them by their suffix.
function(qopt_gtest name)
  qopt_test_program(${name}Tests ${ARGN})
  target_link_libraries(${name}Tests PRIVATE GTest::gtest GTest::gtest_main)
endfunction()

# The processors that code is made for. lld initialises all that LLVM knows, 20 of them and most of its size: for the others
# TargetsLeftOut.cpp has functions that do nothing.
set(qopt_targets X86 AArch64 NVPTX)

# Debian's targets of MLIR and lld name the shared libLLVM; beside static parts of LLVM there would be two copies of it in
# one process. Here they get the static libraries instead.
function(qopt_link_llvm_statically)
  llvm_map_components_to_libnames(parts ${qopt_targets} Passes DTLTO LTO Option WindowsManifest LibDriver)
  get_property(mlir GLOBAL PROPERTY MLIR_ALL_LIBS)
  qopt_archive_in_programs(qopt_llvm_zstd zstd::libzstd_static zstd)
  qopt_archive_in_programs(qopt_llvm_zlib ZLIB::ZLIB z)
  foreach(target ${MLIR_EXPORTED_TARGETS} ${MLIR_ALL_LIBS} ${mlir} ${LLD_EXPORTED_TARGETS} lldCommon lldELF LLVMSupport)
    if(TARGET ${target})
      get_target_property(libraries ${target} INTERFACE_LINK_LIBRARIES)
      if(NOT libraries)
        continue()
      endif()
      list(TRANSFORM libraries REPLACE "^zstd::libzstd_shared$" qopt_llvm_zstd)
      list(TRANSFORM libraries REPLACE "^ZLIB::ZLIB$" qopt_llvm_zlib)
      if("LLVM" IN_LIST libraries)
        list(REMOVE_ITEM libraries LLVM)
        list(APPEND libraries ${parts})
      endif()
      set_target_properties(${target} PROPERTIES INTERFACE_LINK_LIBRARIES "${libraries}")
    endif()
  endforeach()
  set(left_out)
  foreach(target ${LLVM_TARGETS_TO_BUILD})
    if(NOT target IN_LIST qopt_targets)
      string(APPEND left_out "QOPT_LEFT_OUT(${target})\n")
    endif()
  endforeach()
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/lib/Codegen/Host/TargetsLeftOut.inc CONTENT "${left_out}" @ONLY)
endfunction()
