// Sets of characters as contents of PCRE2 classes (what stands between [ and
// ]), with the extent that Oniguruma gives them: its Unicode is newer, its
// scripts are without extensions, its \s and \w are wider or narrower.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef QOPT_RUNTIME_TOKENIZER_REGEXPROPERTIES_H
#define QOPT_RUNTIME_TOKENIZER_REGEXPROPERTIES_H

#include <optional>
#include <string>
#include <string_view>

namespace qopt::runtime {

/// White_Space.
inline constexpr std::string_view spaceContents =
    "\\x{9}-\\x{d}\\x{20}\\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}"
    "\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}";
/// Everything else.
inline constexpr std::string_view nonSpaceContents =
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{84}\\x{86}-\\x{9f}\\x{a1}-\\x{167f}"
    "\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}"
    "\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{10ffff}";
inline constexpr std::string_view hexDigitContents = "0-9a-fA-F";

/// `\w`.
std::string wordContents();

/// `\p{name}`: a general category, a script, or another property. A name that
/// PCRE2 does not know is found when the expression is compiled.
std::string propertyContents(std::string_view name);

/// `[:name:]`, nothing for an unknown name.
std::optional<std::string> posixContents(std::string_view name);

/// `character` as a class or an expression spells it.
std::string spellCharacter(char32_t character);

} // namespace qopt::runtime

#endif // QOPT_RUNTIME_TOKENIZER_REGEXPROPERTIES_H
