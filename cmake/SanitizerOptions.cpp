// What the address sanitizer is told in every program of the preset asan,
// before ASAN_OPTIONS. LLVM's libraries come from the system and are not
// instrumented: memory that their headers poison, inlined here, they would
// hand out again without a word to the sanitizer.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the
// sanitizer's name for it.
extern "C" const char *__asan_default_options();

const char *__asan_default_options() { return "allow_user_poisoning=0"; }
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
