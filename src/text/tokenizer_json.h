// Vocabularies as Hugging Face's tools keep them: tokenizer.json, or the older vocab.txt of BERT.
#pragma once

#include <string_view>

#include "kvasir/result.h"
#include "text/vocabulary.h"

namespace kvasir::text {

/// The vocabulary in the text of a tokenizer.json. Only WordPiece with BERT's normaliser is known; whatever else the
/// file asks for (another model, normaliser, cutting or template of special tokens, or an option of those that would
/// change ids) is kUnsupported and named. Truncation and padding are the business of callers and are ignored.
/// kCorrupt: no JSON, ids with gaps or twice.
[[nodiscard]] Result<Vocabulary> VocabularyFromTokenizerJson(std::string_view json);

/// The vocabulary in the text of a vocab.txt, a token per line, its id the line's number from 0. [UNK], [CLS], [SEP],
/// [PAD] and [MASK] are the special tokens; the first three must be there. `lowercase`: the model is uncased.
[[nodiscard]] Result<Vocabulary> VocabularyFromVocabTxt(std::string_view text, bool lowercase);

}  // namespace kvasir::text
