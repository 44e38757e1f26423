// How a folder of sentence-transformers makes one vector of a text.
#pragma once

#include <memory>
#include <string>

#include "engine/pooling.h"
#include "kvasir/result.h"
#include "text/vocabulary.h"

namespace kvasir {

/// What the small files beside the weights say.
struct SentenceRecipe {
  Pooling pooling = Pooling::kMean;
  bool normalise = false;
  int max_tokens = 0;  ///< 0: nothing is said.
};

/// Reads modules.json, the pooling's config.json and sentence_bert_config.json of `folder`. Without the first, tokens
/// are averaged and nothing is normalised, as the reference does. Errors name the file, the member and its value:
/// kUnsupported for steps and poolings that are not computed here, kCorrupt for what is no such file.
[[nodiscard]] Result<SentenceRecipe> ReadSentenceRecipe(const std::string& folder);

/// The vocabulary of `folder`: tokenizer.json, or vocab.txt with tokenizer_config.json.
[[nodiscard]] Result<text::Vocabulary> ReadSentenceVocabulary(const std::string& folder);

/// The whole of a text file of a model folder, 64 MiB at most. Errors name it; kNotFound where it is not there.
[[nodiscard]] Result<std::string> ReadModelText(const std::string& folder, const std::string& name);

}  // namespace kvasir
