// PTX becomes machine code where there is an assembler, its kernels' resources
// are known, a kernel made to spill is found out, and without an assembler the
// reason is said. Skipped, saying so, where this machine has no ptxas.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "lib/Codegen/Cuda/Ptxas.h"
#include "lib/Codegen/TemporaryFolder.h"
#include "llvm/Support/FileSystem.h"
#include <cstdlib>
#include <gtest/gtest.h>

using namespace qopt;
using namespace qopt::codegen;

static constexpr const char *header = ".version 8.0\n.target sm_80\n"
                                      ".address_size 64\n";

static constexpr const char *copy = R"(
.visible .entry copy(.param .u64 from, .param .u64 to) .maxntid 32 {
.reg .b64 %rd<3>;
.reg .b32 %r<2>;
ld.param.u64 %rd1, [from];
ld.param.u64 %rd2, [to];
ld.global.u32 %r1, [%rd1];
st.global.u32 [%rd2], %r1;
ret;
})";

/// Loads `count` words, and only then uses them: all are alive at once.
static std::string greedy(int count) {
  std::string text = ".visible .entry greedy(.param .u64 p) .maxntid 1024 "
                     ".minnctapersm 2 {\n.reg .b64 %rd<2>;\n.reg .b32 %r<" +
                     std::to_string(count) + ">;\nld.param.u64 %rd1, [p];\n";
  for (int i = 0; i < count; ++i)
    text += "ld.volatile.global.u32 %r" + std::to_string(i) + ", [%rd1+" +
            std::to_string(4 * i) + "];\n";
  for (int i = 0; i < count; ++i)
    text += "st.volatile.global.u32 [%rd1+" + std::to_string(4 * i) + "], %r" +
            std::to_string(count - 1 - i) + ";\n";
  return text + "ret;\n}\n";
}

namespace {
struct PtxasTest : testing::Test {
  void SetUp() override {
    StatusOr<Ptxas> found = Ptxas::find();
    if (!found)
      GTEST_SKIP() << found.status().message();
    ptxas = *found;
  }

  StatusOr<std::vector<Assembly>> assemble(const std::string &ptx) {
    return ptxas->assemble({{ptx, &target::sm80()}, {ptx, &target::sm90a()}},
                           cache, 2);
  }

  std::optional<Ptxas> ptxas;
  TemporaryFolder folder{"qopt-ptxas-test"};
  CodeCache cache{folder.file("cache")};
};

/// An environment variable for the time of a test.
struct Environment {
  Environment(const char *name, const std::string &value) : name(name) {
    if (const char *old = getenv(name))
      before = old;
    setenv(name, value.c_str(), 1);
  }
  ~Environment() { before ? setenv(name, before->c_str(), 1) : unsetenv(name); }
  const char *name;
  std::optional<std::string> before;
};
} // namespace

TEST_F(PtxasTest, resourcesOfEveryArchitecture) {
  auto assemblies = assemble(std::string(header) + copy);
  ASSERT_TRUE(assemblies.ok()) << assemblies.status().message();
  ASSERT_EQ(assemblies->size(), 2u);
  for (const Assembly &assembly : *assemblies) {
    EXPECT_FALSE(assembly.cached);
    EXPECT_EQ(assembly.cubin.substr(1, 3), "ELF");
    ASSERT_EQ(assembly.kernels.size(), 1u);
    EXPECT_EQ(assembly.kernels[0].symbol, "copy");
    EXPECT_GT(assembly.kernels[0].registers, 0);
    EXPECT_GT(assembly.kernels[0].codeBytes, 0);
    EXPECT_TRUE(requireClean(assembly.kernels, [](llvm::StringRef) {
                  return true;
                }).ok());
  }
  EXPECT_NE((*assemblies)[0].cubin, (*assemblies)[1].cubin);
}

TEST_F(PtxasTest, theSecondTimeComesFromTheCache) {
  auto first = assemble(std::string(header) + copy);
  auto second = assemble(std::string(header) + copy);
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_TRUE((*second)[0].cached && (*second)[1].cached);
  EXPECT_EQ((*first)[0].cubin, (*second)[0].cubin);
  EXPECT_EQ((*first)[0].kernels[0].registers,
            (*second)[0].kernels[0].registers);
}

TEST_F(PtxasTest, kernelsStandInTheOrderOfTheText) {
  auto assemblies = assemble(std::string(header) + copy + greedy(4));
  ASSERT_TRUE(assemblies.ok()) << assemblies.status().message();
  ASSERT_EQ((*assemblies)[0].kernels.size(), 2u);
  EXPECT_EQ((*assemblies)[0].kernels[0].symbol, "copy");
  EXPECT_EQ((*assemblies)[0].kernels[1].symbol, "greedy");
}

TEST_F(PtxasTest, aHotKernelThatSpillsIsAnError) {
  auto assemblies = assemble(std::string(header) + copy + greedy(200));
  ASSERT_TRUE(assemblies.ok()) << assemblies.status().message();
  for (const Assembly &assembly : *assemblies) {
    Status status =
        requireClean(assembly.kernels, [](llvm::StringRef) { return true; });
    EXPECT_EQ(status.code(), StatusCode::Infeasible);
    EXPECT_NE(status.message().find("kernel \"greedy\" spills"),
              std::string::npos)
        << status.message();
    EXPECT_EQ(status.message().find("copy"), std::string::npos);
  }
}

TEST_F(PtxasTest, anAdvisoryIsFound) {
  // Without .maxntid the registers at entry are not known.
  std::string ptx = ".version 8.0\n.target sm_90a\n.address_size 64\n"
                    ".visible .entry moved() {\n"
                    "setmaxnreg.inc.sync.aligned.u32 64;\nret;\n}\n";
  auto assemblies = ptxas->assemble({{ptx, &target::sm90a()}}, cache, 1);
  ASSERT_TRUE(assemblies.ok()) << assemblies.status().message();
  Status status = requireClean((*assemblies)[0].kernels,
                               [](llvm::StringRef) { return true; });
  EXPECT_NE(status.message().find("C7508"), std::string::npos)
      << status.message();
}

TEST_F(PtxasTest, rejectedTextIsShown) {
  auto assemblies =
      assemble(std::string(header) + ".visible .entry k() {\nfrobnicate;\n}\n");
  ASSERT_FALSE(assemblies.ok());
  const std::string &message = assemblies.status().message();
  EXPECT_NE(message.find("rejects the generated code for sm_80"),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("kernels.ptx, line 5"), std::string::npos) << message;
  EXPECT_EQ(message.find(std::string(folder.path)), std::string::npos);
}

TEST(Ptxas, withoutAssembler) {
  Environment none("QOPT_PTXAS", "/nonexistent/ptxas");
  StatusOr<Ptxas> found = Ptxas::find();
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().code(), StatusCode::NotFound);
  EXPECT_EQ(found.status().message(),
            "QOPT_PTXAS is \"/nonexistent/ptxas\", which cannot be run");
}

TEST(Ptxas, anotherProgramOfThatName) {
  Environment other("QOPT_PTXAS", "/bin/true");
  StatusOr<Ptxas> found = Ptxas::find();
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().message(),
            "\"/bin/true\" does not tell its version; expected NVIDIA's ptxas");
}
