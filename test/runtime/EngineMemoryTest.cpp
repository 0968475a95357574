// A step that gets no memory, wherever it asks for some, ends its requests and
// leaves the engine as new.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "qopt/Engine.h"

#include "TemporaryFolder.h"
#include "TinyDecoder.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <new>

using namespace qopt;

/// Allocations that succeed before one fails; below 0: all do.
static thread_local int64_t allocationsLeft = -1;

void *operator new(size_t bytes) {
  if (allocationsLeft == 0) {
    allocationsLeft = -1;
    throw std::bad_alloc();
  }
  if (allocationsLeft > 0)
    --allocationsLeft;
  if (void *memory = std::malloc(bytes ? bytes : 1))
    return memory;
  throw std::bad_alloc();
}
void operator delete(void *memory) noexcept { std::free(memory); }
void operator delete(void *memory, size_t) noexcept { std::free(memory); }

TEST(EngineMemory, AStepWithoutMemoryEndsItsRequests) {
  qopt::test::TemporaryFolder folder;
  qopt::test::TinyDecoder model;
  std::string path = folder.file("tiny.qopt");
  ASSERT_TRUE(model.write(path).ok());
  auto artifact = Artifact::open(path);
  ASSERT_TRUE(artifact.ok());
  EngineOptions options;
  options.threads = 1;
  auto first = Engine::create(*artifact, options);
  ASSERT_TRUE(first.ok());
  Request request;
  request.prompt = {1, 2, 3, 4, 5, 6, 7};
  request.maxTokens = 3;
  auto expected = (*first)->generate(request);
  ASSERT_TRUE(expected.ok());

  auto engine = Engine::create(*artifact, options);
  ASSERT_TRUE(engine.ok());
  int failures = 0;
  for (;; ++failures) {
    ASSERT_TRUE((*engine)->submit(request).ok());
    allocationsLeft = failures;
    auto events = (*engine)->step();
    allocationsLeft = -1;
    if (events.ok())
      break;
    EXPECT_EQ(events.status().code(), StatusCode::OutOfResources);
    while (!(*engine)->idle()) // it failed before the request began
      ASSERT_TRUE((*engine)->step().ok());
    auto text = (*engine)->generate(request);
    ASSERT_TRUE(text.ok()) << text.status().message();
    EXPECT_EQ(text->tokens, expected->tokens);
  }
  EXPECT_GT(failures, 3);
}
