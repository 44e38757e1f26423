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
#define KV_DEEPSEEK_CJK R"([\x{4E00}-\x{9FA5}\x{0800}-\x{4E00}\x{AC00}-\x{D7FF}]+)"

// Letters with case, as enumerated in deepseek-llm's file (an older Unicode's Lu, Ll and Lt).
#define KV_DEEPSEEK_CASED                                                                                   \
  R"([A-Za-z\x{B5}\x{C0}-\x{D6}\x{D8}-\x{F6}\x{F8}-\x{1BA}\x{1BC}-\x{1BF}\x{1C4}-\x{293}\x{295}-\x{2AF})"   \
  R"(\x{370}-\x{373}\x{376}\x{377}\x{37B}-\x{37D}\x{37F}\x{386}\x{388}-\x{38A}\x{38C}\x{38E}-\x{3A1})"      \
  R"(\x{3A3}-\x{3F5}\x{3F7}-\x{481}\x{48A}-\x{52F}\x{531}-\x{556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5})"       \
  R"(\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77})"                \
  R"(\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D})"                \
  R"(\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}\x{1FB6}-\x{1FBC}\x{1FBE})" \
  R"(\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC})"                \
  R"(\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124})" \
  R"(\x{2126}\x{2128}\x{212A}-\x{212D}\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E})" \
  R"(\x{2183}\x{2184}\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D})" \
  R"(\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF})"                \
  R"(\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F})"              \
  R"(\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}\x{118A0}-\x{118DF})"      \
  R"(\x{1E900}-\x{1E943}])"

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
    R"([\r\n])",
    R"(\s?)" KV_DEEPSEEK_CASED "+",
    R"(\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+)",
    R"((?<!\s)\s+$)",
    KV_DEEPSEEK_CJK,
    R"(\p{N}+)"};

constexpr string_view kDeepSeekCoderNames[] = {"deepseek-coder"};
constexpr string_view kDeepSeekCoder[] = {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", KV_DEEPSEEK_CJK, "\\p{N}"};

constexpr string_view kDeepSeekV3Names[] = {"deepseek-v3"};
constexpr string_view kDeepSeekV3[] = {
    R"(\p{N}{1,3})", R"([\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+)",
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
