// The known pre-tokenizers. The expressions are those of the models' own tokenizer.json files (and of tiktoken for the
// families that come from it); llama.cpp's names for them are what GGUF files carry. An expression that matches from a
// place must not take time that grows with the square of a run: where one would (a trailing-space rule), a look-behind
// keeps it from starting in the middle of the run.
#include <array>

#include "text/pre_tokenizer.h"

namespace kvasir::text {
namespace {

using std::string_view;

// GPT-2: English contractions; a word, number or run of other marks with the space before it; spaces up to the last
// one. The space left over by the look-ahead falls between two matches and so becomes a word of its own.
#define KV_GPT2_WORD R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))"

// tiktoken's cl100k: contractions in any case, words with any one mark before them, numbers in groups, line ends kept
// with the marks before them.
#define KV_CL100K(digits)                                            \
  R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|)" digits \
  R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"

// tiktoken's o200k and Mistral's Tekken cut words also where lower case turns to upper case.
#define KV_UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define KV_LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define KV_CASED_WORDS(contraction, digits)                                                                    \
  R"([^\r\n\p{L}\p{N}]?)" KV_UPPER "*" KV_LOWER "+" contraction R"(|[^\r\n\p{L}\p{N}]?)" KV_UPPER "+" KV_LOWER \
  "*" contraction "|" digits R"(| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"

// Everything but spaces, sentence marks and their look-alikes in other scripts (BLOOM).
#define KV_BLOOM_WORD " ?[^(\\s|.,!?…。，、।۔،)]+"

// The CJK range of the DeepSeek tokenizers, as written in their files.
#define KV_DEEPSEEK_CJK "[一-龥ࠀ-一가-퟿]+"

// Letters with case, as enumerated in deepseek-llm's file.
#define KV_DEEPSEEK_CASED                                                                                            \
  "[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-" \
  "ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕ"                                                                                           \
  "ℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]"

constexpr string_view kDefaultNames[] = {"default"};
constexpr string_view kDefault[] = {R"([\p{P}\$\+<=>\^~\|]+)", KV_GPT2_WORD, R"(\p{N}+)", "[0-9][0-9][0-9]"};

constexpr string_view kGpt2Names[] = {
    "gpt-2",      "gpt2",       "phi-2",        "mpt",         "olmo",     "jais",    "jina-es",  "jina-de",
    "jina-v2-es", "jina-v2-de", "jina-v2-code", "roberta-bpe", "gigachat", "exaone4", "trillion", "granite-docling"};
constexpr string_view kGpt2[] = {KV_GPT2_WORD};

constexpr string_view kSingleDigitNames[] = {"smollm",    "starcoder", "refact",    "command-r",
                                             "codeshell", "exaone",    "minerva-7b"};
constexpr string_view kSingleDigit[] = {R"(\p{N})", KV_GPT2_WORD};

constexpr string_view kLlama3Names[] = {"llama-bpe", "llama3", "llama-v3", "falcon3"};
constexpr string_view kCl100kNames[] = {"dbrx", "smaug-bpe", "chatglm-bpe"};
constexpr string_view kCl100k[] = {KV_CL100K(R"(\p{N}{1,3})")};

constexpr string_view kQwen2Names[] = {"qwen2", "stablelm2", "megrez", "deepseek-r1-qwen"};
constexpr string_view kQwen2[] = {KV_CL100K(R"(\p{N})")};

constexpr string_view kTekkenNames[] = {"tekken"};
constexpr string_view kTekken[] = {KV_CASED_WORDS("", R"(\p{N})")};

constexpr string_view kO200kNames[] = {"gpt-4o", "llama4", "kanana2"};
constexpr string_view kO200k[] = {KV_CASED_WORDS("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", R"(\p{N}{1,3})")};

constexpr string_view kFalconNames[] = {"falcon"};
constexpr string_view kFalcon[] = {R"([\p{P}\$\+<=>\^~\|`]+)", KV_GPT2_WORD, "[0-9][0-9][0-9]"};

constexpr string_view kDeepSeekLlmNames[] = {"deepseek-llm"};
constexpr string_view kDeepSeekLlm[] = {
    "[\r\n]", "\\s?" KV_DEEPSEEK_CASED "+", "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "(?<!\\s)\\s+$", KV_DEEPSEEK_CJK,
    "\\p{N}+"};

constexpr string_view kDeepSeekCoderNames[] = {"deepseek-coder"};
constexpr string_view kDeepSeekCoder[] = {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", KV_DEEPSEEK_CJK, "\\p{N}"};

constexpr string_view kDeepSeekV3Names[] = {"deepseek-v3"};
constexpr string_view kDeepSeekV3[] = {
    R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+",
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)"
    R"(| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"};

constexpr string_view kBloomNames[] = {"bloom", "poro-chat", "gpt3-finnish"};
constexpr string_view kBloom[] = {KV_BLOOM_WORD};

constexpr string_view kVikingNames[] = {"viking"};
constexpr string_view kViking[] = {KV_BLOOM_WORD, R"(\p{N})"};

constexpr auto kEntries = std::to_array<PreTokenizerEntry>({
    {kDefaultNames, kDefault},
    {kGpt2Names, kGpt2},
    {kSingleDigitNames, kSingleDigit},
    {kLlama3Names, kCl100k, /*ignore_merges=*/true, /*add_bos=*/true},
    {kCl100kNames, kCl100k},
    {kQwen2Names, kQwen2},
    {kTekkenNames, kTekken, /*ignore_merges=*/true, /*add_bos=*/true},
    {kO200kNames, kO200k},
    {kFalconNames, kFalcon},
    {kDeepSeekLlmNames, kDeepSeekLlm},
    {kDeepSeekCoderNames, kDeepSeekCoder},
    {kDeepSeekV3Names, kDeepSeekV3},
    {kBloomNames, kBloom},
    {kVikingNames, kViking},
});

}  // namespace

std::span<const PreTokenizerEntry> PreTokenizers() {
  return kEntries;
}

}  // namespace kvasir::text
