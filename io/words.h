#pragma once
#include <functional>
#include <string_view>

namespace fusor {

// Calls take with the words of a text, in order, as BERT's basic tokenizer cuts them
// (google-research/bert, tokenization.py, BasicTokenizer):
//   1. U+0000, U+FFFD and what Unicode calls control or format (Cc, Cf) is left out, but tab, line
//      feed and carriage return are spaces;
//   2. words end at spaces (Zs, Zl, Zp), and each CJK ideograph is one;
//   3. with lower_case, a word is lower-cased (a final sigma as one), decomposed (NFD), and its
//      non-spacing marks (Mn), the accents, are left out;
//   4. each punctuation mark (P, and all of ASCII that is neither letter, digit, space nor control)
//      is a word.
// A word holds until `take` returns. Throws Error with the byte where `text` is not UTF-8.
void for_each_word(std::string_view text, bool lower_case,
                   const std::function<void(std::string_view)>& take);

}  // namespace fusor
